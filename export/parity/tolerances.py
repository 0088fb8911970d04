"""The limits of a parity check that a user may change; those of each number format are in `export.graph.precision`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far an export may be from its checkpoint, beside the limits of its `precision`."""

    token_f1: float = 0.75
    """Minimum mean token F1 between the summaries and the checkpoint's, where they need not be identical."""
    agreement: float | None = None
    """Minimum share of articles with the same label; None for the limit of the precision."""
    choice_probability: float = 0.03
    """Maximum mean difference of the probabilities that a head says of words and pairs, where it is not strict."""
    choice_length: float = 0.1
    """Maximum mean difference of the logarithms of the words that it expects a summary to have, likewise."""
    choice_rank: float = 0.95
    """Minimum rank correlation of the words' probabilities, likewise."""
