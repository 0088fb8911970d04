"""The beam search of the graph against the one of ``transformers``, rule by rule, on a tiny BART in fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from export.architectures import Trained
from export.architectures.bart import write
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.parity.summaries import with_settings
from infolens.contract import ATTENTION_MASK, INPUT_IDS
from operators.library import ensure_operators

PAD, END = 1, 2


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(3)
    config = BartConfig(
        vocab_size=60,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=128,
        init_std=0.6,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=END,
    )
    made = BartForConditionalGeneration(config).eval()
    with torch.no_grad():  # Random weights hardly ever choose to end a summary; some should.
        made.final_logits_bias[0, END] = 9.0
    return made


def trained(model: Any) -> Trained:
    return Trained(
        config=model.config,
        generation=model.generation_config,
        weights=CheckpointWeights(model.state_dict()),
        max_tokens=model.config.max_position_embeddings,
    )


def batch() -> dict[str, np.ndarray[Any, Any]]:
    ids = np.random.default_rng(0).integers(4, 60, (6, 24), dtype=np.int32)
    mask = np.ones_like(ids)
    for row, length in enumerate((24, 20, 24, 9, 13, 17)):
        ids[row, length:], mask[row, length:] = PAD, 0
    return {INPUT_IDS.name: ids, ATTENTION_MASK.name: mask}


def expected_of(model: Any, inputs: dict[str, np.ndarray[Any, Any]], values: dict[str, float]) -> list[list[int]]:
    """The summaries of ``transformers``, without padding."""
    found = model.generate(
        torch.from_numpy(inputs[INPUT_IDS.name]).long(),
        attention_mask=torch.from_numpy(inputs[ATTENTION_MASK.name]).long(),
        num_beams=int(values["num_beams"]),
        min_length=int(values["min_length"]),
        max_length=int(values["max_length"]),
        length_penalty=values["length_penalty"],
        do_sample=False,
    )
    return [without_padding(row) for row in found.tolist()]


def without_padding(row: list[int]) -> list[int]:
    return [token for token in row if token != PAD]


def session_of(graph: onnx.ModelProto, native: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    if native:
        options.register_custom_ops_library(str(native))
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


DEFAULTS = {"no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "early_stopping": True, "eos_token_id": END}
UNSET = dict.fromkeys(("repetition_penalty", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids"))
ENDS = [END, 25, 59]  # words that the model likes


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"early_stopping": False},
        {"early_stopping": "never"},
        {"no_repeat_ngram_size": 0},
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2},
        {"forced_bos_token_id": None},
    ],
    ids=str,
)
def test_the_same_summaries(model: Any, rules: dict[str, Any]) -> None:
    model.generation_config.update(**(UNSET | DEFAULTS | rules), forced_eos_token_id=END)
    lengths = same_summaries(model, (2, 5), (-1.5, 0.0, 1.0, 3.0))
    if rules.get("no_repeat_ngram_size") != 1:  # The start token is the end token, and may then not come again.
        assert len(lengths) > 3, "the summaries are too much alike to show anything"


@pytest.mark.parametrize(
    "rules",
    [
        {"repetition_penalty": 1.4},
        {"repetition_penalty": 0.8, "no_repeat_ngram_size": 0},
        {"eos_token_id": ENDS},
        {"eos_token_id": ENDS, "early_stopping": False},
        {"suppress_tokens": [25, 48], "bad_words_ids": [[59], [31], [END]]},
        {"begin_suppress_tokens": [0, 25, 59]},
        {"begin_suppress_tokens": [0, 25, 59], "forced_bos_token_id": None},
        {
            "repetition_penalty": 1.2,
            "eos_token_id": ENDS,
            "suppress_tokens": [48],
            "begin_suppress_tokens": [0],
            "bad_words_ids": [[36]],
            "no_repeat_ngram_size": 2,
        },
    ],
    ids=str,
)
def test_the_same_summaries_with_more_rules(model: Any, rules: dict[str, Any]) -> None:
    model.generation_config.update(**(UNSET | DEFAULTS), forced_eos_token_id=END)
    plain = expected_of(model, batch(), VALUES | {"num_beams": 3})
    model.generation_config.update(**rules)
    beams = (1, 2, 4) if rules.get("early_stopping", True) is True else (2, 4)  # One beam ends early in any case.
    lengths = same_summaries(model, beams, (0.0, 1.0))
    assert len(lengths) > 3, "the summaries are too much alike to show anything"
    assert expected_of(model, batch(), VALUES | {"num_beams": 3}) != plain, "the rules change nothing here"


VALUES = {"num_beams": 1, "min_length": 0, "max_length": 20, "length_penalty": 1.0}


def same_summaries(model: Any, several: tuple[int, ...], penalties: tuple[float, ...]) -> set[int]:
    """Compare the graph with ``generate``; returns the lengths of the summaries."""
    initializers = Initializers()
    graph = write(trained(model), Precision.FP32, initializers)
    sessions = [session_of(graph)]
    if native := ensure_operators().path:
        sessions.append(session_of(graph, native))
    inputs = batch()
    lengths = set()
    for beams in several:
        for penalty in penalties:
            values = VALUES | {"num_beams": beams, "length_penalty": penalty}
            values["min_length"] = 8 if penalty == 1.0 else 0
            expected = expected_of(model, inputs, values)
            lengths |= {len(row) for row in expected}
            for session in sessions:
                found = session.run(None, with_settings(inputs, values))[0]
                assert [without_padding(row) for row in found.tolist()] == expected, values
    return lengths


def test_the_shortest_summary(model: Any) -> None:
    model.generation_config.update(**UNSET, **DEFAULTS, forced_eos_token_id=END)
    graph = write(trained(model), Precision.FP32, Initializers())
    session = session_of(graph)
    values = {"num_beams": 1, "min_length": 0, "max_length": 4, "length_penalty": 1.0}
    found = session.run(None, with_settings(batch(), values))[0]
    assert found.shape == (6, 4)
    assert (found[:, :2] == [END, 0]).all()
    assert ((found == END).sum(axis=1) == 2).all()
