"""What the reference of a parity check is: the answers of a checkpoint in ``transformers``, and its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy.typing as npt
import torch

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import Batch
from export.graph.precision import Precision

from .report import ParityReport
from .tolerances import Tolerances

Feeds = dict[str, npt.NDArray[Any]]
"""The inputs of a graph, by name."""
Run = Callable[[Feeds], npt.NDArray[Any]]
"""Runs a graph; returns its one output."""
Encode = Callable[[Sequence[str]], Batch]
"""Encodes texts as the server does."""


class Reference(Protocol):
    """The answers of a checkpoint, with the inputs that they belong to; it does not hold the checkpoint itself."""

    def compare(self, report: ParityReport, precision: Precision, name: str, run: Run, limits: Tolerances) -> None:
        """Run a graph on the same inputs, and record how near its answers are.

        Args:
            report: Gets the measured values.
            precision: The graph's precision, which has limits of its own.
            name: What the names of the values start with.
            run: Runs the graph.
            limits: The other limits.
        """


def reference_inputs(checkpoint: Checkpoint, text: str) -> dict[str, torch.Tensor]:
    """A text as the checkpoint's own tokenizer encodes it: INT64 (1, tokens), truncated and without padding."""
    encoded = checkpoint.tokenizer(
        text,
        truncation=True,
        max_length=checkpoint.max_tokens,
        return_tensors="pt",
        # Explicit, because a tokenizer may omit by default what its model would have read.
        return_token_type_ids=checkpoint.architecture.token_types,
    )
    return dict(encoded)
