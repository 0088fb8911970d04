"""The contract between the rooms of Info Lens: tasks, models, tensors, labels and length buckets.

This is the one place that names them. The exporter builds every ``config.pbtxt`` from it, the client packs and
unpacks requests with it, and the tests check that the committed repository is in step with it. It imports nothing
but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CATEGORIES: Final = (
    "Business",
    "Politics",
    "Food & Drink",
    "Travel",
    "Parenting",
    "Style & Beauty",
    "Wellness",
    "World News",
    "Sports",
    "Entertainment",
)
"""The ten categories; the index is the class id."""

VERACITIES: Final = ("real", "fake")
"""The two verdicts; the index is the class id."""

LENGTH_BUCKETS: Final = (64, 128, 192, 256, 320, 384, 448, 512, 768, 1024)
"""Token lengths that inputs are padded to, so that requests meet in a batch (Triton batches equal shapes only).

A model whose limit is smaller uses the buckets below its limit, and the limit itself.
"""

MAX_ARTICLE_BYTES: Final = 262_144
"""Largest title plus text that the server tokenizes, in UTF-8 bytes; a longer one is refused with a clear error."""

ENSEMBLE: Final = "info_lens"
"""The ensemble that answers all three tasks at once."""


class Task(StrEnum):
    """What can be asked of an article."""

    SUMMARY = "summary"
    CATEGORY = "category"
    VERACITY = "veracity"


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input or output of a model in the repository."""

    name: str
    dtype: str
    """A Triton type without the ``TYPE_`` prefix of the configuration files: ``INT64``, ``FP32``, ``BYTES``..."""
    dims: tuple[int, ...]
    """Shape without the batch dimension; -1 is a dimension that varies."""
    optional: bool = False
    """Whether a request may leave the input out."""


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
SETTING_DUMMIES: Final = tuple(Tensor(name=s.name, dtype="UINT8", dims=(-1,)) for s in SUMMARY_SETTINGS)

INPUT_IDS: Final = Tensor(name="input_ids", dtype="INT32", dims=(-1,))
ATTENTION_MASK: Final = Tensor(name="attention_mask", dtype="INT32", dims=(-1,))
TOKEN_TYPE_IDS: Final = Tensor(name="token_type_ids", dtype="INT32", dims=(-1,))
SEQUENCES: Final = Tensor(name="sequences", dtype="INT32", dims=(-1,))
TOKENS: Final = Tensor(name="tokens", dtype="INT32", dims=(1,))
"""How many tokens the whole article has, special tokens included."""
TRUNCATED_TOKENS: Final = Tensor(name="truncated_tokens", dtype="INT32", dims=(1,))
"""How many of them the model did not read; 0 when it read the whole article."""


@dataclass(frozen=True, kw_only=True)
class TaskContract:
    """Everything that has a name in one task: its models, their tensors and its answers."""

    task: Task
    ensemble: str
    """The ensemble that answers this task alone."""
    model: str
    """The ONNX model; also the prefix of the two models around it."""
    post: str
    """Suffix of the model that turns the ONNX model's outputs into text: ``text`` or ``labels``."""
    reads: tuple[str, ...]
    """The inputs that the tokenizer joins with a line break, in this order."""
    inputs: tuple[Tensor, ...]
    """Inputs of the ensemble."""
    model_inputs: tuple[Tensor, ...]
    model_outputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    """Outputs of the ensemble's last model, under the same names in the ensembles."""
    labels: tuple[str, ...] = ()

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer model, such as ``bart_tokenizer``."""
        return f"{self.model}_tokenizer"

    @property
    def postprocessor(self) -> str:
        """Name of the last model, such as ``bart_text`` or ``xlnet_labels``."""
        return f"{self.model}_{self.post}"

    @property
    def tokens_output(self) -> str:
        """Name in the ensembles of the tokenizer's ``tokens`` output."""
        return f"{self.task.value}_tokens"

    @property
    def truncated_output(self) -> str:
        """Name in the ensembles of the tokenizer's ``truncated_tokens`` output."""
        return f"{self.task.value}_truncated_tokens"

    @property
    def ensemble_outputs(self) -> tuple[Tensor, ...]:
        """All outputs of this task in the ensembles, in the order of the configuration."""
        return (
            *self.outputs,
            Tensor(name=self.tokens_output, dtype="INT32", dims=(1,)),
            Tensor(name=self.truncated_output, dtype="INT32", dims=(1,)),
        )


def _classifier(
    *, task: Task, ensemble: str, model: str, labels: tuple[str, ...], extra: tuple[Tensor, ...] = ()
) -> TaskContract:
    name = task.value
    return TaskContract(
        task=task,
        ensemble=ensemble,
        model=model,
        post="labels",
        reads=(TITLE.name, TEXT.name),
        inputs=(TITLE, TEXT),
        model_inputs=(INPUT_IDS, ATTENTION_MASK, *extra),
        model_outputs=(Tensor(name="probabilities", dtype="FP32", dims=(len(labels),)),),
        outputs=(
            Tensor(name=name, dtype="BYTES", dims=(1,)),
            Tensor(name=f"{name}_probability", dtype="FP32", dims=(1,)),
            Tensor(name=f"{name}_probabilities", dtype="FP32", dims=(len(labels),)),
        ),
        labels=labels,
    )


CONTRACTS: Final[dict[Task, TaskContract]] = {
    Task.SUMMARY: TaskContract(
        task=Task.SUMMARY,
        ensemble="summarize",
        model="bart",
        post="text",
        reads=(TEXT.name,),
        inputs=(TEXT, *SETTING_INPUTS),
        model_inputs=(INPUT_IDS, ATTENTION_MASK, *SETTING_DUMMIES),
        model_outputs=(SEQUENCES,),
        outputs=(Tensor(name="summary", dtype="BYTES", dims=(1,)),),
    ),
    Task.CATEGORY: _classifier(task=Task.CATEGORY, ensemble="classify", model="distilbert", labels=CATEGORIES),
    Task.VERACITY: _classifier(
        task=Task.VERACITY, ensemble="verify", model="xlnet", labels=VERACITIES, extra=(TOKEN_TYPE_IDS,)
    ),
}
"""The three tasks, in the order in which answers are shown."""


def buckets_up_to(limit: int, buckets: tuple[int, ...] = LENGTH_BUCKETS) -> tuple[int, ...]:
    """The length buckets of a model that reads at most ``limit`` tokens; the last one is ``limit`` itself.

    Raises:
        ValueError: ``limit`` is not positive.
    """
    if limit < 1:
        raise ValueError(f"a model reads at least 1 token, not {limit}")
    return (*(bucket for bucket in buckets if bucket < limit), limit)
