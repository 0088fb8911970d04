"""Plans: what TensorRT compiles a graph to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .library import Library

PRODUCTS: Final[Mapping[str, tuple[str, ...]]] = {
    "fp32": ("FLOAT",),
    "fp16": ("HALF",),
    # The scores of the words of a model in bf16 are computed in fp16, see `export.graph.step`.
    "bf16": ("BF16", "HALF"),
}
"""The types that a graph of a precision may multiply in, by TensorRT's names."""
_MULTIPLYING: Final = ("MATRIX_MULTIPLY", "ATTENTION_INPUT")
_IN_FP32: Final = ("SOFTMAX", "NORMALIZATION")


def build_plan(
    library: Library,
    graph: bytes,
    path: Path,
    precision: str,
    *,
    timings: bytes = b"",
    products: tuple[str, ...] | None = None,
) -> tuple[bytes, bytes]:
    """Compile a graph, strongly typed: every layer has the types that the graph says.

    Args:
        library: TensorRT.
        graph: See `graphs.prepared`.
        path: Where the graph lay: its weights are beside it.
        precision: A key of `PRODUCTS`.
        timings: What an earlier build measured of kernels, or nothing.
        products: The types that it may multiply in; by default those of the precision.

    Returns:
        The plan, and what is known of kernels now.

    Raises:
        ValueError: TensorRT refuses the graph, or a layer has another type than the precision says.
    """
    trt, logger = library.module, library.logger
    logger.lines.clear()
    builder = trt.Builder(logger)
    network = builder.create_network(_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph, str(path)):
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        raise ValueError(
            f"{library.version} does not take {path.name}: " + "; ".join(_words(error) for error in errors)
        )
    check_types(network, products or PRODUCTS[precision], path.name)
    if precision == "fp32":
        _decompose_attention(trt, network)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # What is asked for in fp32 has all of its bits.
    timing_cache = config.create_timing_cache(timings)
    if timing_cache is not None:
        config.set_timing_cache(timing_cache, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ValueError(f"{library.version} cannot build {path.name}: {' '.join(logger.lines[-2:])}")
    measured = config.get_timing_cache()
    return bytes(plan), bytes(measured.serialize()) if measured is not None else b""


def check_types(network: Any, products: tuple[str, ...], name: str) -> None:
    """Compare the types of the layers of a network with those that are meant.

    Raises:
        ValueError: A product is computed in another type, or a softmax or normalisation not in fp32.
    """
    for (kind, dtype), count in types_of(network).items():
        allowed = products if kind in _MULTIPLYING else ("FLOAT",)
        if dtype not in allowed:
            raise ValueError(f"{name} has {count} layers {kind} in {dtype}, where {' or '.join(allowed)} is meant")


def types_of(network: Any) -> Counter[tuple[str, str]]:
    """How many layers there are of each kind and type of input, of the kinds that a precision says something about."""
    found: Counter[tuple[str, str]] = Counter()
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        if layer.type.name in (*_MULTIPLYING, *_IN_FP32):
            found[layer.type.name, layer.get_input(0).dtype.name] += 1
    return found


def _flags(trt: Any) -> int:
    """Strong types; a TensorRT without the flag knows nothing else."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _decompose_attention(trt: Any, network: Any) -> None:
    """Allow that attention is taken apart: there is no fused kernel for it in fp32."""
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        if layer.type.name == "ATTENTION_INPUT":
            layer.__class__ = trt.IAttentionInputLayer
            layer.attention.decomposable = True


def _words(error: Any) -> str:
    return f"{error.node_operator()} {error.node_name()}: {error.desc()}"
