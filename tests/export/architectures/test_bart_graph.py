"""The graph of BART: its settings, its vocabulary and its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from transformers import BartForConditionalGeneration

from export.checkpoint.checkpoint import Checkpoint, load_checkpoint
from export.checkpoint.tokenization import encode, padding_of, serving_tokenizer
from export.exporter import build
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.parity.articles import ARTICLES
from export.parity.summaries import with_settings
from infolens.contract import SUMMARY_SETTINGS, Task

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")


def test_settings_travel_as_lengths(loaded: dict[Task, Checkpoint]) -> None:
    checkpoint = loaded[Task.SUMMARY]
    graph = build(checkpoint, Precision.FP32, Initializers()).SerializeToString()
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    tokenizer, padding = serving_tokenizer(checkpoint), padding_of(checkpoint)
    batch = encode(tokenizer, ARTICLES[:4], padding, max_tokens=160)
    for values in ({"max_length": 9.0, "min_length": 0.0}, {"max_length": 30.0, "min_length": 30.0, "num_beams": 1.0}):
        settings = {setting.name: values.get(setting.name, setting.default) for setting in SUMMARY_SETTINGS}
        sequences = session.run(None, with_settings(batch, settings))[0]
        assert sequences.shape == (4, values["max_length"])
        lengths = (sequences != padding.pad_id).sum(axis=1)
        assert (lengths >= values["min_length"]).all()
        ends = sequences[np.arange(4), lengths - 1]
        assert (ends == checkpoint.model.generation_config.eos_token_id).all()


def test_rows_of_the_embedding_without_a_token_are_never_written(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoints[Task.SUMMARY], folder)
    model = BartForConditionalGeneration.from_pretrained(folder)
    tokens = model.config.vocab_size
    model.resize_token_embeddings(tokens + 40, mean_resizing=False)
    with torch.no_grad():
        model.final_logits_bias[:, tokens:] = 50
    model.save_pretrained(folder)
    checkpoint = load_checkpoint(Task.SUMMARY, str(folder))
    session = ort.InferenceSession(build(checkpoint, Precision.FP32, Initializers()).SerializeToString())
    batch = encode(serving_tokenizer(checkpoint), ARTICLES[:3], padding_of(checkpoint), max_tokens=160)
    sequences = session.run(None, with_settings(batch, {s.name: s.default for s in SUMMARY_SETTINGS}))[0]
    assert sequences.max() < tokens


def test_the_tied_embedding_is_stored_once(loaded: dict[Task, Checkpoint]) -> None:
    checkpoint = loaded[Task.SUMMARY]
    graph = build(checkpoint, Precision.INT8, Initializers()).graph
    shape = {checkpoint.config.vocab_size, checkpoint.config.d_model}
    assert [tensor.name for tensor in graph.initializer if set(tensor.dims) == shape] == ["embedding.weight_int8"]
