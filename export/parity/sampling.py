"""The plain form of sampling: which word a uniform number stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor, TopPLogitsWarper


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a summary is drawn."""

    temperature: float
    top_p: float
    numbers: npt.NDArray[np.float32]
    """One for each step, in [0, 1)."""

    @classmethod
    def of(cls, temperature: float, top_p: float, seed: int, steps: int) -> Sampling:
        """Draw the numbers of a seed."""
        numbers = np.random.Generator(np.random.Philox(key=seed)).random(steps, np.float32)
        return cls(temperature=temperature, top_p=top_p, numbers=numbers)

    @property
    def row(self) -> npt.NDArray[np.float32]:
        """The graph's input: FLOAT (2 + steps,)."""
        return np.array([self.temperature, self.top_p, *self.numbers], np.float32)


class Sample(LogitsProcessor):
    """Leaves one word to a greedy search: the one that the step's number stands for. The last of all processors."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._nucleus = TopPLogitsWarper(sampling.top_p)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores (1, words) with one that is not minus infinity."""
        kept = self._nucleus(input_ids, scores / self._sampling.temperature)
        odds, order = kept.softmax(-1).sort(descending=True, stable=True)
        number = float(self._sampling.numbers[input_ids.shape[1] - 1])
        place = int((odds.cumsum(-1) <= number * odds.sum()).sum())
        one = torch.full_like(scores, -torch.inf)
        one[0, order[0, min(place, int((odds > 0).sum()) - 1)]] = 0
        return one
