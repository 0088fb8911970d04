"""What the last model of a text's task is told of an article."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def sources(
    texts: Sequence[str], sentences: Sequence[Sequence[tuple[int, int]]], own: Sequence[bool], style: str
) -> npt.NDArray[np.object_]:
    """A JSON object for each article of a request, [n, 1].

    Args:
        texts: The articles, with as many characters as were sent.
        sentences: The first character of each sentence and the one past its last, for each article.
        own: Whether each article is its own summary.
        style: How the summary is written.
    """
    answers = np.empty((len(texts), 1), np.object_)
    for row, (text, spans, verbatim) in enumerate(zip(texts, sentences, own, strict=True)):
        facts = {"text": text, "sentences": spans, "verbatim": verbatim, "style": style}
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
