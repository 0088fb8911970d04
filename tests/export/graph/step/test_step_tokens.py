"""A step's graph against ``transformers``: the same tokens, for padded articles and slots with their own settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from engine.artefact import Artefact, read
from engine.article import Article, Spacing
from engine.settings import Architecture, Bucket, Rules, Settings
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.step.files import write_engine
from tests.export.graph.rows import END, PAD, WORDS, spacing, tiny_bart

from .runner import Runner

LENGTHS = (24, 13, 9, 20, 4)
TARGET = 24
RULES = Rules(start_token=END, end_tokens=(END,), pad_token=PAD, first_token=0, last_token=END)
PENALTIES = (1.0, 2.0, 0.0, -1.0)
EARLY = (True, False, "never")


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_bart()


@pytest.fixture(scope="module")
def artefact(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Artefact]:
    @cache
    def made(rules: Rules = RULES, precision: str = "fp32") -> Artefact:
        folder: Path = tmp_path_factory.mktemp("engine")
        architecture = Architecture.of(model.config.to_dict())
        weights, forms = CheckpointWeights(model.state_dict()), spacing()
        write_engine(
            folder,
            weights,
            architecture,
            rules,
            precision,
            spacing=Spacing(spaced=forms.spaced, unspaced=forms.unspaced),
        )
        return read(folder)

    return made


def articles_of(settings: list[Settings]) -> list[Article]:
    random = np.random.default_rng(0)
    articles = []
    for length, wishes in zip(LENGTHS, settings, strict=True):
        ids = random.integers(4, WORDS, length).astype(np.int32)
        ids[0], ids[-1] = 0, END
        articles.append(Article(ids=ids, settings=wishes))
    return articles


def generated(model: Any, articles: list[Article], rules: Rules) -> npt.NDArray[np.int64]:
    """What ``transformers`` writes, one article after another, padded."""
    rows = np.full((len(articles), TARGET), PAD)
    lists = {"suppress_tokens": list(rules.never) or None, "begin_suppress_tokens": list(rules.never_first) or None}
    for row, article in zip(rows, articles, strict=True):
        wishes = article.settings
        several = wishes.num_beams > 1
        found = model.generate(
            torch.from_numpy(article.ids[None]).long(),
            attention_mask=torch.ones(1, len(article.ids), dtype=torch.long),
            do_sample=False,
            num_beams=wishes.num_beams,
            min_length=wishes.min_length,
            max_length=wishes.max_length,
            # A greedy search has neither, and says so.
            length_penalty=wishes.length_penalty if several else None,
            early_stopping=wishes.early_stopping if several else None,
            no_repeat_ngram_size=wishes.no_repeat_ngram_size,
            forced_bos_token_id=rules.first_token,
            forced_eos_token_id=rules.last_token,
            repetition_penalty=rules.repetition_penalty,
            eos_token_id=list(rules.end_tokens),
            **lists,
        )[0].numpy()
        row[: len(found)] = found
    return rows


def bucket_of(beams: int, slots: int = len(LENGTHS)) -> Bucket:
    return Bucket(slots=slots, beams=beams, source_length=max(LENGTHS), target_length=TARGET)


@pytest.mark.parametrize("plain", [False, True], ids=["step", "plain"])
@pytest.mark.parametrize("beams", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("early", EARLY, ids=str)
def test_tokens_are_those_of_transformers(
    model: Any, artefact: Callable[..., Artefact], beams: int, early: bool | str, plain: bool
) -> None:
    runner = Runner(artefact(), bucket_of(beams), plain=plain)
    penalties, sizes = (PENALTIES, (0, 1, 2, 3)) if beams < 8 else (PENALTIES[:2], (3,))
    for penalty in penalties:
        for size in sizes:
            settings = Settings(
                min_length=5,
                max_length=20,
                num_beams=beams,
                length_penalty=penalty,
                no_repeat_ngram_size=size,
                early_stopping=early,
            )
            articles = articles_of([settings] * len(LENGTHS))
            expected = generated(model, articles, RULES)
            np.testing.assert_array_equal(runner.summaries(articles), expected, err_msg=str(settings))


@pytest.mark.parametrize(
    "rules",
    [
        Rules(start_token=END, end_tokens=(END,), pad_token=PAD),
        Rules(start_token=0, end_tokens=(END, 7, 11), pad_token=PAD, last_token=END),
        Rules(start_token=END, end_tokens=(END,), pad_token=PAD, first_token=0, repetition_penalty=1.4),
        Rules(start_token=END, end_tokens=(END,), pad_token=PAD, repetition_penalty=0.8, longest_ngram=0),
        Rules(start_token=END, end_tokens=(END,), pad_token=PAD, first_token=0, never=(5, 9), never_first=(31, 32)),
    ],
    ids=["no-forced", "three-ends", "penalty", "reward", "never"],
)
def test_rules_are_those_of_transformers(model: Any, artefact: Callable[..., Artefact], rules: Rules) -> None:
    decoder_start, model.config.decoder_start_token_id = model.config.decoder_start_token_id, rules.start_token
    model.generation_config.decoder_start_token_id = rules.start_token
    try:
        for beams in (1, 3):
            runner = Runner(artefact(rules), bucket_of(beams))
            settings = Settings(
                min_length=4, max_length=18, num_beams=beams, no_repeat_ngram_size=min(2, rules.longest_ngram)
            )
            articles = articles_of([settings] * len(LENGTHS))
            np.testing.assert_array_equal(runner.summaries(articles), generated(model, articles, rules))
    finally:
        model.generation_config.decoder_start_token_id = model.config.decoder_start_token_id = decoder_start


MIXED = [
    Settings(max_length=9, num_beams=4, length_penalty=2.0),
    Settings(min_length=12, max_length=TARGET, num_beams=1, no_repeat_ngram_size=3),
    Settings(max_length=20, num_beams=3, length_penalty=-1.0, early_stopping="never"),
    Settings(min_length=5, max_length=15, num_beams=2, no_repeat_ngram_size=1, early_stopping=False),
    Settings(max_length=2, num_beams=1),
]


@pytest.mark.parametrize("plain", [False, True], ids=["step", "plain"])
def test_slots_have_settings_of_their_own(model: Any, artefact: Callable[..., Artefact], plain: bool) -> None:
    articles = articles_of(MIXED)
    runner = Runner(artefact(), bucket_of(4), plain=plain)
    np.testing.assert_array_equal(runner.summaries(articles), generated(model, articles, RULES))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_slots_have_ages_of_their_own(model: Any, artefact: Callable[..., Artefact], precision: str) -> None:
    """Articles join at any step, into slots that others have left; each is answered as alone."""
    articles = articles_of(MIXED) * 3
    runner = Runner(artefact(precision=precision), bucket_of(4, slots=3))
    alone = [runner.summaries([article])[0] for article in articles[: len(MIXED)]] * 3
    random, waiting = np.random.default_rng(1), list(range(len(articles)))
    inside: dict[int, int] = {}
    found: dict[int, npt.NDArray[np.int64]] = {}
    while waiting or inside:
        for slot in range(3):
            if slot in inside and runner.values["done"][slot]:
                found[inside.pop(slot)] = runner.values["best_tokens"][slot, 0].copy()
            if slot not in inside and waiting and random.random() < 0.4:
                inside[slot] = waiting.pop(0)
                runner.join(slot, articles[inside[slot]])
        runner.step()
    for index, expected in enumerate(alone):
        np.testing.assert_array_equal(found[index], expected)


def test_what_is_done_stays_as_it_is(artefact: Callable[..., Artefact]) -> None:
    runner = Runner(artefact(), bucket_of(4))
    runner.summaries(articles_of(MIXED))
    before = {name: array.copy() for name, array in runner.values.items()}
    runner.step()
    for name, array in runner.values.items():
        if not name.startswith(("key", "value")):  # The newest nodes are written again.
            np.testing.assert_array_equal(array, before[name], err_msg=name)
