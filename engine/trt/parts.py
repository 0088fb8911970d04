"""A compiled graph that runs on tensors that stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from engine.tensors import NEXT

from .library import Library

if TYPE_CHECKING:
    import torch

_TYPES: Final = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT64": "int64",
    "INT32": "int32",
    "BOOL": "bool",
}
"""PyTorch's names of TensorRT's types."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """An input or output of a part."""

    dtype: str
    """PyTorch's name of the type, such as ``float16``."""
    shape: tuple[int, ...]


class Part(Protocol):
    """A compiled graph."""

    @property
    def inputs(self) -> Mapping[str, Spec]:
        """By name."""

    @property
    def outputs(self) -> Mapping[str, Spec]:
        """By name."""

    def bound(self, memory: Mapping[str, torch.Tensor]) -> Callable[[], object]:
        """Tie every input and output to a tensor; what comes back runs the part on them, in the current stream."""


class Plan:
    """A plan of TensorRT on the current GPU."""

    def __init__(self, library: Library, plan: bytes, name: str) -> None:
        """Load it.

        Raises:
            ValueError: TensorRT cannot load it here, or a cache is not updated in place.
        """
        self._trt, self._logger, self._name = library.module, library.logger, name
        self._runtime = library.module.Runtime(library.logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            reason = " ".join(library.logger.lines[-2:])
            raise ValueError(
                f"{library.version} cannot load the plan of {name}: {reason}; delete it to have it built anew"
            )
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        self.inputs = {name: self._spec(name) for name in names if self._mode(name) == "INPUT"}
        self.outputs = {name: self._spec(name) for name in names if self._mode(name) == "OUTPUT"}

    def _mode(self, name: str) -> str:
        mode: str = self._engine.get_tensor_mode(name).name
        return mode

    def _spec(self, name: str) -> Spec:
        dtype = _TYPES[self._engine.get_tensor_dtype(name).name]
        return Spec(dtype=dtype, shape=tuple(self._engine.get_tensor_shape(name)))

    def aliased(self, output: str) -> bool:
        """Whether an output lies in the memory of the input of the same name."""
        return bool(self._engine.get_aliased_input_tensor(output) == output.removesuffix(NEXT))

    def bound(self, memory: Mapping[str, torch.Tensor]) -> Callable[[], object]:
        """See `Part`; a CUDA graph, replayed in the current stream.

        The part runs once before it is captured.

        Raises:
            ValueError: A tensor has another type or shape than the plan, or an output in the memory of its input is
                not updated there.
            RuntimeError: TensorRT cannot run it.
        """
        import torch

        context = self._engine.create_execution_context()
        if context is None:
            raise RuntimeError(f"no context for {self._name}: {' '.join(self._logger.lines[-2:])}")
        for name, spec in {**self.inputs, **self.outputs}.items():
            tensor = memory[name]
            found = Spec(dtype=str(tensor.dtype).removeprefix("torch."), shape=tuple(tensor.shape))
            if found != spec or not tensor.is_contiguous():
                raise ValueError(f"{name} of {self._name} is a contiguous tensor of {spec}, not {found}")
            shared = name.endswith(NEXT) and tensor.data_ptr() == memory[name.removesuffix(NEXT)].data_ptr()
            if shared and not self.aliased(name):
                raise ValueError(f"{self._name} does not update {name.removesuffix(NEXT)} in place")
            context.set_tensor_address(name, tensor.data_ptr())

        def run() -> None:
            if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
                raise RuntimeError(f"{self._name} does not run: {' '.join(self._logger.lines[-2:])}")

        run()
        return self._captured(run, context)

    def _captured(self, run: Callable[[], None], context: Any) -> Callable[[], object]:
        import torch

        stream = torch.cuda.current_stream()
        stream.synchronize()
        capturable = getattr(
            context, "is_stream_capturable", None
        )  # TensorRT for RTX: not before kernels are compiled.
        if capturable is not None and not capturable(stream.cuda_stream):
            return run
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on with the GPU meanwhile.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            run()

        def replay(kept: Any = context) -> None:  # noqa: ARG001 - a graph points into the memory of its context
            graph.replay()

        return replay
