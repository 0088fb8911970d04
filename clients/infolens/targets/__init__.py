"""Where models compute: on CPUs, on a GPU with CUDA, or on a GPU with TensorRT.

A target is chosen twice by the same word: ``python -m export TASK --target cuda`` writes a model for it, and
``python -m serving --target cuda`` serves it there. This is the one place that says what belongs to a target. It
imports nothing but the standard library.

>>> Target.CUDA.record.default_precision
'fp16'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ENGINE_ON_CUDA: Final = "torch"
"""What the engine of summaries computes with on the target cuda: the faster one, as measured, of ``torch`` (PyTorch)
and ``cuda`` (ONNX Runtime)."""


class Target(StrEnum):
    """What models compute on."""

    CPU = "cpu"
    """The processor's cores."""
    CUDA = "cuda"
    """A GPU of NVIDIA's, with ONNX Runtime and PyTorch."""
    TENSORRT = "tensorrt"
    """A GPU of NVIDIA's, with TensorRT."""

    @property
    def record(self) -> TargetRecord:
        """What belongs to this target.

        Raises:
            KeyError: It has no record in `TARGETS`.
        """
        return TARGETS[self]


@dataclass(frozen=True, kw_only=True)
class TargetRecord:
    """What belongs to a target."""

    config_name: str | None
    """The name of its configurations: a model that can run there has ``configs/NAME.pbtxt``, which Triton takes with
    ``--model-config-name NAME``. None for the ``config.pbtxt`` that every model has."""
    precisions: tuple[str, ...]
    """The number formats of models that run there, the default first."""
    text_forms: tuple[str, ...]
    """The forms that a model which writes texts may have there, the default first: ``loop`` is one graph with the
    search in it, ``step`` an engine with slots."""
    device: str
    """What that engine is told to compute on, one of ``engine.opening.DEVICES`` or ``auto``."""
    on_gpu: bool
    """Whether instances of classifiers are of KIND_GPU, and a machine without a GPU is refused."""
    length_buckets: tuple[int, ...]
    """The token lengths that inputs are padded to, growing; empty for those of the deployment."""
    runtime: str
    """The folder, in the cache, of the environment that Triton runs in."""
    requirements: tuple[str, ...]
    """The files in ``requirements/`` that pin the environment; all of them are installed."""
    runtime_bytes: int
    """What the environment takes of a disk, about."""

    @property
    def default_precision(self) -> str:
        """The number format of an export that names none."""
        return self.precisions[0]

    @property
    def default_text_form(self) -> str:
        """The form of a summarizer's export that names none."""
        return self.text_forms[0]

    def fault(self, *, precision: str, writes_texts: bool, form: str) -> str:
        """Why a model cannot run there, as a rule with the value; empty where nothing speaks against it.

        Args:
            precision: The number format of the model.
            writes_texts: Whether it writes texts, rather than giving labels.
            form: ``loop`` or ``step``; labels have no other than ``loop``.
        """
        if precision not in self.precisions:
            known = ", ".join(self.precisions)
            why = ", whose products of integers have kernels for CPUs alone" if precision == "int8" else ""
            return f"models run there in {known}, not in {precision}{why}"
        if writes_texts and form not in self.text_forms:
            return f"texts are written there in the form {' or '.join(self.text_forms)}, not {form}"
        return ""


_GPU_LENGTHS: Final = (128, 256, 512)
# A graph of CUDA is recorded for each length and each size of a batch, so few lengths; and a GPU computes 128 tokens
# about as fast as 64.

TARGETS: Final[Mapping[Target, TargetRecord]] = {
    Target.CPU: TargetRecord(
        config_name=None,
        precisions=("int8", "fp32", "fp16"),
        text_forms=("loop", "step"),
        device="auto",
        on_gpu=False,
        length_buckets=(),
        runtime="triton",
        requirements=("triton.txt",),
        runtime_bytes=300_000_000,
    ),
    # int8 is missing on GPUs: the exported integer products are operators of our own, which have kernels for CPUs
    # alone, and the tensor cores of a GPU want fp16 rather than integers with a scale for each column.
    Target.CUDA: TargetRecord(
        config_name="cuda",
        precisions=("fp16", "bf16", "fp32"),
        text_forms=("step",),
        device=ENGINE_ON_CUDA,
        on_gpu=True,
        length_buckets=_GPU_LENGTHS,
        runtime="triton-gpu",
        requirements=("triton-gpu.txt",),
        runtime_bytes=7_000_000_000,
    ),
    Target.TENSORRT: TargetRecord(
        config_name="tensorrt",
        precisions=("fp16", "bf16"),
        text_forms=("step",),
        device="tensorrt",
        on_gpu=True,
        length_buckets=_GPU_LENGTHS,
        runtime="triton-tensorrt",
        requirements=("triton-gpu.txt", "triton-tensorrt.txt"),
        runtime_bytes=12_000_000_000,
    ),
}
"""The record of every target. A new one is a member of `Target` and its record here."""
