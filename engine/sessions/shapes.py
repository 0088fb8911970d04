"""Runs a session in a few shapes that are prepared: each a CUDA graph over memory of its own.

A kernel of a small model takes less time than to start it. A CUDA graph starts all of them at once, but for one shape
alone: so there is one for each length of inputs that is announced, with 1, 2, 4, 8, ... rows, and a batch is padded to
the next of these. What fits none is run plainly, and counted.

A replay reads the same memory again. Some kernels copy from memory of the host that is given to others after the run:
their graphs answer rightly at first, and wrongly later. So graphs are compared with plain runs when all are made, and
where one answers otherwise, none is used.

Graphs live in the thread that made them (ONNX Runtime keeps them for each thread), so one thread runs everything: one
of its own, or the caller's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

log = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

Found = TypeVar("Found")

GRAPH = "gpu_graph_id"
"""ONNX Runtime's name for the number of a graph, an option of a run."""
_PLAINLY = "-1"
"""The number that says to use none."""
_TYPES: Mapping[str, type[np.generic]] = {
    "tensor(bool)": np.bool_,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
}
_NEAR = 0.05
"""How far an answer of a graph may be from the same answer without one: the two may round otherwise."""
_LOAD = "free memory of the GPU, or shorten the parameter lengths or max_batch_size"


@dataclass(kw_only=True)
class Counted:
    """What is counted."""

    graph_runs: int = 0
    """Runs in a prepared shape."""
    graph_misses: int = 0
    """Runs in another one."""
    graph_rows: int = 0
    """Rows of the first kind of runs..."""
    graph_padding: int = 0
    """...and those that were added to fill a shape."""


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """One shape, with its memory."""

    rows: int
    length: int
    hosted: dict[str, npt.NDArray[Any]]
    """The inputs, on the host. Rows that a batch leaves have those of an earlier one, and are not answered."""
    inputs: dict[str, ort.OrtValue]
    outputs: dict[str, ort.OrtValue]
    binding: Any
    options: ort.RunOptions


@dataclass(kw_only=True)
class FixedShapes:
    """A session, called as `onnxruntime.InferenceSession` is."""

    session: ort.InferenceSession
    """Its inputs are [rows, length], and its outputs [rows, ...] of a fixed size."""
    lengths: Sequence[int]
    """Those of inputs that are prepared."""
    most_rows: int
    """Rows of the largest batch."""
    device: str
    """``cuda``, or ``cpu`` for a rehearsal without graphs."""
    number: int = 0
    """The GPU's number."""
    options: ort.RunOptions | None = None
    """Those of runs in other shapes."""
    apart: bool = True
    """Whether a thread of its own runs everything; else whoever prepares the shapes must be the one who runs them."""
    counted: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        self._shapes: dict[tuple[int, int], _Shape] = {}
        self._plain = self.options or ort.RunOptions()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shapes") if self.apart else None
        if self.device == "cuda":
            self._plain.add_run_config_entry(GRAPH, _PLAINLY)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of rows that are prepared."""
        powers = (2**power for power in range(self.most_rows.bit_length()))
        return tuple(sorted({*powers, self.most_rows}))

    def prepare(self) -> None:
        """Prepare all shapes, the largest first: what it takes of the memory is enough for the others.

        Where one of them answers otherwise than the session does, all are dropped, and the log says so.

        Raises:
            ValueError: A shape cannot be prepared.
        """
        for length in sorted(self.lengths, reverse=True):
            for rows in reversed(self.sizes):
                try:
                    self._shapes[rows, length] = self._do(partial(self._made, rows, length))
                except ValueError:
                    raise
                except Exception as error:
                    raise ValueError(f"{rows} rows of the length {length} cannot be run ({error}): {_LOAD}") from error
        if wrong := self._do(self._wrong):
            self._shapes.clear()
            log.warning(
                "%s as a CUDA graph than without one, so that all batches run without: take the parameter lengths out "
                "of the configuration, and report it",
                wrong,
            )

    def run(
        self,
        output_names: Sequence[str],
        input_feed: Arrays,
        run_options: Any = None,  # noqa: ARG002 - as of a session; this one has its own
    ) -> list[npt.NDArray[Any]]:
        """The outputs ``output_names`` of a batch [rows, length]."""
        return self._do(partial(self._run, output_names, input_feed))

    def close(self) -> None:
        """Run nothing more."""
        if self._thread is not None:
            self._thread.shutdown()

    def _do(self, call: Callable[[], Found]) -> Found:
        return call() if self._thread is None else self._thread.submit(call).result()

    def _run(self, names: Sequence[str], feeds: Arrays) -> list[npt.NDArray[Any]]:
        first, *others = (array.shape for array in feeds.values())
        alike = all(other == first for other in others) and len(first) == 2
        size = next((size for size in self.sizes if size >= first[0]), 0)
        shape = self._shapes.get((size, first[1])) if alike else None
        if shape is None:
            self.counted.graph_misses += 1
            return list(self.session.run(names, dict(feeds), self._plain))
        self.counted.graph_runs += 1
        self.counted.graph_rows += first[0]
        self.counted.graph_padding += size - first[0]
        self._replay(shape, feeds)
        return [shape.outputs[name].numpy()[: first[0]].copy() for name in names]

    def _replay(self, shape: _Shape, feeds: Arrays) -> None:
        for name, hosted in shape.hosted.items():
            hosted[: len(feeds[name])] = feeds[name]
            shape.inputs[name].update_inplace(hosted)
        self.session.run_with_iobinding(shape.binding, shape.options)

    def _made(self, rows: int, length: int) -> _Shape:
        shape = self._bound(rows, length)
        self._replay(shape, shape.hosted)  # ONNX Runtime runs once, and captures the next run.
        return shape

    def _wrong(self) -> str:
        """Which shape has another output than the session, after other runs and replays; empty where none has."""
        shapes = list(self._shapes.values())
        for place, shape in enumerate(shapes):
            names, given = list(shape.outputs), _numbers(shape, 2)
            expected = self.session.run(names, given, self._plain)
            # What these take of the memory is what the first run of a graph has given back.
            other = shapes[place - 1]
            self.session.run(names, _numbers(other, 3), self._plain)
            self._replay(other, _numbers(other, 3))
            self._replay(shape, given)
            for name, answer in zip(names, expected, strict=True):
                if not np.allclose(shape.outputs[name].numpy(), answer, rtol=_NEAR, atol=_NEAR):
                    return f"{shape.rows} rows of the length {shape.length} have another {name}"
        return ""

    def _bound(self, rows: int, length: int) -> _Shape:
        binding = self.session.io_binding()
        hosted, inputs, outputs = {}, {}, {}
        for one in self.session.get_inputs():
            hosted[one.name] = np.ones((rows, length), _TYPES[one.type])
            inputs[one.name] = self._memory(hosted[one.name])
            binding.bind_ortvalue_input(one.name, inputs[one.name])
        for one in self.session.get_outputs():
            sizes = one.shape[1:]
            if not all(isinstance(size, int) for size in sizes):
                raise ValueError(
                    f"output {one.name} is of no fixed size ({one.shape}): take the parameter lengths out of the "
                    "configuration"
                )
            outputs[one.name] = self._memory(np.zeros((rows, *sizes), _TYPES[one.type]))
            binding.bind_ortvalue_output(one.name, outputs[one.name])
        options = ort.RunOptions()
        if self.device == "cuda":
            options.add_run_config_entry(GRAPH, str(len(self._shapes) + 1))
        return _Shape(
            rows=rows, length=length, hosted=hosted, inputs=inputs, outputs=outputs, binding=binding, options=options
        )

    def _memory(self, array: npt.NDArray[Any]) -> ort.OrtValue:
        # A copy, since on a CPU the memory is the array's own.
        return ort.OrtValue.ortvalue_from_numpy(array.copy(), self.device, self.number)


def _numbers(shape: _Shape, every: int) -> dict[str, npt.NDArray[Any]]:
    """Inputs of numbers that every vocabulary has, and that were not there at the capture: some 1, and all others 0."""
    found = {name: np.zeros_like(array) for name, array in shape.hosted.items()}
    for array in found.values():
        array[:, ::every] = 1
    return found
