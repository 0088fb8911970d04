"""Plans that TensorRT for RTX really builds; none of them is run, for lack of a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from engine.artefact import ENCODER, PLAIN, STEP
from engine.settings import Bucket
from engine.trt.graphs import sizes_of
from export.architectures import architecture_of
from export.graph.initializers import Initializers
from export.graph.standard.graph import Products, StandardGraph
from infolens.contract import AnswerKind
from tests.export.graph.rows import tiny_bart
from tests.export.graph.test_standard_graph import FAMILIES, trained_classifier

from .conftest import Build
from .made import BUCKET, artefact_of

pytestmark = pytest.mark.slow
HEADS_OF_64 = {"d_model": 128, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
LARGE = {
    "vocab_size": 50264,
    "d_model": 1024,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "decoder_ffn_dim": 4096,
    "max_position_embeddings": 1024,
}


def check(build: Build, folder: Path, precision: str, bucket: Bucket) -> None:
    for name in (ENCODER, PLAIN, STEP):
        found = build(folder / name, precision, sizes_of(name, bucket))
        print(f"{name} {precision}: {found}")  # noqa: T201 - for whoever asks pytest for it with -s
        assert "error" not in found, found
        assert found["bytes"] > 100_000


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_small_bart_is_built(build: Build, precision: str, tmp_path: Path) -> None:
    artefact = artefact_of(tiny_bart(**HEADS_OF_64), tmp_path / precision, precision)
    check(build, artefact.folder, precision, BUCKET)


def test_an_encoder_that_reads_windows_is_built(build: Build, tmp_path: Path) -> None:
    artefact = artefact_of(tiny_bart(**HEADS_OF_64), tmp_path / "fp16", "fp16", window=16)
    assert BUCKET.source_length % 16 == 0
    found = build(artefact.path(ENCODER), "fp16", sizes_of(ENCODER, BUCKET))
    assert "error" not in found, found


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_layers_of_the_shape_of_bart_large_are_built(build: Build, precision: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = BartForConditionalGeneration(BartConfig(**LARGE))
    artefact = artefact_of(model, tmp_path / precision, precision)
    check(build, artefact.folder, precision, Bucket(slots=8, beams=4, source_length=512, target_length=142))


def test_a_graph_of_another_precision_is_refused(build: Build, tmp_path: Path) -> None:
    artefact = artefact_of(tiny_bart(**HEADS_OF_64), tmp_path / "fp16", "fp16")
    found = build(artefact.path(STEP), "bf16", sizes_of(STEP, BUCKET), products=("BF16",))
    assert (
        "MATRIX_MULTIPLY in HALF, where BF16 is meant" in found["error"] or "ATTENTION_INPUT in HALF" in found["error"]
    )


@pytest.mark.parametrize("products", Products)
@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_classifier_is_built(build: Build, model_type: str, products: Products, tmp_path: Path) -> None:
    write: Any = architecture_of(model_type, AnswerKind.LABELS).write_on
    model = write(trained_classifier(model_type), StandardGraph(Initializers(), prefix="", products=products))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    # The small head after the encoder stays in fp32.
    allowed = {"fp32": ("FLOAT",), "fp16": ("HALF", "FLOAT"), "bf16": ("BF16", "FLOAT")}[products]
    found = build(path, products, {"batch": 8, "length": 64}, products=allowed)
    assert found.get("bytes", 0) > 100_000, found
