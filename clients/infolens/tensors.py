"""Tensors and settings of the contract: what travels between the models, by name, type and shape.

Like `contract`, from where everybody takes them, it imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input or output of a model in the repository."""

    name: str
    dtype: str
    """A Triton type without the ``TYPE_`` prefix of the configuration files: ``INT64``, ``FP32``, ``BYTES``..."""
    dims: tuple[int, ...]
    """Shape without the batch dimension; -1 is a dimension that varies."""
    optional: bool = False
    """Whether a request may leave the input out, or a server of an earlier version the output."""


@dataclass(frozen=True, kw_only=True)
class SummarySetting:
    """A setting of the beam search that a request may carry.

    Triton's dynamic batcher keeps requests of unequal shapes apart. A setting therefore travels from the tokenizer to
    the BART graph as the LENGTH of a dummy ``UINT8`` tensor: requests with different settings never share a batch.
    """

    name: str
    dtype: str
    """``INT32`` or ``FP32``: the type of the request's input."""
    minimum: float
    maximum: float
    default: float
    steps_per_unit: int = 1
    """Dummy elements per unit; 10 keeps one decimal of a ``FP32`` setting."""

    def encode(self, value: float) -> int:
        """The number of dummy elements that stands for ``value``; at least 1, since no tensor may be empty."""
        return 1 + round((value - self.minimum) * self.steps_per_unit)

    def decode(self, length: int) -> float:
        """The value that ``length`` dummy elements stand for: the inverse of `encode`."""
        return (length - 1) / self.steps_per_unit + self.minimum


SUMMARY_SETTINGS: Final = (
    SummarySetting(name="min_length", dtype="INT32", minimum=0, maximum=256, default=16),
    SummarySetting(name="max_length", dtype="INT32", minimum=4, maximum=256, default=80),
    SummarySetting(name="num_beams", dtype="INT32", minimum=1, maximum=8, default=2),
    SummarySetting(name="length_penalty", dtype="FP32", minimum=-4.0, maximum=4.0, default=1.0, steps_per_unit=10),
)
"""Per-request settings of the summary; lengths count tokens, the start and end tokens included."""

TITLE: Final = Tensor(name="title", dtype="BYTES", dims=(1,), optional=True)
TEXT: Final = Tensor(name="text", dtype="BYTES", dims=(1,))
SETTING_INPUTS: Final = tuple(
    Tensor(name=setting.name, dtype=setting.dtype, dims=(1,), optional=True) for setting in SUMMARY_SETTINGS
)

INPUT_IDS: Final = Tensor(name="input_ids", dtype="INT32", dims=(-1,))
ATTENTION_MASK: Final = Tensor(name="attention_mask", dtype="INT32", dims=(-1,))
TOKEN_TYPE_IDS: Final = Tensor(name="token_type_ids", dtype="INT32", dims=(-1,))
SEQUENCES: Final = Tensor(name="sequences", dtype="INT32", dims=(-1,))
TOKENS: Final = Tensor(name="tokens", dtype="INT32", dims=(1,))
"""How many tokens the whole article has, special tokens included."""
TRUNCATED_TOKENS: Final = Tensor(name="truncated_tokens", dtype="INT32", dims=(1,))
"""How many of them the model did not read; 0 when it read the whole article."""
VERBATIM: Final = Tensor(name="verbatim", dtype="BYTES", dims=(1,), optional=True)
"""From the tokenizer of a text's task to its last model: an article that is no longer than the least summary, which is
its own; empty where the model writes one."""
UNCLEAR: Final = Tensor(name="unclear", dtype="INT32", dims=(1,))
"""From the tokenizer of a classifier to its last model: why none can judge the text; 0 where it can, else a key of
`UNCLEAR_REASONS`."""
UNCLEAR_REASONS: Final[Mapping[int, str]] = {
    1: "text too short",
    2: "too little of the text was read",
    3: "too many words that the model does not know",
}
"""What the values of `UNCLEAR` mean, in the words of an answer."""
FAILED: Final = Tensor(name="failed", dtype="BYTES", dims=(1,))
"""Output of the model of all tasks, in a request with the parameter ``partial``: a JSON object from the name of each
task that failed to the reason, the same for every article of the request; ``{}`` when none failed."""
