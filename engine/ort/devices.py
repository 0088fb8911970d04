"""Sessions and memory on a device of ONNX Runtime: a GPU, or in its place a CPU, on which its logic can be tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.executor import UnavailableError

from .libraries import CUDA, loading_failure, lost_provider, require_cuda
from .ports import Port

_CPU: Final = "CPUExecutionProvider"
_STREAM: Final = "2"
"""CUDA's number for the stream that each thread has (``cudaStreamPerThread``). ONNX Runtime copies between host and
device in the stream that waits for those of all threads, and for which they wait."""
_SHAPES: Final = frozenset(
    {"Add", "Cast", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Gather", "Identity", "Max", "Min"}
    | {"Mod", "Mul", "Range", "Reshape", "Shape", "Size", "Slice", "Squeeze", "Sub", "Unsqueeze", "Where"}
)
"""What ONNX Runtime computes on the CPU beside a GPU since it is about shapes; nothing else may be there."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where an executor computes."""

    kind: str = "cuda"
    """``cuda``, or ``cpu`` to try the logic of its executor without a GPU."""
    number: int = 0
    graphs: bool = True
    """Whether steps are replayed as CUDA graphs."""
    memory_bytes: int = 0
    """What a session takes at most; 0 for no limit."""

    def __post_init__(self) -> None:
        if self.kind not in _PROVIDERS:
            raise ValueError(f"a device is one of {', '.join(_PROVIDERS)}, not {self.kind!r}")
        if self.graphs and self.kind != "cuda":
            raise ValueError("only a GPU has CUDA graphs: set graphs to False")

    def require(self) -> None:
        """Raise UnavailableError where ONNX Runtime has no such device."""
        if self.kind == "cuda":
            require_cuda()

    def session(self, path: Path, sizes: Mapping[str, int], *, graphs: bool = False) -> ort.InferenceSession:
        """Open a graph.

        Args:
            path: The file.
            sizes: Its dimensions by name; all have to be known for CUDA graphs.
            graphs: Whether its runs are captured, where the device does so.

        Raises:
            UnavailableError: The device cannot run it, or not all of it.
        """
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        for name, size in sizes.items():
            options.add_free_dimension_override_by_name(name, size)
        provider, settings = _PROVIDERS[self.kind](self, graphs and self.graphs)
        try:
            session = ort.InferenceSession(str(path), options, providers=[(provider, settings)])
        except Exception as error:
            # Where the provider is lost, what is said is of the CPU: it has no kernels for bfloat16, for one.
            if self.kind == "cuda" and (reason := loading_failure()):
                raise lost_provider(reason) from error
            raise UnavailableError(
                f"ONNX Runtime {ort.__version__} cannot run {path} on {self.kind} ({error}): install a newer release, "
                "or take another device"
            ) from error
        if provider not in session.get_providers():
            raise lost_provider()
        assigned: dict[str, list[str]] = {}
        for subgraph in session.get_provider_graph_assignment_info():  # Many of one provider.
            assigned.setdefault(subgraph.ep_name, []).extend(node.op_type for node in subgraph.get_nodes())
        check_placement(path, provider, assigned)
        return session

    def memory(self, shape: Sequence[int], dtype: npt.DTypeLike) -> ort.OrtValue:
        """Zeros."""
        return self.copy(np.zeros(shape, dtype))

    def copy(self, array: npt.NDArray[Any]) -> ort.OrtValue:
        """Memory of the device with an array's values; on a CPU it is the array's own."""
        return ort.OrtValue.ortvalue_from_numpy(array, self.kind, self.number)

    def bind(self, bind: Callable[..., None], name: str, port: Port, memory: ort.OrtValue, slot: int = -1) -> None:
        """Bind memory to an input or an output.

        Args:
            bind: ``bind_input`` or ``bind_output`` of a binding.
            name: Of the input or output.
            port: What it is.
            memory: Of all slots.
            slot: The only one that is bound; -1 for all.
        """
        whole = slot < 0
        shape = port.shape if whole else (1, *port.shape[1:])
        place = memory.data_ptr() + (0 if whole else slot * port.row_bytes)
        bind(name, self.kind, self.number, port.element, shape, place)


def check_placement(path: Path, provider: str, assigned: Mapping[str, Sequence[str]]) -> None:
    """See that nothing but shapes is computed elsewhere than on the device.

    Args:
        path: The graph's file.
        provider: The device's.
        assigned: The types of the nodes that each provider computes.

    Raises:
        UnavailableError: Another provider computes something; the message says what.
    """
    others = {op for name, types in assigned.items() if name != provider for op in types} - _SHAPES
    if others:
        raise UnavailableError(
            f"{provider} of ONNX Runtime {ort.__version__} has no kernels for {', '.join(sorted(others))} of {path}, "
            "which would run on the CPU at every step: install a newer release of onnxruntime-gpu, or take another "
            "device"
        )


def device_of(number: int) -> dict[str, str]:
    """The option of a provider that says which GPU it takes; none for the first, which it takes anyway.

    ONNX Runtime 1.29 warns at every option ``device_id`` that it knows no plugin for this device, which nobody asked
    for.
    """
    return {"device_id": str(number)} if number else {}


def _cuda(device: Device, graphs: bool) -> tuple[str, dict[str, str]]:
    settings = {
        **device_of(device.number),
        # Nothing grows after the first run, so that there is no reason to take more than is needed.
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": str(int(graphs)),
        "user_compute_stream": _STREAM,
        "use_tf32": "0",
    }
    if device.memory_bytes:
        settings["gpu_mem_limit"] = str(device.memory_bytes)
    return CUDA, settings


def _cpu(_device: Device, _graphs: bool) -> tuple[str, dict[str, str]]:
    return _CPU, {}


_PROVIDERS: Final = {"cuda": _cuda, "cpu": _cpu}
