"""Which characters of an article a model does not read: the output ``unread``.

Places of tokens in the text cost time. In an article that is laid out in windows they are known anyway; where only the
beginning is read, they are looked for at once in a long article, since to encode it once more would cost more still.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain, islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding

Span = tuple[int, int]
"""The first character and the one past the last."""

_CHARACTERS = 4
"""Hardly more characters than a token of English text has on average."""


def is_long(text: str, max_tokens: int) -> bool:
    """Whether a text has probably more tokens than a model reads, so that their places will be asked for."""
    return len(text) > _CHARACTERS * max_tokens


def first_unread(encoding: Encoding, text: str, read: int) -> int:
    """Where in a text the first token begins that is not read, in characters.

    Args:
        encoding: What the tokenizer made of the text without the blanks around it, with the places of the tokens.
        text: The text.
        read: How many tokens at the beginning are read, special ones not counted; the text has more.
    """
    begins = (
        begin
        for chunk in chain((encoding,), encoding.overflowing)
        for (begin, _), special in zip(chunk.offsets, chunk.special_tokens_mask, strict=True)
        if not special
    )
    return len(text) - len(text.lstrip()) + next(islice(begins, read, None))


def gaps(pieces: Sequence[Span], offsets: npt.NDArray[np.integer[Any]], text: str) -> list[Span]:
    """The characters of the tokens that no piece holds.

    Args:
        pieces: The first token of each piece that is read and the one past its last, ascending.
        offsets: The characters of each token of the text, [tokens, 2].
        text: The text, up to whose end nothing is read after the last piece.
    """
    count = len(offsets)
    runs = [(end, start) for (_, end), (start, _) in pairwise([(0, 0), *pieces, (count, count)]) if start > end]
    return [(int(offsets[a, 0]), int(offsets[b - 1, 1]) if b < count else len(text)) for a, b in runs]


def in_part(spans: Iterable[Span], text: str, part: str) -> list[Span]:
    """Spans of an article as spans of its last part, without blanks at their ends.

    Args:
        spans: In characters of the article, ascending.
        text: The article: its parts without the blanks around them, or the only part as it was sent.
        part: The last part as it was sent, with its blanks.

    Returns:
        What of the spans lies in the part, in characters of it, ascending. Those that touch, or have nothing but blanks
        between them, are one.
    """
    begins = len(part) - len(part.lstrip())
    shift = begins - (len(text.rstrip()) - len(part.strip()))
    found: list[Span] = []
    for first, past in spans:
        start, end = max(first + shift, 0), max(past + shift, 0)
        inside = part[start:end]
        start += len(inside) - len(inside.lstrip())
        end = start + len(inside.strip())
        if start == end:
            continue
        if found and not part[found[-1][1] : start].strip():
            start = found.pop()[0]
        found.append((start, end))
    return found


def to_array(spans: Iterable[Sequence[Span]]) -> npt.NDArray[np.object_]:
    """The spans of each article of a request in JSON, BYTES [n, 1]."""
    written = [json.dumps(found, separators=(",", ":")).encode() for found in spans]
    return np.array(written, np.object_).reshape(-1, 1)
