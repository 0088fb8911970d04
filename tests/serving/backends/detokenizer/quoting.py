"""Articles as the tokenizer marks them for a summary that quotes, and summaries as the graph may write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from reading.sentences import split
from serving.backends.detokenizer.quotes import NEVER_ENDS, twins

START, BEGIN, PAD, END = 2, 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Marked:
    """One article, in a row of its own."""

    text: str
    sentences: list[tuple[int, int]]
    runs: list[list[int]]
    """The tokens of each sentence that was read."""
    input_ids: npt.NDArray[np.int32]
    sentence_ends: npt.NDArray[np.int32]

    def source(self, *, style: str = "extractive", verbatim: bool = False) -> npt.NDArray[np.object_]:
        given = {"text": self.text, "sentences": self.sentences, "verbatim": verbatim, "style": style}
        return np.array([[json.dumps(given).encode()]], np.object_)

    def beside(self, **more: Any) -> dict[str, npt.NDArray[Any]]:
        return {"source": self.source(**more), "input_ids": self.input_ids, "sentence_ends": self.sentence_ends}


def mark(tokenizer: Tokenizer, text: str, *, limit: int = 512) -> Marked:
    """Read an article up to so many tokens; sentences that meet inside a token are one."""
    encoding = tokenizer.encode(text)
    pieces = [(start, end) for start, end in encoding.offsets[: limit - 1] if text[start:end].strip()]
    spans = [*split(text)]
    for start, end in pieces:
        begin = start + len(text[start:end]) - len(text[start:end].lstrip())
        while (place := next((i for i, span in enumerate(spans) if begin < span[1] < end), None)) is not None:
            if place + 1 == len(spans) or spans[place + 1][0] >= end:
                break
            spans[place : place + 2] = [(spans[place][0], spans[place + 1][1])]
    ids = [*encoding.ids[: limit - 1], END] if len(encoding.ids) > limit else encoding.ids
    ends = np.full(len(ids), -1, np.int32)
    runs: list[list[int]] = []
    for first, last in spans:
        mine = [
            at
            for at, (start, end) in enumerate(encoding.offsets[: len(ids) - 1])
            if text[start:end].strip() and first < end <= last
        ]
        if not mine:
            break
        mine = [*range(mine[0], mine[-1] + 1)]  # with the line breaks within
        cut = len(encoding.ids) > limit and encoding.offsets[limit - 1][0] < last and mine[-1] == limit - 2
        ends[mine] = NEVER_ENDS if cut else mine[-1]
        runs.append([ids[at] for at in mine])
    return Marked(
        text=text,
        sentences=spans,
        runs=runs,
        input_ids=np.array([ids], np.int32),
        sentence_ends=ends[None],
    )


def write(tokenizer: Tokenizer, runs: Sequence[Sequence[int]], *, length: int = 80) -> npt.NDArray[np.int32]:
    """The row that quotes sentences: the first without its blank, the others with one, where there are such tokens."""
    vocabulary = tokenizer.get_vocab()
    other = twins(vocabulary)
    spaced = {token for text, token in vocabulary.items() if text.startswith("\u0120")}
    row = [START, BEGIN]
    for index, run in enumerate(runs):
        first = run[0] if (run[0] in spaced) == bool(index) else other.get(run[0], run[0])
        row += [first, *run[1:]]
    row = row[:length] if len(row) >= length else [*row, END]
    return np.array([row + [PAD] * (length - len(row))], np.int32)
