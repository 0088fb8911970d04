"""Checkpoints of several families through optimum itself, against ``transformers``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from export.errors import CheckpointError
from export.graph.precision import Precision
from export.optimum.convert import convert
from export.optimum.environment import ensure_optimum
from tests.export.optimum.adapted import articles_of, asking, kernels, written

SHARED = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "num_labels": 4,
}
THIRD = {
    "relative_attention": True,
    "pos_att_type": "c2p|p2c",
    "position_buckets": 32,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "type_vocab_size": 0,
    "position_biased_input": False,
    "pooler_hidden_size": 32,
}
FAMILIES: dict[str, Callable[[], Any]] = {
    "deberta-v3": lambda: DebertaV2ForSequenceClassification(DebertaV2Config(**SHARED, **THIRD)),
    "deberta-v2-convolution": lambda: DebertaV2ForSequenceClassification(
        DebertaV2Config(**SHARED, **THIRD, conv_kernel_size=3, conv_act="gelu")
    ),
    "deberta-v2-own-projections": lambda: DebertaV2ForSequenceClassification(
        DebertaV2Config(**SHARED, **{**THIRD, "position_buckets": -1, "share_att_key": False, "norm_rel_ebd": "none"})
    ),
    "deberta-v2-absolute": lambda: DebertaV2ForSequenceClassification(
        DebertaV2Config(**SHARED, type_vocab_size=2, relative_attention=False, pooler_hidden_size=32)
    ),
    "electra": lambda: ElectraForSequenceClassification(ElectraConfig(**SHARED, embedding_size=16)),
}


@pytest.fixture(scope="module")
def python() -> Path:
    return ensure_optimum()


@pytest.mark.slow
@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_graph_by_optimum_answers_as_its_checkpoint(tmp_path: Path, python: Path, family: str) -> None:
    torch.manual_seed(1)
    model = FAMILIES[family]().eval()
    with torch.no_grad():  # Fresh biases are 0 and fresh normalisations 1: mistakes in them would not show.
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path / "checkpoint")
    (tmp_path / "work").mkdir()
    source = convert(tmp_path / "checkpoint", tmp_path / "work", python)
    articles = articles_of((8, 17, 64, 300, 512), SHARED["vocab_size"])
    with torch.inference_mode():
        expected = np.concatenate([model(torch.tensor([article])).logits.softmax(-1).numpy() for article in articles])
    assert np.ptp(expected, axis=0).max() > 0.1, "the answers are too much alike to compare"
    for precision, limit in {Precision.FP32: 1e-4, Precision.FP16: 1e-2, Precision.INT8: 0.1}.items():
        path = written(source, precision, tmp_path / precision / "model.onnx")
        for native in kernels(precision):
            ask = asking(path, native=native)
            alone = np.concatenate([ask([article], len(article)) for article in articles])
            assert np.abs(alone - expected).max() < limit
            for few in (slice(0, 1), slice(0, 2), slice(2, 5)):  # One to three articles, padded on the right.
                assert np.abs(ask(articles[few], 512) - alone[few]).max() < 1e-4


@pytest.mark.slow
def test_a_family_that_optimum_does_not_know_is_refused_with_its_reason(tmp_path: Path, python: Path) -> None:
    config = XLNetConfig(vocab_size=50, d_model=16, n_layer=1, n_head=2, d_inner=16)
    XLNetForSequenceClassification(config).save_pretrained(tmp_path / "xlnet")
    (tmp_path / "work").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot write the graph of 'xlnet' \(ValueError: .*xlnet"):
        convert(tmp_path / "xlnet", tmp_path / "work", python)


@pytest.mark.slow
def test_damaged_weights_are_refused_with_the_reason(tmp_path: Path, python: Path) -> None:
    FAMILIES["deberta-v3"]().save_pretrained(tmp_path / "cut")
    file = tmp_path / "cut" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    (tmp_path / "work").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot write the graph of 'cut' \(SafetensorError: "):
        convert(tmp_path / "cut", tmp_path / "work", python)
