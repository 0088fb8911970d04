"""The fused operators of Info Lens as ONNX functions, in the domain ``infolens``.

A model contains the function of every operator that it uses: the same computation in operators that every ONNX Runtime
has. A session that has registered the native library (``operators/``) runs its kernels instead; any other session,
such as that of NVIDIA's container, expands the functions. The tests compare the two.

Tensors that one native kernel writes for another (``keys`` and ``values`` below) may have another layout there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from . import int8_attention, keep_beams, next_words
from .beam_state import Rules
from .graph import DOMAIN, MICROSOFT, OPSET, UINT8_MIDDLE, Graph
from .initializers import INT8_MAX
from .precision import Precision

OPSETS: Final = (helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1))


class _Constants:
    """Takes the place of `Initializers` in the body of a function, where constants are nodes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []

    def constant(self, value: Any, dtype: Any) -> str:
        name = f"constant_{len(self.nodes)}"
        tensor = numpy_helper.from_array(np.asarray(value, dtype), name)
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name


Body = Callable[[Graph], None]


def onnx_function(
    name: str, inputs: Sequence[str], outputs: Sequence[str], body: Body, attributes: Sequence[str] = ()
) -> onnx.FunctionProto:
    """A function of `DOMAIN`, whose nodes ``body`` writes into a graph that has the inputs under their names."""
    constants = _Constants()
    graph = Graph(constants, prefix="", precision=Precision.INT8)  # type: ignore[arg-type]
    body(graph)
    nodes = [*constants.nodes, *graph.nodes]
    return helper.make_function(DOMAIN, name, inputs, outputs, nodes, OPSETS, list(attributes))


def int8_linear(name: str) -> onnx.FunctionProto:
    """``Int8Linear``, ``Int8LinearRelu`` or ``Int8LinearGelu``: a dense layer with int8 weights.

    ``x`` FLOAT (rows, inputs), ``weight`` INT8 (inputs, columns), ``scales`` and ``bias`` FLOAT (columns) -> ``y``
    FLOAT (rows, columns). Every row of ``x`` is quantized by itself: with one scale for the whole tensor, as in ONNX
    Runtime's dynamic quantization, an article's answer would depend on the other articles in its batch.
    """

    def body(graph: Graph) -> None:
        peak = graph.one("ReduceMax", graph.one("Abs", "x"), axes=[1], keepdims=0)
        # A row of zeros has the scale 0, so its product is 0 whatever its integers are.
        scale = graph.one("Mul", peak, graph.initializers.constant(1 / INT8_MAX, np.float32))
        # Unsigned: ONNX Runtime has no fast kernel for signed activations on x86 (measured: ten times slower).
        middle = numpy_helper.from_array(np.array([UINT8_MIDDLE], np.uint8))
        zero_points = graph.one("ConstantOfShape", graph.one("Shape", scale), value=middle)
        quantized = graph.one("QuantizeLinear", "x", scale, zero_points, axis=0)
        one, zero = graph.initializers.constant(1.0, np.float32), graph.initializers.constant(UINT8_MIDDLE, np.uint8)
        product = graph.one("MatMulIntegerToFloat", quantized, "weight", one, "scales", zero, domain=MICROSOFT)
        product = graph.one("Mul", product, graph.one("Unsqueeze", scale, graph.ints([1])))
        if name.endswith("Gelu"):
            graph.one("BiasGelu", product, "bias", domain=MICROSOFT, output="y")
        elif name.endswith("Relu"):
            graph.one("Relu", graph.one("Add", product, "bias"), output="y")
        else:
            graph.one("Add", product, "bias", output="y")

    return onnx_function(name, ["x", "weight", "scales", "bias"], ["y"], body)


def add_norm(name: str) -> onnx.FunctionProto:
    """``AddNorm``: layer normalisation of ``x + skip``, FLOAT (..., width); ``gamma`` and ``beta`` FLOAT (width).

    ``Sum`` and not ``Add``: an ``Add`` would be fused into ``SkipLayerNormalization``, whose kernel for CPUs is
    several times slower than the two operators (measured at width 256: 0.60 against 0.10 ms for 384 positions).
    """

    def body(graph: Graph) -> None:
        total = graph.one("Sum", "x", "skip")
        graph.one("LayerNormalization", total, "gamma", "beta", output="y", axis=-1)
        epsilon = onnx.AttributeProto(name="epsilon", ref_attr_name="epsilon", type=onnx.AttributeProto.FLOAT)
        graph.nodes[-1].attribute.append(epsilon)

    return onnx_function(name, ["x", "skip", "gamma", "beta"], ["y"], body, ["epsilon"])


def int8_self_attention(name: str, *, heads: int) -> onnx.FunctionProto:
    """``Int8SelfAttention``: every position of an article attends to all of them.

    ``parts`` FLOAT (batch, length, 3 * width), queries, keys and values side by side; ``mask`` INT32 (batch, length),
    0 at positions that no other may attend to -> ``context`` FLOAT (batch, length, width). Attribute: ``num_heads``. A
    native kernel computes it in int8, with a scale for each head and position. The function uses ONNX Runtime's fused
    attention in fp32, which is faster there than products of integers.
    """

    def body(graph: Graph) -> None:
        parts = graph.add("Split", ["parts"], outputs=3, axis=-1)
        graph.attention([*parts, "", "mask"], heads, outputs=["context"])

    return onnx_function(name, ["parts", "mask"], ["context"], body, ["num_heads"])


def int8_cross_store(name: str, *, heads: int) -> onnx.FunctionProto:
    """``Int8CrossStore``: an article's keys and values in int8, with a scale for each head and position.

    ``both`` FLOAT (batch, length, 2 * width), keys beside values -> ``keys`` INT8, ``key_scales`` FLOAT, ``values``
    INT8, ``value_scales`` FLOAT, to be read only by ``Int8CrossAttention``. Attribute: ``num_heads``.
    """
    stored = ["keys", "key_scales", "values", "value_scales"]

    def body(graph: Graph) -> None:
        int8_attention.store(graph, graph.reshape("both", [0, 0, 2, heads, -1]), stored)

    return onnx_function(name, ["both"], stored, body, ["num_heads"])


def int8_cross_attention(name: str, *, heads: int, head_size: int) -> onnx.FunctionProto:
    """``Int8CrossAttention``: the beams of each article attend to its stored keys and values.

    ``query`` FLOAT (batch * beams, width), what ``Int8CrossStore`` returned, ``bias`` of the scores FLOAT
    (batch, 1, 1, length) -> ``context`` FLOAT (batch * beams, width). Attribute: ``num_heads``.
    """
    inputs = ["query", "keys", "key_scales", "values", "value_scales", "bias"]

    def body(graph: Graph) -> None:
        shape = graph.one("Concat", graph.dimension("keys", 0), graph.ints([-1, heads, head_size]), axis=0)
        query = graph.one("Transpose", graph.one("Reshape", "query", shape), perm=[0, 2, 1, 3])
        query = graph.one("Mul", query, graph.initializers.constant(head_size**-0.5, np.float32))
        context = graph.one("Transpose", int8_attention.attend(graph, query, inputs[1:]), perm=[0, 2, 1, 3])
        graph.one("Reshape", context, graph.ints([-1, heads * head_size]), output="context")

    return onnx_function(name, inputs, ["context"], body, ["num_heads"])


def beam_cache(name: str) -> onnx.FunctionProto:
    """``BeamCache``: memory for the keys and values of a search, which native kernels fill in place; empty otherwise.

    ``batch``, ``beams``, ``tokens`` INT64 (1,) -> ``cache`` FLOAT. Attributes: ``layers``, ``num_heads``,
    ``head_size``.
    """

    def body(graph: Graph) -> None:
        nothing = numpy_helper.from_array(np.array([0], np.float32))
        graph.one("ConstantOfShape", graph.ints([0]), value=nothing, output="cache")

    return onnx_function(name, ["batch", "beams", "tokens"], ["cache"], body, ["layers", "num_heads", "head_size"])


def beam_attention(name: str, *, heads: int, head_size: int) -> onnx.FunctionProto:
    """``BeamAttention``: every beam attends to the tokens that it has written, its ancestors in the tree of a search.

    ``parts`` FLOAT (batch * beams, 3 * width), queries, keys and values side by side; ``cache`` of ``BeamCache``;
    ``past_key`` and ``past_value`` FLOAT (batch, heads, nodes - beams, head size); ``bias`` of the scores FLOAT
    (batch, 1, beams, nodes), 0 where a beam may attend and negative elsewhere -> ``context`` FLOAT
    (batch * beams, width), ``present_key`` and ``present_value`` FLOAT (batch, heads, nodes, head size). A native
    kernel keeps keys and values in ``cache``; past and present are empty there. Attributes: ``num_heads``, ``layer``.
    """
    inputs = ["parts", "cache", "past_key", "past_value", "bias"]
    outputs = ["context", "present_key", "present_value"]

    def body(graph: Graph) -> None:
        beams = graph.dimension("bias", 2)
        shape = graph.one("Concat", graph.ints([-1]), beams, graph.ints([3 * heads * head_size]), axis=0)
        parts = graph.add("Split", [graph.one("Reshape", "parts", shape)], outputs=3, axis=-1)
        # ONNX Runtime before 1.20 wants a bias for every head.
        every = graph.one("Expand", "bias", graph.ints([1, heads, 1, 1]))
        names = ["found", *outputs[1:]]
        graph.attention([*parts, "", "", every, "past_key", "past_value"], heads, outputs=names)
        graph.one("Reshape", names[0], graph.ints([-1, heads * head_size]), output="context")

    return onnx_function(name, inputs, outputs, body, ["num_heads", "layer"])


def words_after(name: str, *, rules: Rules) -> onnx.FunctionProto:
    """``NextWords``: the best words of every beam, see `next_words.next_words`."""
    lists = [name for name in next_words.LISTS if getattr(rules, name)]
    body = partial(next_words.next_words, first=rules.before, ngram=rules.no_repeat_ngram_size, lists=lists)
    return onnx_function(name, next_words.INPUTS, next_words.OUTPUTS, body, next_words.ATTRIBUTES)


def beams_kept(name: str, *, rules: Rules) -> onnx.FunctionProto:
    """``KeepBeams``: which beams run on and which end, see `keep_beams.keep_beams`."""
    body = partial(keep_beams.keep_beams, rules=rules)
    return onnx_function(name, keep_beams.INPUTS, keep_beams.OUTPUTS, body, keep_beams.ATTRIBUTES)


def function(
    name: str,
    *,
    heads: int = 0,
    head_size: int = 0,
    encoder_heads: int = 0,
    rules: Rules | None = None,
) -> onnx.FunctionProto:
    """The function ``name``. The bodies of attention functions contain the number and the size of their heads.

    Args:
        name: Name of the operator.
        heads: Of the decoder.
        head_size: Of the decoder.
        encoder_heads: Of the encoder.
        rules: Of the checkpoint; for the operators of a search.

    Raises:
        KeyError: There is no such operator.
    """
    makers: dict[str, Callable[[str], onnx.FunctionProto]] = {
        "Int8Linear": int8_linear,
        "Int8LinearRelu": int8_linear,
        "Int8LinearGelu": int8_linear,
        "AddNorm": add_norm,
        "Int8SelfAttention": partial(int8_self_attention, heads=encoder_heads),
        "Int8CrossStore": partial(int8_cross_store, heads=heads),
        "Int8CrossAttention": partial(int8_cross_attention, heads=heads, head_size=head_size),
        "BeamCache": beam_cache,
        "BeamAttention": partial(beam_attention, heads=heads, head_size=head_size),
    }
    if rules is not None:
        makers |= {"NextWords": partial(words_after, rules=rules), "KeepBeams": partial(beams_kept, rules=rules)}
    return makers[name](name)
