"""Graphs that another tool wrote, adapted for serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export.errors import CheckpointError
from export.graph.graph import OPSET
from export.graph.initializers import Initializers
from export.graph.model_file import data_file
from export.graph.precision import Precision, precisions_of
from export.optimum.adapt import adapt
from export.optimum.source import names_read
from infolens.contract import INPUT_IDS
from tests.export.optimum.adapted import Array, articles_of, asking, kernels, padded, session, written

WIDTH, INNER, CLASSES, WORDS, POSITIONS = 8, 12, 3, 50, 6
# In the manner of DeBERTa: positions that go through the weights of the keys, a weight after a Transpose, a bias on
# either side, a product that two nodes read, an If that reads from outside, and two layers of a head.
NODES = """
    words = Gather(words.weight, input_ids)
    types = Gather(types.weight, token_type_ids)
    embedded = Add(words, types)
    x = LayerNormalization(embedded, norm.weight, norm.bias)
    turned = Transpose<perm=[1, 0]>(key.weight)
    straight = Transpose<perm=[0, 1]>(query.weight)
    bare_queries = MatMul(x, straight)
    queries = Add(query.bias, bare_queries)
    bare_keys = MatMul(x, turned)
    keys = Add(bare_keys, key.bias)
    bare_positions = MatMul(positions.weight, turned)
    position_keys = Add(bare_positions, key.bias)
    position_keys_turned = Transpose<perm=[1, 0]>(position_keys)
    near = MatMul(queries, position_keys_turned)
    nearness = Softmax(near)
    of_positions = MatMul(nearness, position_keys)
    keys_turned = Transpose<perm=[0, 2, 1]>(keys)
    scores = MatMul(queries, keys_turned)
    seen = Cast<to=9>(attention_mask)
    seen_by_all = Unsqueeze(seen, one)
    low = Constant<value_float=-1e30>()
    masked = Where(seen_by_all, scores, low)
    weights = Softmax(masked)
    context = MatMul(weights, x)
    whole = ReduceMin<keepdims=0>(attention_mask)
    all_seen = Cast<to=9>(whole)
    chosen = If(all_seen) <then_branch = yes () => (then) { then = Add(context, of_positions) },
                           else_branch = no () => (other) { other = Add(of_positions, context) }>
    wide = MatMul(chosen, wide.weight)
    active = Relu(wide)
    narrow = MatMul(active, narrow.weight)
    narrowed = Add(narrow, narrow.bias)
    twice = Add(narrowed, narrow)
    first = Gather<axis=1>(twice, zero)
    pooled = Gemm<transB=1>(first, pooler.weight, pooler.bias)
    bounded = Tanh(pooled)
    logits = Gemm<transB=1>(bounded, classifier.weight, classifier.bias)
"""
SHAPES = {
    "words.weight": (WORDS, WIDTH),
    "types.weight": (2, WIDTH),
    "norm.weight": (WIDTH,),
    "norm.bias": (WIDTH,),
    "query.weight": (WIDTH, WIDTH),
    "query.bias": (WIDTH,),
    "key.weight": (WIDTH, WIDTH),
    "key.bias": (WIDTH,),
    "positions.weight": (POSITIONS, WIDTH),
    "wide.weight": (WIDTH, INNER),
    "narrow.weight": (INNER, WIDTH),
    "narrow.bias": (WIDTH,),
    "pooler.weight": (WIDTH, WIDTH),
    "pooler.bias": (WIDTH,),
    "classifier.weight": (CLASSES, WIDTH),
    "classifier.bias": (CLASSES,),
}


def foreign(folder: Path, *, nodes: str = NODES, opset: int = OPSET, outside: bool = False) -> Path:
    """The small graph on the disk, its weights ``outside`` in a file of their own or not."""
    random = np.random.default_rng(0)
    weights = {name: random.normal(0, 0.6, shape).astype(np.float32) for name, shape in SHAPES.items()}
    constants = {"zero": np.array(0, np.int64), "one": np.array([1], np.int64)}
    tensor = "int64[batch_size, sequence_length]"
    for name in SHAPES:  # The parser's identifiers hold no dots.
        nodes = nodes.replace(name, name.replace(".", "_"))
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]> made '
        f"({tensor} input_ids, {tensor} attention_mask, {tensor} token_type_ids) => (float[batch, {CLASSES}] logits) "
        f"{{ {nodes} }}"
    )
    for name, array in {**weights, **constants}.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name.replace(".", "_")))
    path = folder / "foreign.onnx"
    onnx.save(model, str(path), save_as_external_data=outside, location="foreign.data", size_threshold=0)
    return path


def expected_of(source: Path, article: list[int]) -> Array:
    feeds = padded([article], len(article), np.int64)
    logits = session(source).run(None, {**feeds, "token_type_ids": np.zeros_like(feeds[INPUT_IDS.name])})[0]
    return torch.from_numpy(logits).softmax(-1).numpy()[0]


@pytest.mark.parametrize("precision", precisions_of("loop"))
def test_the_adapted_graph_answers_as_its_source(tmp_path: Path, precision: Precision) -> None:
    source = foreign(tmp_path)
    path = written(source, precision, tmp_path / "model.onnx")
    articles = articles_of((3, 9, 17), WORDS)
    expected = np.stack([expected_of(source, article) for article in articles])
    for native in kernels(precision):
        ask = asking(path, native=native)
        alone = np.concatenate([ask([article], len(article)) for article in articles])
        assert np.abs(alone - expected).max() < precision.number_format.probability
        assert np.abs(ask(articles, 17) - alone).max() < 1e-4, "a neighbour or padding changed an answer"


def test_the_adapted_graph_has_the_tensors_of_the_contract(tmp_path: Path) -> None:
    made = session(written(foreign(tmp_path), Precision.INT8, tmp_path / "model.onnx"))
    tensors = [(entry.name, entry.type, entry.shape) for entry in (*made.get_inputs(), *made.get_outputs())]
    assert tensors == [
        ("input_ids", "tensor(int32)", ["batch", "length"]),
        ("attention_mask", "tensor(int32)", ["batch", "length"]),
        ("probabilities", "tensor(float)", ["batch", CLASSES]),
    ]


def test_int8_holds_every_dense_layer_and_the_words_once(tmp_path: Path) -> None:
    model = onnx.load(str(written(foreign(tmp_path), Precision.INT8, tmp_path / "model.onnx")))
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    integers = sorted(tuple(tensor.dims) for tensor in stored.values() if tensor.data_type == TensorProto.INT8)
    assert integers == sorted([(WORDS, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, INNER), (INNER, WIDTH)])
    floats = {tuple(t.dims) for t in stored.values() if t.data_type == TensorProto.FLOAT and len(t.dims) == 2}
    # The types of tokens, the head, and the positions multiplied by the weight of the keys: no weight in two forms.
    assert floats == {(2, WIDTH), (WIDTH, WIDTH), (WIDTH, CLASSES), (POSITIONS, WIDTH), (WIDTH, POSITIONS)}
    assert sum(node.op_type == "Int8Linear" for node in model.graph.node) == 4


@pytest.mark.parametrize("precision", precisions_of("loop"))
def test_nothing_is_stored_or_computed_that_nothing_reads(tmp_path: Path, precision: Precision) -> None:
    graph = onnx.load(str(written(foreign(tmp_path), precision, tmp_path / "model.onnx"))).graph
    read = {name for node in graph.node for name in names_read(node)} | {"probabilities"}
    assert {tensor.name for tensor in graph.initializer} <= read
    assert all(read.intersection(node.output) for node in graph.node)


def test_layers_that_share_a_weight_or_a_bias_keep_the_other_to_themselves(tmp_path: Path) -> None:
    values = "bare_values = MatMul(x, query.weight) values = Add(bare_values, key.bias)"
    nodes = NODES.replace("context = MatMul(weights, x)", f"{values} context = MatMul(weights, values)")
    source = foreign(tmp_path, nodes=nodes)
    articles = articles_of((9,), WORDS)
    ask = asking(written(source, Precision.FP32, tmp_path / "model.onnx"))
    assert np.abs(ask(articles, 9)[0] - expected_of(source, articles[0])).max() < 1e-5


@pytest.mark.parametrize("precision", precisions_of("loop"))
def test_weights_stream_from_one_file_to_another(tmp_path: Path, precision: Precision) -> None:
    (tmp_path / "a").mkdir()
    articles = articles_of((9, 5), WORDS)
    small = asking(written(foreign(tmp_path), precision, tmp_path / "small" / "model.onnx"))
    source = foreign(tmp_path / "a", outside=True)
    large = written(source, precision, tmp_path / "large" / "model.onnx", split_bytes=0)
    assert data_file(large).is_file()
    assert np.array_equal(asking(large)(articles, 9), small(articles, 9))


def test_another_operator_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"operator set 17 .* 18.*delete \.cache/optimum"):
        adapt(foreign(tmp_path, opset=18), Precision.FP32, Initializers())


def test_another_input_is_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    model = onnx.load(str(path))
    model.graph.input.append(helper.make_tensor_value_info("bbox", TensorProto.INT64, ["batch", "length", 4]))
    onnx.save(model, str(path))
    with pytest.raises(CheckpointError, match=r"also wants bbox; write a graph for its family"):
        adapt(path, Precision.FP32, Initializers())


def test_another_output_is_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    model = onnx.load(str(path))
    model.graph.output[0].name = "embedded"
    onnx.save(model, str(path))
    with pytest.raises(CheckpointError, match=r"'logits'.*gives out embedded; export a model for sequence class"):
        adapt(path, Precision.FP32, Initializers())
