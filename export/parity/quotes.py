"""The plain form of a search that may only quote, and sentences of token rows: see `export.graph.quotes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor

from export.architectures import Spacing
from infolens.contract import NEVER_ENDS


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence of an article."""

    tokens: tuple[int, ...]
    whole: bool
    """Whether it was read to its end."""


@dataclass(frozen=True, kw_only=True)
class Quoting:
    """What a summary of one article may go on with."""

    sentences: tuple[Sentence, ...]
    spacing: Spacing
    first: int
    """How many tokens stand before the text."""
    end_tokens: tuple[int, ...]
    min_length: int
    max_length: int

    def next(self, history: Sequence[int]) -> set[int]:
        """The tokens that may come after ``history``, which has all tokens so far."""
        written: set[int] = set()
        open_: list[tuple[int, int]] = []  # sentences that the newest tokens are of, and how many of theirs
        for count in range(self.first, len(history) + 1):
            inside = [(i, n) for i, n in open_ if n < len(self.sentences[i].tokens)]
            boundary = count == self.first or len(inside) < len(open_)
            new = self._beginning(count, written) if boundary else []
            if count == len(history):
                break
            token = history[count]
            found = [(i, n + 1) for i, n in inside if self.sentences[i].tokens[n] == token]
            open_ = found or [(i, 1) for i in new if self._form(i, count) == token]
            written |= {i for i, n in open_ if n == len(self.sentences[i].tokens)}
        else:
            return set()
        tokens = {self.sentences[i].tokens[n] for i, n in inside} | {self._form(i, count) for i in new}
        long_enough = count > self.first and count >= self.min_length
        return tokens | (set(self.end_tokens) if boundary and (long_enough or not tokens) else set())

    def _beginning(self, count: int, written: set[int]) -> list[int]:
        fitting = [
            i
            for i, sentence in enumerate(self.sentences)
            if i not in written and sentence.whole and count + len(sentence.tokens) + 1 <= self.max_length
        ]
        return [0] if not fitting and count == self.first and self.sentences else fitting

    def _form(self, sentence: int, count: int) -> int:
        table = self.spacing.unspaced if count == self.first else self.spacing.spaced
        return int(table[self.sentences[sentence].tokens[0]])


class Quotes(LogitsProcessor):
    """Lets ``generate`` quote only; for one article, after all other processors."""

    def __init__(self, quoting: Quoting) -> None:
        self._quoting = quoting

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores (beams, words), minus infinity for what may not come after ``input_ids`` (beams, tokens)."""
        count = input_ids.shape[1]
        if count < self._quoting.first or count == self._quoting.max_length - 1:
            return scores  # This token is forced.
        barred = torch.full_like(scores, -torch.inf)
        for row, history in enumerate(input_ids.tolist()):
            tokens = sorted(self._quoting.next(history))
            barred[row, tokens] = scores[row, tokens]
        return barred


def sentences_of(ids: Sequence[int], ends: Sequence[int], unquotable: Sequence[int]) -> tuple[Sentence, ...]:
    """The sentences of a row of tokens that may be quoted, by the end of each position's sentence."""
    found: list[Sentence] = []
    start = 0
    for i, end in enumerate(ends):
        if i == 0 or end != ends[i - 1]:
            start = i
        if end != -1 and (i + 1 == len(ends) or ends[i + 1] != end):
            found.append(Sentence(tokens=tuple(map(int, ids[start : i + 1])), whole=end != NEVER_ENDS))
    return tuple(one for one in found if not set(one.tokens) & set(unquotable))


def ends_of(words: Sequence[str], inside: Sequence[bool], *, cut: bool) -> npt.NDArray[np.int32]:
    """The ends of the sentences of one row, found by its words: for comparisons, where any sentences will do.

    Args:
        words: The tokens as text.
        inside: Which of them are the article's, and no special tokens or padding.
        cut: Whether the last sentence was not read to its end.

    Returns:
        INT32 (length,), as `infolens.contract.SENTENCE_ENDS` says.
    """
    ends = np.full(len(words), -1, np.int32)
    start = None
    for i, word in enumerate(words):
        gap = not inside[i] or "\u010a" in word
        if gap and start is not None:
            ends[start:i] = i - 1 if inside[i] or not cut else NEVER_ENDS
            start = None
        if not gap and start is None:
            start = i
        if start is not None and word[-1:] in (".", "!", "?"):
            ends[start : i + 1], start = i, None
    if start is not None:
        ends[start:] = NEVER_ENDS if cut else len(words) - 1
    return ends
