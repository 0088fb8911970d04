"""Slots that quote and slots that draw, beside others, against ``transformers`` with the plain form of the rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.artefact import Artefact, read
from engine.article import Article, Sampling, Spacing
from engine.settings import Architecture, Bucket, Rules, Settings
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.step.files import write_engine
from export.parity.sampling import Sampling as Drawn
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SENTENCE_ENDS
from tests.export.graph.plain import batch_of, expected_of, without_padding
from tests.export.graph.rows import END, PAD, WORDS, spacing, tiny_bart

from .runner import Runner

NEVER = (25, 40)
DEFAULTS = {"no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "early_stopping": True, "forced_eos_token_id": END}
LENGTHS = (48, 40, 13, 30, 3)


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_bart()
    made.generation_config.update(**DEFAULTS)
    return made


def artefact_of(model: Any, folder: Path, **rules: Any) -> Artefact:
    forms = spacing()
    folder.mkdir()
    write_engine(
        folder,
        CheckpointWeights(model.state_dict()),
        Architecture.of(model.config.to_dict()),
        Rules(start_token=END, end_tokens=(END,), pad_token=PAD, first_token=0, last_token=END, **rules),
        "fp32",
        spacing=Spacing(spaced=forms.spaced, unspaced=forms.unspaced),
    )
    return read(folder)


def articles_of(
    inputs: dict[str, Any], settings: Settings, samplings: Sequence[Drawn | None], *, quotes: bool
) -> list[Article]:
    articles = []
    for i, mask in enumerate(inputs[ATTENTION_MASK.name]):
        length, drawn = int(mask.sum()), samplings[i]
        sampling = None
        if drawn:
            sampling = Sampling(temperature=drawn.temperature, top_p=drawn.top_p, draws=drawn.numbers)
        ends = inputs[SENTENCE_ENDS.name][i, :length] if quotes else None
        ids = inputs[INPUT_IDS.name][i, :length]
        articles.append(Article(ids=ids, settings=settings, sentence_ends=ends, sampling=sampling))
    return articles


def bucket_of(beams: int, slots: int = len(LENGTHS)) -> Bucket:
    return Bucket(slots=slots, beams=beams, source_length=48, target_length=24)


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize("words", [WORDS, 30, 27])
def test_quotes_are_those_of_the_plain_search(model: Any, tmp_path: Path, beams: int, words: int) -> None:
    runner = Runner(artefact_of(model, tmp_path / "engine"), bucket_of(max(beams, 2)))
    for seed, (least, most, penalty) in enumerate(((0, 20, 1.0), (9, 24, 2.0), (0, 9, -1.0), (12, 12, 0.0))):
        inputs = batch_of(LENGTHS, words=words, seed=seed)
        values = {"num_beams": beams, "min_length": least, "max_length": most, "length_penalty": penalty}
        expected = expected_of(model, inputs, values, [None] * 5)
        settings = Settings(num_beams=beams, min_length=least, max_length=most, length_penalty=penalty)
        found = runner.summaries(articles_of(inputs, settings, [None] * 5, quotes=True))
        assert [without_padding(row) for row in found.tolist()] == expected, values


def test_sentences_with_a_barred_word_are_not_quoted(model: Any, tmp_path: Path) -> None:
    inputs, values = batch_of((48, 40, 30), words=45), {"num_beams": 2, "min_length": 6, "max_length": 24}
    expected = expected_of(model, inputs, values | {"length_penalty": 1.0}, [None] * 3, never=NEVER)
    runner = Runner(artefact_of(model, tmp_path / "engine", never=NEVER), bucket_of(2, slots=3))
    articles = articles_of(inputs, Settings(num_beams=2, min_length=6, max_length=24), [None] * 3, quotes=True)
    found = [without_padding(row) for row in runner.summaries(articles).tolist()]
    assert found == expected
    assert not {token for row in found for token in row} & {*NEVER}


@pytest.mark.parametrize("quotes", [True, False])
@pytest.mark.parametrize("rules", [{}, {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2}], ids=str)
def test_samples_are_those_of_the_plain_form(model: Any, tmp_path: Path, quotes: bool, rules: dict[str, Any]) -> None:
    values: dict[str, float] = {"num_beams": 1, "min_length": 6, "max_length": 24, "length_penalty": 1.0}
    pairs = ((0.3, 1.0), (1.0, 0.9), (2.0, 0.5), (2.0, 1.0), (1.5, 0.05))
    penalty = rules.get("repetition_penalty", 1.0)
    size = rules.get("no_repeat_ngram_size", 3)
    runner = Runner(artefact_of(model, tmp_path / "engine", repetition_penalty=penalty), bucket_of(3))
    inputs, different = batch_of(LENGTHS), set()
    settings = Settings(min_length=6, max_length=24, no_repeat_ngram_size=size)
    for seed in range(3):
        samplings = [Drawn.of(*pair, seed=10 * seed + i, steps=24) for i, pair in enumerate(pairs)]
        # A penalty is for free summaries.
        model.generation_config.update(
            repetition_penalty=1.0 if quotes else penalty, no_repeat_ngram_size=0 if quotes else size
        )
        expected = expected_of(model, inputs, values, samplings, quotes=quotes)
        model.generation_config.update(**DEFAULTS, repetition_penalty=1.0)
        found = runner.summaries(articles_of(inputs, settings, samplings, quotes=quotes))
        assert [without_padding(row) for row in found.tolist()] == expected
        different |= {tuple(row) for row in found.tolist()}
    assert len(different) > 5, "the samples are too much alike to show anything"


def test_slots_that_quote_draw_and_search_share_steps(model: Any, tmp_path: Path) -> None:
    runner = Runner(artefact_of(model, tmp_path / "engine"), bucket_of(4))
    inputs = batch_of(LENGTHS)
    searched = Settings(num_beams=4, min_length=6, max_length=20, no_repeat_ngram_size=3)
    drawn: list[Drawn | None] = [Drawn.of(1.0, 0.9, seed=i, steps=24) for i in range(5)]
    kinds = (
        articles_of(inputs, searched, [None] * 5, quotes=False),
        articles_of(inputs, searched, [None] * 5, quotes=True),
        articles_of(inputs, Settings(max_length=24), drawn, quotes=False),
        articles_of(inputs, Settings(max_length=24), drawn, quotes=True),
    )
    mixed = [kinds[i % 4][i] for i in range(5)]
    alone = [runner.summaries([article])[0] for article in mixed]
    np.testing.assert_array_equal(runner.summaries(mixed), alone)
