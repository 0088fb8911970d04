"""What the two graphs of a summarizer are made of: layers in floating point, or in int8, behind the same names.

What differs beside the operators is the shape of a hidden state in the decoder: (slots, beams, width) in floating
point, and (rows, width) in int8, as the native kernels take it.
"""

from __future__ import annotations

from typing import Protocol

from .logic import Logic
from .weights import Weights


class Layers(Protocol):
    """What the graphs are made of."""

    logic: Logic
    weights: Weights

    def dense(self, x: str, *names: str, activation: str = "") -> str:
        """Dense layers side by side."""

    def add_norm(self, x: str, skip: str, name: str) -> str:
        """Layer normalisation of ``x + skip``."""

    def embed(self, ids: str, rows: str, side: str) -> str:
        """The beginning of a side: words at ``ids`` and positions at ``rows``, of the same shape or (n,)."""

    def attend_all(self, parts: str, mask: str, heads: int) -> str:
        """Every token attends to all: queries, keys and values (slots, length, 3 width) to (slots, length, width)."""

    def cross_store(self, both: str, layer: int) -> dict[str, str]:
        """What the decoder reads of an article: tensors by name, from keys beside values."""

    def cross_mask(self, mask: str) -> dict[str, str]:
        """Likewise where it has tokens."""

    def attend_beams(self, parts: str, layer: int) -> tuple[str, dict[str, str]]:
        """Each beam attends to its own path: context, and the caches of the next step by name."""

    def attend_cross(self, query: str, layer: int) -> str:
        """Each beam attends to the article."""

    def prepare_step(self) -> None:
        """Write what all layers of a step share."""

    def logits(self, x: str) -> str:
        """The scores of the words, FLOAT (rows, columns)."""

    def advance(self, logits: str, *, choices: bool) -> dict[str, str]:
        """The search, see `advance.Advance`."""
