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


_OF_THE_MODEL: Final = frozenset({"max_length", "num_beams", "style"})
_LEFT_OUT: Final = {
    "max_length": "the model's own, 80 as a rule",
    "num_beams": "the model's own, 1 or 2 as a rule",
    "style": "the model's own",
    "seed": "a new one for each request",
}


@dataclass(frozen=True, kw_only=True)
class SummarySetting:
    """A setting of the summary that a request may carry.

    Triton's dynamic batcher keeps requests of unequal shapes apart. A setting of the beam search therefore travels from
    the tokenizer to the graph as the LENGTH of a dummy ``UINT8`` tensor: requests with different settings never share
    a batch. The other settings decide what the tokenizer puts into `SENTENCE_ENDS` and `SAMPLING`.
    """

    name: str
    dtype: str
    """``INT32``, ``FP32`` or ``BYTES``: the type of the request's input."""
    minimum: float
    maximum: float
    default: float
    """An index where there are ``choices``, as are ``minimum`` and ``maximum``."""
    steps_per_unit: int = 1
    """Dummy elements per unit; 10 keeps one decimal of a ``FP32`` setting."""
    by_length: bool = True
    """Whether the setting travels as the length of a dummy."""
    choices: tuple[str, ...] = ()
    """The values of a ``BYTES`` setting."""

    @property
    def rule(self) -> str:
        """Which values it may have, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = {"INT32": "a whole number", "FP32": "a number"}[self.dtype]
        return f"{kind} from {self.minimum:.15g} to {self.maximum:.15g}"

    @property
    def left_out(self) -> str:
        """What counts where a request leaves it out, in words."""
        return _LEFT_OUT.get(self.name, f"{self.default:g}")

    @property
    def varies(self) -> bool:
        """Whether what counts then is no fixed value, ``default``."""
        return self.name in _LEFT_OUT

    @property
    def of_the_model(self) -> bool:
        """Whether what counts then is what the served model carries."""
        return self.name in _OF_THE_MODEL

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
    SummarySetting(
        name="style", dtype="BYTES", minimum=0, maximum=1, default=0, by_length=False, choices=("free", "extractive")
    ),
    SummarySetting(name="temperature", dtype="FP32", minimum=0.0, maximum=2.0, default=0.0, by_length=False),
    SummarySetting(name="top_p", dtype="FP32", minimum=0.05, maximum=1.0, default=1.0, by_length=False),
    SummarySetting(name="seed", dtype="INT32", minimum=0, maximum=2**31 - 1, default=0, by_length=False),
)
"""Per-request settings of the summary; lengths count tokens, the start and end tokens included.

``style`` left out is the style of the served model. ``temperature`` 0 searches; above 0 one summary is drawn, from the
likeliest tokens that hold ``top_p`` of the probability together. ``seed`` left out is drawn anew for each request.
"""

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
UNREAD: Final = Tensor(name="unread", dtype="BYTES", dims=(1,), optional=True)
"""Which characters of the text, as the caller sent it, the model did not read: a JSON list of ``[start, end]``, in
their order and without blanks at the ends of each; ``[]`` when it read the whole text."""
UNCLEAR: Final = Tensor(name="unclear", dtype="INT32", dims=(1,))
"""From the tokenizer of a classifier to its last model: why none can judge the text; 0 where it can, else a key of
`UNCLEAR_REASONS`."""
UNCLEAR_REASONS: Final[Mapping[int, str]] = {
    1: "text too short",
    2: "too little of the text was read",
    3: "too many words that the model does not know",
}
"""What the values of `UNCLEAR` mean, in the words of an answer."""
SENTENCE_ENDS: Final = Tensor(name="sentence_ends", dtype="INT32", dims=(-1,))
"""Which sentences of the article a summary may quote, (n, length) as the tokens where it may only quote.

At each position of the row: the index of the last token of the sentence to which the position belongs; -1 where it
belongs to none (special tokens, padding, line breaks between sentences); `NEVER_ENDS` in a sentence that the model does
not read to its end, or not in one piece. Where nothing must be quoted, (n, 1) of zeros.
"""
NEVER_ENDS: Final = 2**30
SAMPLING: Final = Tensor(name="sampling", dtype="FP32", dims=(-1,))
"""How one summary is drawn: (n, 1) of zero for a search; else temperature, ``top_p``, and for each of ``max_length``
steps a number in [0, 1) that was drawn evenly, by Philox under ``seed`` plus the row."""
SOURCE: Final = Tensor(name="source", dtype="BYTES", dims=(1,))
"""From the tokenizer of a text's task to its last model, a JSON object: ``text``, the article as the caller sent it but
for control characters, which are blanks; ``sentences``, the ``[start, end]`` of each in characters of it; ``verbatim``,
whether the article is its own summary, being no longer than the least one; ``style``, one of that setting's choices."""
FAILED: Final = Tensor(name="failed", dtype="BYTES", dims=(1,))
"""Output of the model of all tasks, in a request with the parameter ``partial``: a JSON object from the name of each
task that failed to the reason, the same for every article of the request; ``{}`` when none failed."""
EVIDENCE: Final = Tensor(name="evidence", dtype="BYTES", dims=(1,))
"""Output of the model of all tasks, in a request with the parameter ``evidence``: a JSON object from each classifier's
task that is asked for to its entries ``{"index", "start", "end", "weight"}``, as `infolens.types.Evidence` has them."""
