"""Which sentences of an article moved a classifier's answer, without Triton.

The method is occlusion: a sentence is left out, and its weight is how far the probability of the answered label falls
(Li, Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure", 2016, arXiv:1612.08220).
Where more than `ROUND` - 1 sentences were read, it takes two rounds: neighbours are left out together first, and then
each sentence of those groups that moved the answer most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

ROUND = 16
"""The most rows that a classifier is asked about in one round; there are two rounds, and no row comes twice."""
MOST = 3
"""The most findings."""
LEAST = 0.001
"""What moves a probability by less is no evidence: rounding and the int8 arithmetic of a model come near it."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Neighbouring sentences that are left out together; mostly one."""

    first: int
    """Its first sentence, counted from 0."""
    stop: int
    """The one after its last."""

    @property
    def size(self) -> int:
        """How many sentences it has."""
        return self.stop - self.first


Ask = Callable[[Sequence[Run | None]], Sequence[npt.NDArray[np.float32]]]
"""Asks a classifier about an article without a run of its sentences, or about all of it (None): the probabilities [C]
of each row."""


def explain(sentences: int, ask: Ask) -> list[tuple[Run, float]]:
    """The sentences that moved an answer most, at most `MOST`, the strongest first, with their weights.

    Of an article of one sentence nothing would be left: it has no evidence, and nothing is asked.

    Args:
        sentences: How many sentences were read.
        ask: Asks about at most `ROUND` rows.

    Returns:
        Runs that do not overlap. They are single sentences, but where no sentence of a group moves the answer by itself
        and all together do, or where there are more sentences than two rounds reach.
    """
    if sentences < 2:
        return []
    runs = split(Run(first=0, stop=sentences), ROUND - 1)
    whole, *others = ask([None, *runs])
    label = int(whole.argmax())
    falls = {run: float(whole[label] - one[label]) for run, one in zip(runs, others, strict=True)}
    groups = [run for run in _ranked(falls) if run.size > 1]
    inner = dict(zip(groups, _inside(groups), strict=False))
    if parts := [part for found in inner.values() for part in found]:
        falls |= {part: float(whole[label] - one[label]) for part, one in zip(parts, ask(parts), strict=True)}
    # A group that was not looked into says too little; one whose sentences count by themselves says nothing more.
    for group in groups:
        if any(falls[part] >= LEAST for part in inner.get(group, (group,))):
            del falls[group]
    return [(run, falls[run]) for run in _ranked(falls)[:MOST]]


def split(run: Run, most: int) -> list[Run]:
    """The run in parts whose sizes differ by one at most; no more than ``most`` of them."""
    count = min(most, run.size)
    bounds = [run.first + run.size * number // count for number in range(count + 1)]
    return [Run(first=first, stop=stop) for first, stop in pairwise(bounds)]


def _inside(groups: Sequence[Run]) -> Iterator[list[Run]]:
    """The sentences of the groups, those of as many groups as one round has room for, at most `MOST`."""
    room = ROUND
    for group in groups[:MOST]:
        parts = split(group, ROUND)
        room -= len(parts)
        if room < 0:
            return
        yield parts


def _ranked(falls: dict[Run, float]) -> list[Run]:
    """The runs that moved the answer, the strongest first; the earlier one of equals."""
    moved = [run for run, fall in falls.items() if fall >= LEAST]
    return sorted(moved, key=lambda run: (-falls[run], run.first))
