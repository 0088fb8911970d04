"""Encoded articles as the rows of the tensors that the next model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

if __package__:
    from reading import windows
    from reading.alignment import sentence_ends
    from reading.spread import spread

    from .configuration import Options
else:  # Triton imports its backend as the module "model", with its folder on the path
    import windows  # type: ignore[import-not-found, no-redef]
    from alignment import sentence_ends  # type: ignore[import-not-found, no-redef]
    from configuration import Options  # type: ignore[import-not-found, no-redef]
    from spread import spread  # type: ignore[import-not-found, no-redef]


def cut_tokens(encoding: Encoding, special_tokens: int) -> int:
    """How many tokens of an article are past ``max_tokens``."""
    # Each overflowing piece carries the special tokens of its own.
    return sum(len(piece.ids) - special_tokens for piece in encoding.overflowing)


def to_arrays(encodings: Sequence[Encoding], options: Options, special_tokens: int) -> dict[str, npt.NDArray[Any]]:
    """All integer tensors of one request of n articles, padded to the bucket of the longest one."""
    length = options.bucket(max(len(encoding.ids) for encoding in encodings))
    arrays = _empty(len(encodings), length, options)
    for row, encoding in enumerate(encodings):
        kept = len(encoding.ids)
        columns = slice(length - kept, length) if options.pad_left else slice(0, kept)
        arrays["input_ids"][row, columns] = encoding.ids
        arrays["attention_mask"][row, columns] = 1
        arrays["token_type_ids"][row, columns] = encoding.type_ids
        cut = cut_tokens(encoding, special_tokens)
        arrays["tokens"][row] = kept + cut
        arrays["truncated_tokens"][row] = cut
    return arrays


def _empty(rows: int, length: int, options: Options) -> dict[str, npt.NDArray[Any]]:
    shape = (rows, length)
    return {
        "input_ids": np.full(shape, options.pad_id, options.outputs.get("input_ids", np.int32)),
        "attention_mask": np.zeros(shape, options.outputs.get("attention_mask", np.int32)),
        "token_type_ids": np.full(shape, options.pad_type_id, options.outputs.get("token_type_ids", np.int32)),
        "tokens": np.zeros((rows, 1), options.outputs.get("tokens", np.int32)),
        "truncated_tokens": np.zeros((rows, 1), options.outputs.get("truncated_tokens", np.int32)),
    }


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The special tokens around every text."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Frame:
        """What a tokenizer puts around a text.

        Raises:
            ValueError: The tokenizer gives no token for a letter, or puts special ones into a text.
        """
        encoding = tokenizer.encode("a")
        text = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
        if not text or text[-1] - text[0] + 1 != len(text):
            raise ValueError("tokenizer.json must make one run of tokens of a text, with its special tokens around it")
        return cls(before=tuple(encoding.ids[: text[0]]), after=tuple(encoding.ids[text[-1] + 1 :]))

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """An article with all of its tokens, none of them special."""

    ids: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32] | None = None
    """For each token the index of the last token of its sentence; None where nobody has asked."""
    sentences: Sequence[tuple[int, int]] = ()
    """The sentences as they are in ``ends``, in characters of the article as it was sent."""
    offsets: npt.NDArray[np.int32] | None = None
    """The characters of each token in the article as it was sent, [tokens, 2]; None where nobody has asked."""

    @classmethod
    def of(cls, encoding: Encoding, text: str, sentences: Sequence[tuple[int, int]] | None) -> Whole:
        """Join tokens with sentences.

        Args:
            encoding: The tokens of the text without the blanks around it; with their places in it where there are
                ``sentences``.
            text: The article as it was sent.
            sentences: The sentences of the text; None where they are not wanted.
        """
        ids = np.array(encoding.ids, np.int32)
        if sentences is None:
            return cls(ids=ids)
        skipped = len(text) - len(text.lstrip())
        offsets = np.fromiter(chain.from_iterable(encoding.offsets), np.int32).reshape(-1, 2) + skipped
        ends, kept = sentence_ends(offsets, sentences)
        return cls(ids=ids, ends=ends, sentences=kept, offsets=offsets)


def lay_out(
    articles: Sequence[Whole], options: Options, frame: Frame
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int32], list[list[tuple[int, int]]]]:
    """All integer tensors of one request of n articles, in windows where one of them is too long for a single one.

    Each window holds a piece of the article with the special tokens around it. `windows.cut` says where the pieces end,
    or `spread.spread` where the options say so.

    Returns:
        The tensors as of `to_arrays`; where the sentences end, [n, length]: see `windows.place`; and for each article
        the tokens that are read: the first of each piece and the one past its last.
    """
    window = min(options.window or options.max_tokens, options.max_tokens)
    capacity, most = window - len(frame), options.max_tokens // window
    unknown = [np.full(len(one.ids), -1, np.int32) if one.ends is None else one.ends for one in articles]
    choose = spread if options.spread else windows.cut
    pieces = [choose(ends, capacity=capacity, most=most) for ends in unknown]
    needed = (len(mine) * window if len(mine) > 1 else mine[0][1] - mine[0][0] + len(frame) for mine in pieces)
    length = options.bucket(max(needed))
    arrays = _empty(len(articles), length, options)
    places = np.empty((len(articles), length), np.int32)
    for row, (article, ends, mine) in enumerate(zip(articles, unknown, pieces, strict=True)):
        for number, (start, end) in enumerate(mine):
            columns = slice(number * window, number * window + end - start + len(frame))
            arrays["input_ids"][row, columns] = np.concatenate((frame.before, article.ids[start:end], frame.after))
            arrays["attention_mask"][row, columns] = 1
        cut = len(article.ids) - sum(end - start for start, end in mine)
        arrays["tokens"][row] = len(article.ids) + len(frame)
        arrays["truncated_tokens"][row] = cut
        places[row] = windows.place(ends, mine, length=length, window=window, before=len(frame.before))
    return arrays, places, pieces
