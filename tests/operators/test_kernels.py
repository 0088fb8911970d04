"""Every native kernel against the function of the same operator, which any ONNX Runtime can run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.graph.functions import function
from export.graph.graph import DOMAIN, MICROSOFT, OPSET
from export.graph.initializers import quantize_columns

Arrays = dict[str, np.ndarray[Any, Any]]
Run = Callable[..., list[np.ndarray[Any, Any]]]


def session(
    nodes: Sequence[Any], inputs: Arrays, outputs: Sequence[str], functions: Sequence[Any], library: Path | None
) -> Run:
    """A model of ``nodes`` whose INT8 inputs are weights; runs it."""
    weights = {name: array for name, array in inputs.items() if array.dtype == np.int8}
    types = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in inputs.items()}
    graph = helper.make_graph(
        list(nodes),
        "one",
        [helper.make_tensor_value_info(n, types[n], [None] * a.ndim) for n, a in inputs.items() if n not in weights],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in (MICROSOFT, DOMAIN))]
    model = helper.make_model(graph, functions=list(functions), opset_imports=opsets)
    model.ir_version = 8
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    if library is not None:
        options.register_custom_ops_library(str(library))
    made = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {name: array for name, array in inputs.items() if name not in weights}
    return partial(made.run, list(outputs), feeds)


def both(
    library: Path, nodes: Sequence[Any], inputs: Arrays, outputs: Sequence[str], functions: Sequence[Any]
) -> tuple[list[np.ndarray[Any, Any]], list[np.ndarray[Any, Any]]]:
    """What the kernels answer, and what the functions answer."""
    native, standard = (session(nodes, inputs, outputs, functions, path)() for path in (library, None))
    return native, standard


def floats(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def fused(name: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(name, list(inputs), list(outputs), domain=DOMAIN, **attributes)


LINEAR = ["x", "weight", "scales", "bias"]


@pytest.mark.parametrize("op", ["Int8Linear", "Int8LinearRelu", "Int8LinearGelu"])
@pytest.mark.parametrize(
    ("rows", "inputs", "columns"),
    [
        (1, 64, 16),
        (4, 64, 48),
        (5, 30, 17),
        (6, 128, 65),
        (16, 1023, 33),
        (24, 256, 200),
        (65, 192, 100),
        (300, 96, 80),
    ],
)
def test_dense_layers(library: Path, op: str, rows: int, inputs: int, columns: int) -> None:
    weight, scales = quantize_columns(floats(inputs, columns))
    x = floats(rows, inputs, seed=1)
    x[0] = 0  # A row of nothing but zeros has no scale of its own.
    arrays = {"x": x, "weight": weight, "scales": scales, "bias": floats(columns, seed=2)}
    native, standard = both(library, [fused(op, LINEAR, ["y"])], arrays, ["y"], [function(op)])

    step = np.abs(x).max(axis=1, keepdims=True) / 127
    whole = np.rint(np.divide(x, step, where=step > 0, out=np.zeros_like(x)))
    expected = whole @ weight.astype(np.float64) * step * scales + arrays["bias"]
    if op.endswith("Relu"):
        expected = np.maximum(expected, 0)
    if op.endswith("Gelu"):
        expected = expected * (1 + np.vectorize(erf)(expected / np.sqrt(2))) / 2
    # A value half-way between two integers may be rounded to either.
    tolerance = np.abs(expected).max() * 2e-3
    np.testing.assert_allclose(native[0], expected, atol=tolerance, rtol=0)
    np.testing.assert_allclose(standard[0], expected, atol=tolerance, rtol=0)
    assert np.abs(native[0] - expected).mean() < np.abs(expected).max() * 1e-5


@pytest.mark.parametrize("rows", [2, 16, 70])
def test_a_row_of_a_dense_layer_does_not_depend_on_the_others(library: Path, rows: int) -> None:
    weight, scales = quantize_columns(floats(64, 40))
    inputs = {"x": floats(rows, 64), "weight": weight, "scales": scales, "bias": floats(40)}
    nodes = [fused("Int8LinearGelu", LINEAR, ["y"])]
    together = session(nodes, inputs, ["y"], [], library)()[0]
    last = session(nodes, inputs | {"x": inputs["x"][-1:]}, ["y"], [], library)()[0]
    np.testing.assert_array_equal(last[0], together[-1])


@pytest.mark.parametrize(
    ("shape", "skip"), [((3, 64), (3, 64)), ((2, 5, 48), (5, 48)), ((4, 33), (1, 33)), ((1500, 40), (1500, 40))]
)
def test_normalisation(library: Path, shape: tuple[int, ...], skip: tuple[int, ...]) -> None:
    width = shape[-1]
    arrays = {"x": floats(*shape), "skip": floats(*skip, seed=1), "gamma": floats(width), "beta": floats(width, seed=2)}
    node = fused("AddNorm", list(arrays), ["y"], epsilon=1e-5)
    native, standard = both(library, [node], arrays, ["y"], [function("AddNorm")])
    np.testing.assert_allclose(native[0], standard[0], atol=2e-5)


@pytest.mark.parametrize(
    ("batch", "length", "heads", "size"),
    [(1, 16, 2, 16), (2, 37, 3, 32), (3, 5, 1, 8), (2, 100, 2, 20), (2, 129, 2, 64), (2, 200, 1, 72)],
)
def test_attention_of_an_article_over_itself(library: Path, batch: int, length: int, heads: int, size: int) -> None:
    mask = np.ones((batch, length), np.int32)
    mask[-1, length // 2 :] = 0
    arrays = {"parts": floats(batch, length, 3 * heads * size), "mask": mask}
    node = fused("Int8SelfAttention", list(arrays), ["context"], num_heads=heads)
    native, standard = both(library, [node], arrays, ["context"], [function("Int8SelfAttention", encoder_heads=heads)])
    np.testing.assert_allclose(native[0], standard[0], atol=0.03)  # int8 against fp32
    alone = {name: array[-1:] for name, array in arrays.items()}
    np.testing.assert_array_equal(session([node], alone, ["context"], [], library)()[0][0], native[0][-1])


def test_masked_positions_are_not_attended_to(library: Path) -> None:
    length, heads, size = 150, 2, 32
    mask = np.ones((1, length), np.int32)
    mask[0, 60:75] = mask[0, 100:] = 0
    parts = floats(1, length, 3 * heads * size)
    parts[0, :20, 2 * heads * size :] = 0  # Values of nothing but zeros have no scale of their own.
    node = fused("Int8SelfAttention", ["parts", "mask"], ["context"], num_heads=heads)
    arrays = {"parts": parts, "mask": mask}
    native, standard = both(library, [node], arrays, ["context"], [function("Int8SelfAttention", encoder_heads=heads)])
    np.testing.assert_allclose(native[0], standard[0], atol=0.03)
    seen = mask[0] == 1
    others = np.where(seen[:, None], parts, 1000 * floats(1, length, 3 * heads * size, seed=1))
    again = session([node], {"parts": others, "mask": mask}, ["context"], [], library)()[0]
    np.testing.assert_array_equal(again[0, seen], native[0][0, seen])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_attention_to_weak_and_strong_scores(library: Path, scale: float) -> None:
    """From weights that are all alike to one that takes all, with values of very different sizes."""
    length, heads, size = 96, 2, 32
    parts = floats(1, length, 3 * heads * size)
    parts[..., : 2 * heads * size] *= scale
    parts[..., 2 * heads * size :] *= np.logspace(-3, 0, length, dtype=np.float32)[:, None]
    arrays = {"parts": parts, "mask": np.ones((1, length), np.int32)}
    node = fused("Int8SelfAttention", ["parts", "mask"], ["context"], num_heads=heads)
    native = session([node], arrays, ["context"], [], library)()[0]
    query, key, value = (
        _quantized(part).reshape(length, heads, size).transpose(1, 0, 2)
        for part in np.split(parts[0].reshape(length, 3, heads, size), 3, axis=1)
    )
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(size)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    expected = (powers / powers.sum(-1, keepdims=True)) @ value
    np.testing.assert_allclose(native[0], expected.transpose(1, 0, 2).reshape(length, -1), atol=0.01)


def _quantized(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``x`` as int8 with a scale for each of its last axis keeps it."""
    step = np.abs(x).max(axis=-1, keepdims=True).astype(np.float64) / 127
    return np.rint(x / step) * step


@pytest.mark.parametrize(
    ("batch", "length", "beams", "heads", "size"),
    [(1, 16, 1, 2, 16), (2, 37, 4, 3, 32), (1, 5, 2, 1, 8), (2, 100, 7, 2, 20), (1, 64, 3, 2, 64), (1, 70, 18, 1, 32)],
)
def test_attention_of_beams_over_an_article(
    library: Path, batch: int, length: int, beams: int, heads: int, size: int
) -> None:
    width = heads * size
    bias = np.zeros((batch, 1, 1, length), np.float32)
    bias[-1, ..., length // 2 :] = -1e30
    arrays = {"both": floats(batch, length, 2 * width), "query": floats(batch * beams, width, seed=1), "bias": bias}
    stored = ["keys", "key_scales", "values", "value_scales"]
    nodes = [
        fused("Int8CrossStore", ["both"], stored, num_heads=heads),
        fused("Int8CrossAttention", ["query", *stored, "bias"], ["context"], num_heads=heads),
    ]
    made = [function(node.op_type, heads=heads, head_size=size) for node in nodes]
    native, standard = both(library, nodes, arrays, ["context"], made)
    np.testing.assert_allclose(native[0], standard[0], atol=0.02)
    keys, values = np.split(arrays["both"].reshape(batch, length, 2 * heads, size), 2, axis=2)
    query = arrays["query"].reshape(batch, beams, heads, size)
    scores = np.einsum("bkhd,blhd->bhkl", query, keys) / np.sqrt(size) + bias
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    expected = np.einsum("bhkl,blhd->bkhd", powers / powers.sum(-1, keepdims=True), values).reshape(-1, width)
    np.testing.assert_allclose(native[0], expected, atol=0.03)


def test_beams_follow_their_ancestors(library: Path) -> None:
    """Three steps of two articles with two beams, each of which goes on from a beam of the step before."""
    batch, beams, heads, size, tokens = 2, 2, 3, 24, 3
    width = heads * size
    parents = [[[0, 1], [0, 1]], [[0, 0], [1, 0]]]  # By step and article: what the beams of the next step go on from.
    sees = np.stack([np.eye(beams)] * batch)
    node = fused(
        "BeamAttention",
        ["parts", "cache", "past_key", "past_value", "bias"],
        ["context", "present_key", "present_value"],
        num_heads=heads,
        layer=1,
    )
    # One model with all steps: the cache lives in it, as it does in a search.
    nodes = [
        fused("BeamCache", ["batch", "beams", "tokens"], ["cache"], layers=2, num_heads=heads, head_size=size),
        *(step_of(node, i) for i in range(tokens)),
    ]
    arrays: Arrays = {
        name: np.array([n], np.int64) for name, n in (("batch", batch), ("beams", beams), ("tokens", tokens))
    }
    arrays |= {f"present_{part}_0": np.zeros((batch, heads, 0, size), np.float32) for part in ("key", "value")}
    for i in range(tokens):
        arrays[f"parts_{i}"] = floats(batch * beams, 3 * width, seed=i)
        arrays[f"bias_{i}"] = np.where(sees, 0, -1e30).astype(np.float32)[:, None]
        if i < len(parents):
            followed = np.stack([sees[b][parents[i][b]] for b in range(batch)])
            sees = np.concatenate([followed, np.stack([np.eye(beams)] * batch)], axis=-1)
    made = [function(name, heads=heads, head_size=size) for name in ("BeamCache", "BeamAttention")]
    outputs = [f"context_{i}" for i in range(tokens)]
    native, standard = both(library, nodes, arrays, outputs, made)
    for found, expected in zip(native, standard, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-6)
    assert not np.allclose(native[1], native[2])


def step_of(node: Any, i: int) -> Any:
    """``node`` with the names of step ``i``; the cache is the same for all."""
    made = type(node)()
    made.CopyFrom(node)
    names = {"past_key": f"present_key_{i}", "past_value": f"present_value_{i}"}
    made.input[:] = [names.get(name, name if name == "cache" else f"{name}_{i}") for name in node.input]
    made.output[:] = [f"context_{i}", f"present_key_{i + 1}", f"present_value_{i + 1}"]
    return made


def test_wrong_shapes_are_refused(library: Path) -> None:
    weight, scales = quantize_columns(floats(32, 8))
    arrays = {"x": floats(2, 31), "weight": weight, "scales": scales, "bias": floats(8)}
    run = session([fused("Int8Linear", LINEAR, ["y"])], arrays, ["y"], [], library)
    with pytest.raises(Exception, match=r"a dense layer takes \(rows, inputs\)"):
        run()
