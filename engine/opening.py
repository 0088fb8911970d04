"""Opens an engine: reads a folder, chooses the device, and says what each worker's executors are."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import artefact as artefacts
from .artefact import Artefact
from .executor import Executor, UnavailableError
from .scheduling.engine import Engine, Plan
from .scheduling.seats import Make
from .settings import Bucket
from .sharing import bear_captures, leave_the_common_stream

AUTO: Final = "auto"
_TOGETHER: Final = {"torch": (8, 4)}
"""Devices that read articles together: how many join at most between two steps, and after how many steps they do where
fewer have come. Simulated with the times of an H100 (300 articles a second, 60 tokens, 32 slots), the encoder's share
of the card falls from 29 to 22 %, and the 99th percentile of the latency from 207 to 121 ms."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How an engine computes, and how much it holds."""

    device: str = AUTO
    """A key of `DEVICES`, or ``auto``: TensorRT, ONNX Runtime or PyTorch on a GPU, whichever can be used first, where
    there is a GPU and the graphs are in floating point; else the CPU."""
    workers: int = 0
    """Threads; 0 for one on a GPU, and for one for each core on a CPU."""
    slots: int = 4
    """Articles at a time, for each worker and each number of beams."""
    beams: tuple[int, ...] = (1, 2, 4, 8)
    """Beams of the buffers, growing: a summary has the first of them that are enough. On a CPU buffers are made for
    the first summary that needs them, on a GPU when the engine is opened."""
    source_length: int = 1024
    """Tokens of the longest article."""
    target_length: int = 142
    """Tokens of the longest summary, start and end included."""
    max_waiting: int = 64
    """Articles that wait at most while no slot is free for them."""
    joins_per_step: int = 0
    """Articles that join at most between two steps; 0 for one, or for eight where PyTorch reads several together."""
    operators: Path | None = None
    """The library of native operators, for int8 on a CPU; None computes the same without it."""
    memory_bytes: int = 0
    """What ONNX Runtime takes at most of a GPU's memory for each session; 0 for no limit."""
    plans: Path | None = None
    """Where TensorRT keeps what it has built; None keeps it beside the graphs."""
    shared: bool = False
    """Whether others compute on the same GPU in this process (`engine.sessions.host`)."""

    def __post_init__(self) -> None:
        if self.device != AUTO and self.device not in DEVICES:
            raise ValueError(f"device is one of {', '.join((AUTO, *DEVICES))}, not {self.device!r}")
        for name in ("workers", "memory_bytes", "joins_per_step"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is 0 or more, not {getattr(self, name)}")

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The sizes of the buffers.

        Raises:
            ValueError: A size is out of its range.
        """
        return tuple(
            Bucket(slots=self.slots, beams=beams, source_length=self.source_length, target_length=self.target_length)
            for beams in self.beams
        )


def open_engine(folder: Path, options: EngineOptions | None = None) -> Engine:
    """Open the engine of a folder of graphs.

    Raises:
        ValueError: The folder cannot be used, or an option does not fit it; the message says what helps.
        UnavailableError: The device cannot be used; the message says which library is missing.
    """
    options = options or EngineOptions()
    artefact = artefacts.read(folder)
    _check(options, artefact)
    if options.device != AUTO:
        return _open(options.device, artefact, options)
    for device in _GPUS if artefact.precision in FLOATS and has_gpu() else ():
        try:
            return _open(device, artefact, options)
        except Exception as error:  # Whatever a library, or a driver without memory, may raise.
            _LOG.warning("the engine does not use %s: %s", device, error)
    return _open("cpu", artefact, options)


def has_gpu() -> bool:
    """Whether this machine has a GPU of NVIDIA's, by its device files."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def _check(options: EngineOptions, artefact: Artefact) -> None:
    positions, window = artefact.architecture.positions, artefact.architecture.window
    # A model that reads windows has positions for one of them.
    lengths = {"target_length": options.target_length, "source_length": 0 if window else options.source_length}
    for name, length in lengths.items():
        if length > positions:
            raise ValueError(f"{name} is at most {positions}, the positions of this model, not {length}")
    if window and options.source_length > window and options.source_length % window:
        raise ValueError(
            f"source_length is at most {window}, or a multiple of it, as this model reads {window} tokens at a time; "
            f"not {options.source_length}"
        )


def _open(device: str, artefact: Artefact, options: EngineOptions) -> Engine:
    on_cpu = device == "cpu"
    if not on_cpu and artefact.precision not in FLOATS:
        raise ValueError(
            f"the device {device} runs {', '.join(FLOATS)}, and {artefact.folder} is in {artefact.precision}, whose "
            "products have kernels for CPUs alone: export the model in one of these, or set the device to cpu"
        )
    joins, gather_rounds = _TOGETHER.get(device, (1, 1))
    made = DEVICES[device](artefact, options)
    plan = Plan(
        buckets=options.buckets,
        rules=artefact.rules,
        vocabulary=artefact.architecture.vocabulary,
        make=_beside_others(made, device) if options.shared and not on_cpu else made,
        workers=options.workers or (len(os.sched_getaffinity(0)) if on_cpu else 1),
        max_waiting=options.max_waiting,
        joins_per_step=options.joins_per_step or joins,
        gather_rounds=gather_rounds,
        eager=not on_cpu,
    )
    return Engine(plan)


def _beside_others(make: Make, device: str) -> Make:
    """Makes the same executors for a process in which others use the GPU too."""

    def make_beside(bucket: Bucket) -> Executor:
        bear_captures()
        if device == "torch":
            leave_the_common_stream()
        return make(bucket)

    return make_beside


def _on_cpu(artefact: Artefact, options: EngineOptions) -> Make:
    from .ort.cpu import CpuExecutor
    from .ort.graphs import CpuGraphs

    graphs = CpuGraphs(artefact, options.operators)
    # What cannot be run is refused now, and not with the first article.
    for session in (graphs.encoder, graphs.plain):
        session()

    def make(bucket: Bucket) -> Executor:
        return CpuExecutor(graphs, bucket)

    return make


def _on_cuda(artefact: Artefact, options: EngineOptions) -> Make:
    from .ort.cuda import CudaExecutor, CudaOptions
    from .ort.devices import Device

    chosen = CudaOptions(device=Device(memory_bytes=options.memory_bytes))

    def make(bucket: Bucket) -> Executor:
        return CudaExecutor(artefact, bucket, chosen)

    return make


def _on_tensorrt(artefact: Artefact, options: EngineOptions) -> Make:
    from .trt.executor import open_executor

    plans = options.plans or artefact.path("plans")

    def make(bucket: Bucket) -> Executor:
        return open_executor(artefact, bucket, plans)

    return make


def _in_torch(artefact: Artefact, _options: EngineOptions) -> Make:
    try:
        import torch
    except ImportError as error:
        raise UnavailableError(f"PyTorch is missing ({error}): install torch, or take another device") from error
    from .pytorch.executor import TorchExecutor
    from .pytorch.model.reading import DTYPES, read_weights

    weights = read_weights(artefact, DTYPES[artefact.precision], "cuda" if torch.cuda.is_available() else "cpu")

    def make(bucket: Bucket) -> Executor:
        executor = TorchExecutor(weights, artefact.architecture, artefact.rules, bucket, spacing=artefact.spacing)
        executor.warm()
        return executor

    return make


DEVICES: Final[dict[str, Callable[[Artefact, EngineOptions], Make]]] = {
    "cpu": _on_cpu,
    "cuda": _on_cuda,
    "tensorrt": _on_tensorrt,
    "torch": _in_torch,
}
"""How executors are made on each device: ONNX Runtime on a CPU or a GPU, TensorRT, PyTorch."""
FLOATS: Final = ("fp32", "fp16", "bf16")
"""The precisions that GPUs run."""
_GPUS: Final = ("tensorrt", "cuda", "torch")
"""What ``auto`` tries, in this order."""
