"""What every engine is given: the same token ids, lengths, beams and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.common.shapes import shape_of
from infolens.contract import (
    ATTENTION_MASK,
    CONTRACTS,
    INPUT_IDS,
    SAMPLING,
    SENTENCE_ENDS,
    TOKEN_TYPE_IDS,
    AnswerKind,
    Task,
)

_LOWEST_ID: Final = 10
_HIGHEST_ID: Final = 1700
"""Ordinary tokens of every fixture's vocabulary lie between these."""


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
    architecture: str
    """The model's architecture, a key of `shapes.SHAPES`."""
    tokens_in: int
    """Tokens of an article; none of them is padding."""
    batches: tuple[int, ...]
    """Articles in one call."""
    generation: Generation | None = None
    """Only for a task whose answers are texts."""

    def __str__(self) -> str:
        words = f"{self.tokens_in} tokens in"
        if self.generation:
            g = self.generation
            words += (
                f", exactly {g.tokens_out} out, {g.beams} beams, no n-gram of {g.no_repeat_ngram} twice, "
                f"length penalty {g.length_penalty:g}"
            )
        return words


_GENERATIONS: Final[dict[AnswerKind, Generation | None]] = {AnswerKind.TEXT: Generation(), AnswerKind.LABELS: None}


def workload_of(task: Task) -> Workload:
    """The measured work of a task: that of its starter's architecture.

    Raises:
        BenchmarkError: The architecture has no record in `shapes`.
    """
    contract = CONTRACTS[task]
    shape = shape_of(contract.architecture)
    return Workload(
        task=task,
        architecture=shape.model_type,
        tokens_in=shape.tokens_in,
        batches=shape.batches,
        generation=_GENERATIONS[contract.answers],
    )


def articles(workload: Workload, batch: int) -> dict[str, npt.NDArray[np.int32]]:
    """Random articles, the same ones at every call; article ``i`` does not depend on ``batch``.

    Returns:
        ``input_ids``, ``attention_mask`` and, where the model reads such, ``token_type_ids``; INT32 (batch, tokens).
    """
    shape = shape_of(workload.architecture)
    first, last = shape.first, shape.last
    ids = np.zeros((batch, workload.tokens_in), np.int32)
    for row in range(batch):
        ids[row] = np.random.default_rng([0, row]).integers(_LOWEST_ID, _HIGHEST_ID, workload.tokens_in)
    ids[:, : len(first)] = first
    ids[:, workload.tokens_in - len(last) :] = last
    found = {INPUT_IDS.name: ids, ATTENTION_MASK.name: np.ones_like(ids)}
    if shape.last_type is not None:
        types = np.zeros_like(ids)
        types[:, -1] = shape.last_type
        found[TOKEN_TYPE_IDS.name] = types
    return found


def graph_inputs(workload: Workload, batch: int) -> dict[str, npt.NDArray[Any]]:
    """`articles` as our graphs take them: a text's settings travel as lengths of dummies, UINT8 (batch, n).

    A graph that can quote and sample takes `SENTENCE_ENDS` and `SAMPLING` too; they ask for neither.
    """
    found: dict[str, npt.NDArray[Any]] = dict(articles(workload, batch))
    if workload.generation:
        g = workload.generation
        values = {
            "min_length": g.tokens_out,
            "max_length": g.tokens_out,
            "num_beams": g.beams,
            "length_penalty": g.length_penalty,
        }
        found[SENTENCE_ENDS.name] = np.zeros((batch, 1), np.int32)
        found[SAMPLING.name] = np.zeros((batch, 1), np.float32)
        for setting in (one for one in CONTRACTS[workload.task].settings if one.by_length):
            found[setting.name] = np.zeros((batch, setting.encode(values[setting.name])), np.uint8)
    return found
