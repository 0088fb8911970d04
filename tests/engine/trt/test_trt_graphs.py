"""Graphs made ready for TensorRT: the same answers, in the forms that it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engine.artefact import ENCODER, PLAIN, STEP, Artefact
from engine.settings import Bucket
from engine.trt.graphs import prepared, sizes_of
from tests.export.graph.rows import tiny_bart

from .made import BUCKET, artefact_of
from .onnxruntime_part import session_of

HALVES = ("fp16", "bf16")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Artefact]:
    folder, model = tmp_path_factory.mktemp("engine"), tiny_bart()
    made = {precision: artefact_of(model, folder / precision, precision) for precision in ("fp32", *HALVES)}
    return made.__getitem__


def graph_of(artefact: Artefact, name: str, bucket: Bucket = BUCKET) -> onnx.ModelProto:
    return onnx.load_from_string(prepared(artefact.path(name), sizes_of(name, bucket), artefact.precision))


@pytest.mark.parametrize("name", [ENCODER, STEP, PLAIN])
@pytest.mark.parametrize("precision", ["fp32", *HALVES])
def test_what_tensorrt_refuses_is_not_there(artefact: Callable[[str], Artefact], name: str, precision: str) -> None:
    graph = graph_of(artefact(precision), name).graph
    for tensor in (*graph.input, *graph.output):
        assert all(dim.dim_value for dim in tensor.type.tensor_type.shape.dim), tensor.name
    attentions = [node for node in graph.node if node.op_type == "Attention"]
    assert attentions
    assert {attribute.name for node in attentions for attribute in node.attribute} <= {"scale", "is_causal"}
    scattered = [node.output[0] for node in graph.node if node.op_type == "TensorScatter"]
    assert set(scattered) <= {tensor.name for tensor in graph.output}
    assert len(scattered) == (0 if name == ENCODER else 4)


@pytest.mark.parametrize("precision", HALVES)
def test_normalisations_are_in_fp32(artefact: Callable[[str], Artefact], precision: str) -> None:
    graph = graph_of(artefact(precision), STEP).graph
    casts = {node.output[0]: node.attribute[0].i for node in graph.node if node.op_type == "Cast"}
    norms = [node for node in graph.node if node.op_type == "LayerNormalization"]
    assert norms
    assert {casts[name] for node in norms for name in node.input} == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-6), ("fp16", 2e-2)])
def test_an_article_is_read_as_before(artefact: Callable[[str], Artefact], precision: str, limit: float) -> None:
    made = artefact(precision)
    path = made.folder / f"prepared-{ENCODER}"
    path.write_bytes(prepared(made.path(ENCODER), sizes_of(ENCODER, BUCKET), precision))
    ids = np.random.default_rng(0).integers(4, 60, (1, BUCKET.source_length)).astype(np.int32)
    mask = (np.arange(BUCKET.source_length) < 30)[None].astype(np.int32)
    feeds: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
    before, after = (session_of(place).run(None, feeds) for place in (made.path(ENCODER), path))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(other.astype(np.float32), one.astype(np.float32), atol=limit * np.abs(one).max())


def test_a_dimension_without_a_size_is_named(artefact: Callable[[str], Artefact]) -> None:
    sizes = {name: size for name, size in BUCKET.sizes.items() if name != "nodes"}
    with pytest.raises(ValueError, match=r"step.onnx has a dimension 'nodes' of .*; known: slots, beams"):
        prepared(artefact("fp32").path(STEP), sizes, "fp32")


def test_names_of_the_artefact_are_left_alone(artefact: Callable[[str], Artefact]) -> None:
    path: Path = artefact("fp16").path(STEP)
    before, after = onnx.load(path, load_external_data=False).graph, graph_of(artefact("fp16"), STEP).graph
    for kind in ("input", "output"):
        assert [one.name for one in getattr(after, kind)] == [one.name for one in getattr(before, kind)]
