"""How the graph of a classifier is written for each target: in which operators, and in which numbers.

* For CPUs, in ONNX Runtime's fused operators and our own (`export.graph`), with int8.
* For a GPU with CUDA, in ONNX Runtime's fused operators, of one number format from end to end (`export.graph.gpu`).
* For TensorRT, in the operators of ONNX alone, with products in 16 bits and sums in fp32 (`export.graph.standard`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import onnx

from export.errors import CheckpointError
from export.graph.gpu.graph import GpuGraph
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.graph.standard.graph import Products, StandardGraph
from infolens.targets import Target

from .record import Architecture, Trained

Write = Callable[[Architecture, Trained, Precision, Initializers], onnx.ModelProto]


def write_graph(
    record: Architecture, trained: Trained, target: Target, precision: Precision, initializers: Initializers
) -> onnx.ModelProto:
    """The graph of a trained model by our own writer.

    Args:
        record: The model's architecture.
        trained: The model.
        target: What the graph is for.
        precision: Its number format.
        initializers: Where the weights are stored; empty at first.

    Raises:
        CheckpointError: The architecture has no writer for this target.
    """
    return _WRITERS[target](record, trained, precision, initializers)


def has_writer(record: Architecture, target: Target) -> bool:
    """Whether our own writer knows an architecture for a target."""
    return {
        Target.CPU: record.write is not None,
        Target.CUDA: record.write_gpu is not None or record.write_on is not None,
        Target.TENSORRT: record.write_on is not None,
    }[target]


def _for_cpu(
    record: Architecture, trained: Trained, precision: Precision, initializers: Initializers
) -> onnx.ModelProto:
    if record.write is None:
        raise no_writer(record, Target.CPU)
    return record.write(trained, precision, initializers)


def _for_cuda(
    record: Architecture, trained: Trained, precision: Precision, initializers: Initializers
) -> onnx.ModelProto:
    write = record.write_gpu or record.write_on
    if write is None:
        raise no_writer(record, Target.CUDA)
    return write(trained, GpuGraph(initializers, prefix="", precision=precision))


def _for_tensorrt(
    record: Architecture, trained: Trained, precision: Precision, initializers: Initializers
) -> onnx.ModelProto:
    if record.write_on is None:
        raise no_writer(record, Target.TENSORRT)
    return record.write_on(trained, StandardGraph(initializers, prefix="", products=Products(precision)))


def no_writer(record: Architecture, target: Target) -> CheckpointError:
    """What is said of an architecture that has none."""
    if target is Target.CPU:
        return CheckpointError(
            f"the graph of a {record.model_type} is written by optimum: add --exporter optimum, which installs "
            "it in an environment of its own, once"
        )
    return CheckpointError(
        f"a {record.model_type} has no graph writer of ours for the target {target}: fine-tune a checkpoint of another "
        "architecture, such as roberta-base, or leave --target out"
    )


_WRITERS: Final[Mapping[Target, Write]] = {
    Target.CPU: _for_cpu,
    Target.CUDA: _for_cuda,
    Target.TENSORRT: _for_tensorrt,
}
