"""Articles in windows: the graph encodes each by itself, as ``transformers`` does when it is given them one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from export.architectures.bart import write
from export.graph.initializers import Initializers
from export.graph.precision import Precision, precisions_of
from export.parity.summaries import token_f1, with_settings
from export.parity.windows import in_windows
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SENTENCE_ENDS
from operators.library import ensure_operators
from tests.export.graph.rows import END, PAD, Arrays, session_of, tiny_bart, trained

WINDOW = 16
VALUES = {"num_beams": 2, "min_length": 4, "max_length": 20, "length_penalty": 1.0}


def batch(*lengths: int) -> Arrays:
    ids = np.full((len(lengths), max(lengths)), PAD, np.int32)
    for row, length in enumerate(lengths):
        ids[row, :length] = [0, *np.random.default_rng(row).integers(4, 60, length - 2), END]
    return {INPUT_IDS.name: ids, ATTENTION_MASK.name: (ids != PAD).astype(np.int32)}


def expected_of(model: Any, inputs: Arrays) -> list[list[int]]:
    summaries = []
    for ids, mask in zip(inputs[INPUT_IDS.name], inputs[ATTENTION_MASK.name], strict=True):
        windows, masks = (torch.from_numpy(x).long().reshape(-1, min(WINDOW, len(ids))) for x in (ids, mask))
        hidden = model.get_encoder()(input_ids=windows, attention_mask=masks).last_hidden_state.reshape(1, len(ids), -1)
        found = model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden),
            attention_mask=masks.reshape(1, -1),
            do_sample=False,
            **{name: value if name == "length_penalty" else int(value) for name, value in VALUES.items()},
        )
        summaries.append([token for token in found[0].tolist() if token != PAD])
    return summaries


def cut(inputs: Arrays) -> Arrays:
    """Rows of tokens in windows."""
    return in_windows(inputs, WINDOW, frame=(1, 1), pad=PAD, most=4)


@pytest.mark.parametrize("precision", precisions_of("loop"))
def test_the_decoder_looks_at_every_window(precision: Precision) -> None:
    model = tiny_bart()
    model.generation_config.update(
        no_repeat_ngram_size=3, forced_bos_token_id=0, forced_eos_token_id=END, early_stopping=True
    )
    graph = write(trained(model, window=WINDOW), precision, Initializers())
    for native in dict.fromkeys((None, ensure_operators().path)):
        session = session_of(graph, native)

        def run(inputs: Arrays, session: Any = session) -> list[list[int]]:
            found = session.run(None, with_settings(inputs, VALUES))[0].tolist()
            return [[token for token in row if token != PAD] for row in found]

        for inputs in (cut(batch(64, 40, 9)), cut(batch(14, 16))):
            answers, expected = run(inputs), expected_of(model, inputs)
            scores = [token_f1(a, b) for a, b in zip(answers, expected, strict=True)]
            assert min(scores) == 1 if precision is Precision.FP32 else np.mean(scores) > 0.4
            alone = {name: array[1:2] for name, array in inputs.items()}
            if precision.number_format.same_alone:
                assert run(alone)[0] == answers[1]
            if inputs[INPUT_IDS.name].shape[1] > WINDOW:
                assert inputs[INPUT_IDS.name].shape[1] == 4 * WINDOW
                blind = inputs[INPUT_IDS.name].copy()
                blind[0, WINDOW + 1 : 2 * WINDOW - 1] = 5
                assert run(inputs | {INPUT_IDS.name: blind})[0] != answers[0], "the second window changes nothing"


def test_windows_are_quoted_from() -> None:
    model = tiny_bart()
    model.generation_config.update(forced_bos_token_id=0, forced_eos_token_id=END, early_stopping=True)
    session = session_of(write(trained(model, window=WINDOW), Precision.FP32, Initializers()))
    inputs = cut(batch(48))
    ends = np.full_like(inputs[INPUT_IDS.name], -1)
    ends[0, 33:41] = 40  # the only sentence is in the third window
    found = session.run(None, with_settings(inputs | {SENTENCE_ENDS.name: ends}, VALUES))[0][0]
    assert [token for token in found.tolist() if token != PAD] == [END, 0, *inputs[INPUT_IDS.name][0, 33:41], END]
