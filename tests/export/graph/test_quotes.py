"""A search that may only quote, and samples, against ``transformers`` with the plain form of the same rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from export.architectures.bart import write
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.parity.sampling import Sampling
from export.parity.summaries import with_settings
from infolens.contract import SAMPLING, SENTENCE_ENDS
from operators.library import ensure_operators

from .plain import batch_of, expected_of, without_padding
from .rows import END, WORDS, Arrays, session_of, tiny_bart, trained

DEFAULTS = {"no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "early_stopping": True, "forced_eos_token_id": END}
NATIVE = ensure_operators().path
NONE = {"repetition_penalty": 1.0}
VALUES = {"num_beams": 1, "min_length": 6, "max_length": 24, "length_penalty": 1.0}
SESSIONS = ["standard", *(["native"] if NATIVE else [])]


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_bart()
    made.generation_config.update(**DEFAULTS)
    return made


@pytest.fixture(scope="module")
def session(model: Any) -> Callable[..., Any]:
    @cache
    def made(kind: str, **rules: Any) -> Any:
        model.generation_config.update(**(DEFAULTS | rules))
        graph = write(trained(model), Precision.FP32, Initializers())
        model.generation_config.update(**(dict.fromkeys(rules) | NONE | DEFAULTS))
        return session_of(graph, NATIVE if kind == "native" else None)

    return made


def found_of(session: Any, inputs: Arrays, values: dict[str, float]) -> list[list[int]]:
    return [without_padding(row) for row in session.run(None, with_settings(inputs, values))[0].tolist()]


@pytest.mark.parametrize("kind", SESSIONS)
@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize("words", [WORDS, 30, 27])
def test_quotes_are_those_of_the_plain_search(
    model: Any, session: Callable[..., Any], kind: str, beams: int, words: int
) -> None:
    for seed, (least, most, penalty) in enumerate(((0, 20, 1.0), (9, 24, 2.0), (0, 9, -1.0), (12, 12, 0.0))):
        inputs = batch_of((48, 40, 13, 30, 3), words=words, seed=seed)
        values = {"num_beams": beams, "min_length": least, "max_length": most, "length_penalty": penalty}
        expected = expected_of(model, inputs, values, [None] * 5)
        assert found_of(session(kind), inputs, values) == expected, values
        assert len({len(row) for row in expected}) > 1, "the summaries are too much alike to show anything"


@pytest.mark.parametrize("kind", SESSIONS)
def test_sentences_with_a_barred_word_are_not_quoted(model: Any, session: Callable[..., Any], kind: str) -> None:
    never = (25, 40)
    inputs, values = batch_of((48, 40, 30), words=45), VALUES | {"num_beams": 2}
    graph = session(kind, suppress_tokens=never)
    expected = expected_of(model, inputs, values, [None] * 3, never=never)
    assert found_of(graph, inputs, values) == expected
    assert not {token for row in expected for token in row} & {*never}
    assert expected != found_of(session(kind), inputs, values)


@pytest.mark.parametrize("kind", SESSIONS)
@pytest.mark.parametrize("quotes", [True, False])
@pytest.mark.parametrize("rules", [{}, {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2}], ids=str)
def test_samples_are_those_of_the_plain_form(
    model: Any, session: Callable[..., Any], kind: str, quotes: bool, rules: dict[str, Any]
) -> None:
    inputs, values = batch_of((48, 40, 13, 30)), VALUES
    settings = ((0.3, 1.0), (1.0, 0.9), (2.0, 0.5), (2.0, 1.0))
    graph = session(kind, **rules)
    different = set()
    for seed in range(3):
        samplings = [Sampling.of(*pair, seed=10 * seed + i, steps=24) for i, pair in enumerate(settings)]
        drawn = inputs | {SAMPLING.name: np.stack([sampling.row for sampling in samplings])}
        if not quotes:
            del drawn[SENTENCE_ENDS.name]
        model.generation_config.update(**(DEFAULTS | rules))
        # A penalty is for free summaries.
        penalty = {} if quotes else rules
        model.generation_config.update(repetition_penalty=penalty.get("repetition_penalty", 1.0))
        expected = expected_of(model, inputs, values, samplings, quotes=quotes)
        model.generation_config.update(**(DEFAULTS | NONE))
        found = found_of(graph, drawn, values)
        assert found == expected
        alone = {name: array[1:2] for name, array in drawn.items()}
        assert found_of(graph, alone, values) == found[1:2]
        different |= {tuple(row) for row in found}
    assert len(different) > 5, "the samples are too much alike to show anything"
