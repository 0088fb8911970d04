"""DeBERTa as a graph for GPUs, beside ``transformers``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import transformers
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from export.architectures import Trained, architecture_of
from export.architectures.deberta_v2_gpu import buckets, unsupported
from export.architectures.writing import write_graph
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.initializers import Initializers
from export.graph.precision import FORMATS, Precision
from export.parity.rounded import running_rounded
from infolens.contract import ATTENTION_MASK, INPUT_IDS, AnswerKind
from infolens.targets import Target
from tests.export.graph.cuda_kernels import without_cuda_kernel

WORDS, LONGEST = 200, 48
LIMITS = {Precision.FP32: 1e-5} | {one: FORMATS[one].probability for one in (Precision.FP16, Precision.BF16)}


def config_of(**other: Any) -> Any:
    entries: dict[str, Any] = {
        "vocab_size": WORDS, "hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.1, "num_labels": 5,
        "relative_attention": True, "pos_att_type": "p2c|c2p", "position_buckets": 16, "norm_rel_ebd": "layer_norm",
        "share_att_key": True, "type_vocab_size": 0, "position_biased_input": False, "pooler_hidden_size": 128,
    }  # fmt: skip
    return transformers.DebertaV2Config(**{**entries, **other})


def batch_of(*lengths: int) -> dict[str, Any]:
    ids = np.random.default_rng(0).integers(5, WORDS, (len(lengths), max(lengths))).astype(np.int32)
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int32)
    return {INPUT_IDS.name: ids, ATTENTION_MASK.name: mask}


@pytest.mark.parametrize("span", [16, -1])
@pytest.mark.parametrize("precision", LIMITS)
def test_the_answers_are_those_of_transformers(precision: Precision, span: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = transformers.DebertaV2ForSequenceClassification(config_of(position_buckets=span)).eval()
    trained = Trained(
        config=model.config, generation=None, weights=CheckpointWeights(model.state_dict()), max_tokens=LONGEST
    )
    record = architecture_of("deberta-v2", AnswerKind.LABELS)
    graph = write_graph(record, trained, Target.CUDA, precision, Initializers())
    assert [node.name for node in without_cuda_kernel(graph)] == []
    onnx.save(graph, tmp_path / "model.onnx")
    for batch in (batch_of(LONGEST, 30, 9), batch_of(17)):
        with torch.inference_mode():
            expected = model(**{name: torch.tensor(array) for name, array in batch.items()}).logits.softmax(-1)
        with running_rounded(tmp_path / "model.onnx", None) as run:
            np.testing.assert_allclose(run(batch), expected, atol=LIMITS[precision], rtol=0)


@pytest.mark.parametrize(("span", "longest"), [(256, 512), (32, 512), (8, 64)])
def test_distances_are_in_the_buckets_of_transformers(span: int, longest: int) -> None:
    distances = np.arange(-longest, longest + 1)
    expected = make_log_bucket_position(torch.tensor(distances), span, longest)
    np.testing.assert_array_equal(buckets(distances, span, longest), expected)


def test_what_the_graph_cannot_express_is_named() -> None:
    assert unsupported(config_of()) == []
    found = unsupported(config_of(pos_att_type="c2p", conv_kernel_size=3, type_vocab_size=2))
    assert [one.partition("=")[0] for one in found] == ["pos_att_type", "type_vocab_size", "conv_kernel_size"]
