"""What the last model of a text's task is told of an article."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

if __package__:
    from reading.windows import NEVER_ENDS, opens
else:  # Triton imports its backend as the module "model", with its folder on the path
    from windows import NEVER_ENDS, opens  # type: ignore[import-not-found, no-redef]

AROUND = 3
"""The most special tokens of a summary: the start, a forced first one, the end."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The sentences that the last model may make a summary of."""

    tokens: Sequence[Sequence[int]]
    """For each article how many tokens each of its sentences has; 0 for one that was not read to its end."""
    room: int
    """How many tokens the summary may have..."""
    least: int
    """...and shall have."""
    scored: bool
    """Whether what comes of the next model are scores of the article's words, and no draft."""

    @classmethod
    def of(cls, places: npt.NDArray[np.int32], settings: Mapping[str, float], scored: bool) -> Choice:
        """The sentences of articles whose sentences end at ``places`` [n, L]: see `reading.windows.place`."""
        room, least = (int(settings[name]) - AROUND for name in ("max_length", "min_length"))
        return cls(tokens=[_sizes(row) for row in places], room=room, least=max(0, least), scored=scored)


def _sizes(ends: npt.NDArray[np.int32]) -> list[int]:
    first = np.flatnonzero(opens(ends)).tolist()
    return [0 if ends[start] == NEVER_ENDS else int(ends[start]) + 1 - start for start in first]


def sources(
    texts: Sequence[str],
    sentences: Sequence[Sequence[tuple[int, int]]],
    own: Sequence[bool],
    style: str,
    choice: Choice | None = None,
) -> npt.NDArray[np.object_]:
    """A JSON object for each article of a request, [n, 1].

    Args:
        texts: The articles, with as many characters as were sent.
        sentences: The first character of each sentence and the one past its last, for each article.
        own: Whether each article is its own summary.
        style: How the summary is written.
        choice: Where the last model chooses the sentences: of which.
    """
    answers = np.empty((len(texts), 1), np.object_)
    for row, (text, spans, verbatim) in enumerate(zip(texts, sentences, own, strict=True)):
        facts: dict[str, Any] = {"text": text, "sentences": spans, "verbatim": verbatim, "style": style}
        if choice is not None:
            facts |= {"tokens": choice.tokens[row], "room": choice.room}
            facts |= {"choice": True, "least": choice.least} if choice.scored else {}
        answers[row, 0] = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
    return answers


def own_summaries(texts: Sequence[str], own: Sequence[bool]) -> npt.NDArray[np.object_]:
    """The articles that are their own summaries, on one line each, [n, 1]; the others are empty.

    For repositories whose configurations were written before there were `sources`.
    """
    answers = np.empty((len(texts), 1), np.object_)
    for row, (text, verbatim) in enumerate(zip(texts, own, strict=True)):
        answers[row, 0] = " ".join(text.split()).encode() if verbatim else b""
    return answers
