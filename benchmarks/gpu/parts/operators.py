"""The native CPU operators against ONNX Runtime's own, on the processor of this machine.

Where it has AMX, which ONNX Runtime's products use, the native ones are otherwise not offered.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper, parser

from benchmarks.common.machine import processor_flags, this_machine
from benchmarks.gpu.context import Context
from operators.library import ensure_operators

from .operator_cases import Array, Case, cases

TABLE: Final = "operators"
_OPSETS: Final = {"": 17, "com.microsoft": 1, "infolens": 1}
_IR_VERSION: Final = 8
_MOST_DIFFERENT: Final = 0.1
"""Relative error above which two graphs do not do the same work; int8 and fp32 differ by some hundredths."""
_AT_LEAST_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long one operator is measured."""

    turns: int
    calls: int
    """The most calls in a turn, one more before them not counted."""
    turn_s: float
    """No further call begins after so many seconds of a turn."""


_FULL: Final = Effort(turns=3, calls=20, turn_s=0.04)
_TOY: Final = Effort(turns=1, calls=2, turn_s=0.04)


def run(context: Context) -> None:
    """Measure every operator at one thread, at all of them, and at two."""
    machine, amx = this_machine(), "amx_int8" in processor_flags()
    found = ensure_operators(ignore_amx=amx)
    named = f"{machine.cpu}, {'with' if amx else 'without'} AMX"
    context.row("processor", processor=machine.cpu, cores=machine.cores, amx=amx, native=found.path is not None)
    if found.path is None:
        context.skip(TABLE, "all", f"{named}: {found.reason}")
        return
    counts = (1,) if context.toy else tuple(dict.fromkeys((1, machine.cores, min(2, machine.cores))))
    measured = cases(toy=context.toy)
    for threads in counts:
        for case in measured:
            call = partial(_measure, context, case, threads, found.path)
            context.attempt(TABLE, f"{case.operator} {case.shape}, {threads} threads", call, at_least_s=_AT_LEAST_S)


def _measure(context: Context, case: Case, threads: int, library: Path) -> None:
    inputs = dict(case.inputs)
    if case.before:
        prepare = session(case.before, inputs, {}, case.prepared, threads, library)
        inputs |= dict(zip(case.prepared, prepare(), strict=True))
    native = session(case.native, inputs, case.weights, ["y"], threads, library)
    expected = {
        words: session(nodes, inputs, case.weights, ["y"], threads, None) for words, nodes in case.others.items()
    }
    errors = {words: relative_error(native()[0], other()[0]) for words, other in expected.items()}
    times = in_turn([native, *expected.values()], _TOY if context.toy else _FULL)
    for (words, error), other_ms in zip(errors.items(), times[1:], strict=True):
        what = f"{case.operator} {case.shape}, {threads} threads, {words}"
        if error > _MOST_DIFFERENT:
            context.skip(TABLE, what, f"the answers may differ by {_MOST_DIFFERENT:.0%}, and do by {error:.0%}")
            continue
        context.row(
            TABLE,
            operator=case.operator,
            shape=case.shape,
            threads=threads,
            onnxruntime=words,
            native_ms=times[0],
            onnxruntime_ms=other_ms,
            ratio=other_ms / times[0],
            relative_error=error,
        )


def session(
    nodes: str,
    inputs: Mapping[str, Array],
    weights: Mapping[str, Array],
    outputs: Sequence[str],
    threads: int,
    library: Path | None,
) -> Callable[[], list[Array]]:
    """A call of a model that is loaded.

    Args:
        nodes: In ONNX's text form.
        inputs: What each call is given, as far as the nodes read it.
        weights: What is stored in the model.
        outputs: What each call returns.
        threads: Of ONNX Runtime.
        library: The native operators, if the nodes are some of them.
    """
    graph = parser.parse_graph(f"work () => () {{ {nodes} }}")
    read = {name for node in graph.node for name in node.input}
    feeds = {name: array for name, array in inputs.items() if name in read}
    graph.input.extend(_value(name, array) for name, array in feeds.items())
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if library is not None:
        options.register_custom_ops_library(str(library))
    made = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return partial(made.run, list(outputs), feeds)


def _value(name: str, array: Array) -> Any:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim)


def relative_error(found: Array, expected: Array) -> float:
    """The largest difference between two tensors over the largest magnitude in the second one."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def in_turn(calls: Sequence[Callable[[], object]], effort: Effort) -> list[float]:
    """Median milliseconds of each call, measured in turns: what slows the machine down for a while meets all."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(effort.turns):
        for call, seen in zip(calls, times, strict=True):
            call()  # The threads of the one before it are still looking for work.
            end, left = time.perf_counter() + effort.turn_s, effort.calls
            while left and (time.perf_counter() < end or left == effort.calls):
                start = time.perf_counter()
                call()
                seen.append(1e3 * (time.perf_counter() - start))
                left -= 1
    return [statistics.median(seen) for seen in times]
