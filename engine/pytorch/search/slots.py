"""The searches of all slots as tensors of PyTorch, by the names of `engine.tensors`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from engine.article import beginning, wishes_of
from engine.settings import Bucket, Rules, Settings
from engine.tensors import CHOICES, QUOTED, STATE, WISHES, StepTensor

Rows = Mapping[str, npt.NDArray[np.generic]]
"""What is written into a slot, by the name of the tensor, without the first dimension."""


class Slots(NamedTuple):
    """The state of all searches and their wishes, see `engine.tensors`: what every step reads and changes."""

    length: torch.Tensor
    newest: torch.Tensor
    tokens: torch.Tensor
    running: torch.Tensor
    visible: torch.Tensor
    best_tokens: torch.Tensor
    best_scores: torch.Tensor
    finished: torch.Tensor
    improvable: torch.Tensor
    done: torch.Tensor
    min_length: torch.Tensor
    max_length: torch.Tensor
    num_beams: torch.Tensor
    no_repeat_ngram_size: torch.Tensor
    early_stopping: torch.Tensor
    horizon: torch.Tensor
    spans: torch.Tensor

    def first(self, count: int) -> Slots:
        """The same of the first slots alone."""
        return Slots(*(tensor[:count] for tensor in self))


class Choices(NamedTuple):
    """What a step reads and changes where a slot quotes or draws."""

    quoting: torch.Tensor
    quote_tokens: torch.Tensor
    quote_ends: torch.Tensor
    quote_starts: torch.Tensor
    quote_lasts: torch.Tensor
    sampling: torch.Tensor
    quoted: torch.Tensor

    def first(self, count: int) -> Choices:
        """The same of the first slots alone."""
        return Choices(*(tensor[:count] for tensor in self))


class Lists(NamedTuple):
    """Tokens of the rules on the device, INT64 (n,)."""

    never: torch.Tensor
    never_first: torch.Tensor


def make_slots(bucket: Bucket, rules: Rules, device: str) -> Slots:
    """Empty slots: their searches are done."""
    rows = {**wishes_of(Settings(max_length=2), bucket), **beginning(bucket, rules), "done": np.asarray(True)}
    return Slots(**_repeated(rows, (*STATE, *WISHES), bucket, device))


def make_choices(bucket: Bucket, device: str) -> Choices:
    """Slots that neither quote nor draw."""
    tensors = (*CHOICES, QUOTED)
    rows = {tensor.name: np.zeros(shape_of(tensor, bucket), tensor.numpy) for tensor in tensors}
    rows["quote_ends"] -= 1
    return Choices(**_repeated(rows, tensors, bucket, device))


def make_lists(rules: Rules, device: str) -> Lists:
    """The lists of the rules."""
    return Lists(
        *(torch.tensor(tokens, dtype=torch.int64, device=device) for tokens in (rules.never, rules.never_first))
    )


def fresh_rows(bucket: Bucket, rules: Rules, device: str) -> dict[str, torch.Tensor]:
    """What every search begins with, by name: (1, ...) each."""
    return {name: torch.tensor(row, device=device)[None] for name, row in beginning(bucket, rules).items()}


class Moves:
    """Copies the search of a slot to another one, in one kernel for each type of number."""

    def __init__(self, slots: Slots, choices: Choices) -> None:
        """Look at the slots one by one, which takes milliseconds: it is done once."""
        self._done = slots.done
        self._rows: list[list[list[torch.Tensor]]] = []
        """By slot and by type."""
        tensors = (*slots, *choices)
        types = dict.fromkeys(tensor.dtype for tensor in tensors)
        by_type = [[tensor for tensor in tensors if tensor.dtype is dtype] for dtype in types]
        for slot in range(len(slots.done)):
            self._rows.append([[tensor[slot] for tensor in group] for group in by_type])

    def move(self, source: int, target: int) -> None:
        """Copy a search; where it was, it is done."""
        for to, come_from in zip(self._rows[target], self._rows[source], strict=True):
            torch._foreach_copy_(to, come_from)
        self._done[source].fill_(True)


def shape_of(tensor: StepTensor, bucket: Bucket) -> tuple[int, ...]:
    """The shape of a slot's part of a tensor."""
    sizes = bucket.sizes
    return tuple(int(dim) if dim.isdigit() else sizes[dim] for dim in tensor.dims[1:])


def _repeated(rows: Rows, tensors: tuple[StepTensor, ...], bucket: Bucket, device: str) -> dict[str, torch.Tensor]:
    found = {}
    for name in (tensor.name for tensor in tensors):
        row = torch.tensor(rows[name], device=device)
        found[name] = row[None].repeat(bucket.slots, *[1] * row.dim())
    return found
