"""What every engine is given: the same token ids, lengths, beams and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from infolens.contract import ATTENTION_MASK, INPUT_IDS, SUMMARY_SETTINGS, TOKEN_TYPE_IDS, Task

_LOWEST_ID: Final = 10
_HIGHEST_ID: Final = 1700
"""Ordinary tokens of every fixture's vocabulary lie between these."""
_FIRST: Final = {Task.SUMMARY: (0,), Task.CATEGORY: (2,), Task.VERACITY: ()}
_LAST: Final = {Task.SUMMARY: (2,), Task.CATEGORY: (3,), Task.VERACITY: (4, 3)}
_XLNET_CLS_TYPE: Final = 2


@dataclass(frozen=True, kw_only=True)
class Generation:
    """How a summary is searched, in the terms of ``transformers``."""

    tokens_out: int = 60
    """Exactly so many, the start token and the end token included."""
    beams: int = 4
    no_repeat_ngram: int = 3
    length_penalty: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One task, as it is measured."""

    task: Task
    tokens_in: int
    """Tokens of an article; none of them is padding."""
    batches: tuple[int, ...]
    """Articles in one call."""
    generation: Generation | None = None
    """Only for the summary."""

    def __str__(self) -> str:
        words = f"{self.tokens_in} tokens in"
        if self.generation:
            g = self.generation
            words += (
                f", exactly {g.tokens_out} out, {g.beams} beams, no n-gram of {g.no_repeat_ngram} twice, "
                f"length penalty {g.length_penalty:g}"
            )
        return words


WORKLOADS: Final = {
    Task.SUMMARY: Workload(task=Task.SUMMARY, tokens_in=512, batches=(1, 4), generation=Generation()),
    Task.CATEGORY: Workload(task=Task.CATEGORY, tokens_in=128, batches=(1, 8)),
    Task.VERACITY: Workload(task=Task.VERACITY, tokens_in=512, batches=(1, 4)),
}
"""The measured work of each task."""


def articles(workload: Workload, batch: int) -> dict[str, npt.NDArray[np.int32]]:
    """Random articles, the same ones at every call; article ``i`` does not depend on ``batch``.

    Returns:
        ``input_ids``, ``attention_mask`` and, for XLNet, ``token_type_ids``; INT32 (batch, tokens).
    """
    first, last = _FIRST[workload.task], _LAST[workload.task]
    ids = np.zeros((batch, workload.tokens_in), np.int32)
    for row in range(batch):
        ids[row] = np.random.default_rng([0, row]).integers(_LOWEST_ID, _HIGHEST_ID, workload.tokens_in)
    ids[:, : len(first)] = first
    ids[:, workload.tokens_in - len(last) :] = last
    found = {INPUT_IDS.name: ids, ATTENTION_MASK.name: np.ones_like(ids)}
    if workload.task is Task.VERACITY:
        types = np.zeros_like(ids)
        types[:, -1] = _XLNET_CLS_TYPE
        found[TOKEN_TYPE_IDS.name] = types
    return found


def graph_inputs(workload: Workload, batch: int) -> dict[str, npt.NDArray[Any]]:
    """`articles` as our graphs take them: a summary's settings travel as lengths of dummies, UINT8 (batch, n)."""
    found: dict[str, npt.NDArray[Any]] = dict(articles(workload, batch))
    if workload.generation:
        g = workload.generation
        values = {
            "min_length": g.tokens_out,
            "max_length": g.tokens_out,
            "num_beams": g.beams,
            "length_penalty": g.length_penalty,
        }
        for setting in SUMMARY_SETTINGS:
            found[setting.name] = np.zeros((batch, setting.encode(values[setting.name])), np.uint8)
    return found
