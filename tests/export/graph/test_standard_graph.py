"""Classifiers in the operators of ONNX alone, beside their graphs for CPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import transformers

from export.architectures import Trained, architecture_of
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.graph import DOMAIN, MICROSOFT
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.graph.standard.graph import OPSET, Products, StandardGraph
from infolens.contract import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, AnswerKind

WORDS: Final = 200
LENGTHS: Final = (48, 30, 17, 9)
WINDOW: Final = 16
_BERT: Final = {
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 66,
}
FAMILIES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "distilbert": (
        "DistilBert",
        {"dim": 128, "hidden_dim": 128, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 64},
    ),
    "bert": ("Bert", _BERT),
    "roberta": ("Roberta", {**_BERT, "type_vocab_size": 1}),
    "xlnet": ("XLNet", {"d_model": 128, "d_inner": 128, "n_layer": 2, "n_head": 2}),
}
"""``model_type`` -> the beginning of its classes' names, and a small configuration with heads of 64."""
LIMITS: Final = {Products.FP32: 1e-5, Products.FP16: 5e-3}


def trained_classifier(model_type: str, window: int = 0) -> Trained:
    name, sizes = FAMILIES[model_type]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(vocab_size=WORDS, initializer_range=0.2, num_labels=5, **sizes)
    model = getattr(transformers, f"{name}ForSequenceClassification")(config).eval()
    return Trained(
        config=config, generation=None, weights=CheckpointWeights(model.state_dict()), max_tokens=64, window=window
    )


def batch_of(model_type: str) -> dict[str, Any]:
    """Articles of all `LENGTHS`, padded on the side of the family."""
    left = architecture_of(model_type, AnswerKind.LABELS).padding_side == "left"
    shape = (len(LENGTHS), max(LENGTHS))
    ids = np.random.default_rng(0).integers(5, WORDS, shape).astype(np.int32)
    places = np.arange(max(LENGTHS))[:: -1 if left else 1]
    mask = (places < np.array(LENGTHS)[:, None]).astype(np.int32)
    # Three types, so that the segments of XLNet count.
    types = np.where(mask == 0, 3, np.where(places == 0, 2, places % 2)).astype(np.int32)
    return {INPUT_IDS.name: ids, ATTENTION_MASK.name: mask, TOKEN_TYPE_IDS.name: types}


def probabilities(model: onnx.ModelProto, batch: dict[str, Any]) -> Any:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {one.name: batch[one.name] for one in session.get_inputs()})[0]


def standard(model_type: str, trained: Trained, products: Products) -> onnx.ModelProto:
    write: Callable[..., onnx.ModelProto] | None = architecture_of(model_type, AnswerKind.LABELS).write_on
    assert write is not None
    return write(trained, StandardGraph(Initializers(), prefix="", products=products))


@pytest.mark.parametrize("products", LIMITS)
@pytest.mark.parametrize(
    ("model_type", "window"), [*((name, 0) for name in FAMILIES), ("distilbert", WINDOW), ("roberta", WINDOW)]
)
def test_the_answers_are_those_of_the_graph_for_cpus(model_type: str, window: int, products: Products) -> None:
    trained, batch = trained_classifier(model_type, window), batch_of(model_type)
    write: Any = architecture_of(model_type, AnswerKind.LABELS).write
    expected = probabilities(write(trained, Precision.FP32, Initializers()), batch)
    assert expected.std(axis=0).max() > 0.02  # The articles differ by more than what is allowed below.
    found = probabilities(standard(model_type, trained, products), batch)
    np.testing.assert_allclose(found, expected, atol=LIMITS[products], rtol=0)


@pytest.mark.parametrize("products", Products)
@pytest.mark.parametrize("model_type", FAMILIES)
def test_all_operators_are_of_onnx_and_products_of_their_type(model_type: str, products: Products) -> None:
    model = standard(model_type, trained_classifier(model_type), products)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    assert next(opset.version for opset in model.opset_import if opset.domain == "") == OPSET
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    kind = {"fp32": "FLOAT", "fp16": "FLOAT16", "bf16": "BFLOAT16"}[products]
    weights = [node.input[1] for node in model.graph.node if node.op_type == "MatMul" and ".layer" in node.input[1]]
    stored = [types[name] for name in weights if name in types and not name.endswith(".r")]
    assert len(stored) >= 8
    assert set(stored) == {onnx.TensorProto.DataType.Value(kind)}


def test_what_onnx_does_not_have_is_refused() -> None:
    graph = StandardGraph(Initializers(), prefix="", products=Products.FP16)
    with pytest.raises(ValueError, match=f"not {DOMAIN}.AddNorm"):
        graph.fused("AddNorm", "x", "y", "gamma", "beta")
    with pytest.raises(ValueError, match=f"not {MICROSOFT}.BiasGelu"):
        graph.one("BiasGelu", "x", "y", domain=MICROSOFT)
    with pytest.raises(ValueError, match="attention has one output"):
        graph.attention(["q", "k", "v", "", "mask"], 2, outputs=3)


def test_a_batch_row_of_padding_alone_is_a_number() -> None:
    batch = batch_of("distilbert")
    batch[ATTENTION_MASK.name][1] = 0
    for window in (0, WINDOW):
        model = standard("distilbert", trained_classifier("distilbert", window), Products.FP16)
        assert np.isfinite(probabilities(model, batch)).all()
