"""The number formats of exported models: one record for each, with the limits of its parity check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LABELS: Final = "labels"
"""Classifiers, among the forms of models."""


@dataclass(frozen=True, kw_only=True)
class NumberFormat:
    """How a graph stores and multiplies at a precision, and how near its answers must be to the checkpoint's."""

    integers: bool
    """Dense layers and embeddings hold int8 weights with a scale for each column or row, and native operators run
    them: such a graph is compared with its checkpoint on these too."""
    half: bool
    """Weights are stored, and products computed, in fp16; sums, normalisations and softmax stay in fp32."""
    weight_bytes: float
    """Bytes that a weight takes on the disk, on average; some, such as positions, stay in fp32 at every precision."""
    probability: float
    """Maximum difference of a probability."""
    alone: float
    """Maximum difference of a probability between an article alone and the same article in a batch."""
    mean_probability: float = 1.0
    """Maximum mean difference of the probabilities."""
    agreement: float = 0.0
    """Minimum share of articles with the same label; articles whose two best labels are within ``probability`` of each
    other in the checkpoint do not count."""
    same_summaries: float = 0.0
    """Minimum share of summaries that equal the checkpoint's token for token."""
    same_alone: float = 1.0
    """Minimum share of summaries that are the same alone and in a batch."""
    forms: tuple[str, ...] = ("loop", "step", LABELS)
    """The forms of models that write texts that have it, and `LABELS` if classifiers do."""


class Precision(StrEnum):
    """The number format of the weights of an exported model."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"

    @property
    def number_format(self) -> NumberFormat:
        """The record of this precision.

        Raises:
            KeyError: It has no record in `FORMATS`.
        """
        return FORMATS[self]


FORMATS: Final = {
    Precision.FP32: NumberFormat(
        integers=False, half=False, weight_bytes=4.1, probability=1e-4, alone=1e-4, same_summaries=1.0
    ),
    # In fp16 the size of a batch changes how products are rounded, which decides between near ties.
    Precision.FP16: NumberFormat(
        integers=False, half=True, weight_bytes=2.2, probability=5e-3, alone=5e-3, same_alone=0.0
    ),
    # Seldom the same word for word: eight bits of a number are left.
    Precision.BF16: NumberFormat(
        integers=False,
        half=True,
        weight_bytes=2.2,
        probability=5e-2,
        alone=5e-2,
        same_alone=0.0,
        forms=("step", LABELS),
    ),
    Precision.INT8: NumberFormat(
        integers=True, half=False, weight_bytes=1.25, probability=0.1, alone=1e-4, mean_probability=0.02, agreement=0.9
    ),
}
"""The record of every precision. A new one is a member of `Precision` and its record here."""


def precisions_of(form: str) -> list[Precision]:
    """The precisions that a form of a model has."""
    return [precision for precision in Precision if form in precision.number_format.forms]
