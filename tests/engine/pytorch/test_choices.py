"""What rules bar, quotes and samples: the tokens of ``generate`` with the plain forms of these rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LogitsProcessor

from engine.article import Sampling, Spacing
from engine.pytorch.batch import BatchExecutor
from engine.settings import Rules, Settings
from export.architectures import Spacing as PlainSpacing
from export.parity.quotes import Quotes, Quoting, sentences_of
from export.parity.sampling import Sample
from export.parity.sampling import Sampling as PlainSampling
from infolens.contract import NEVER_ENDS
from tests.engine.pytorch.small_bart import END, LENGTHS, PAD, RULES, TARGET, Small, small_bart

ROWS = range(len(LENGTHS))
WORDS = np.arange(200, dtype=np.int32)
SPACING = Spacing(spaced=np.where(WORDS < 100, WORDS, WORDS // 2 + 50).astype(np.int32), unspaced=WORDS // 2 + 40)
"""Some words have other forms after a space."""
ENDS = (
    [-1, *[3] * 3, *[6] * 3, -1, *[10] * 3, *[15] * 5, *[17] * 2, *[21] * 4, -1, -1],
    [-1, *[4] * 4, *[7] * 3, *[NEVER_ENDS] * 5],
    [-1, *[8] * 8],
    [*[1] * 2, *[3] * 2, *[19] * 16],
    [-1, -1, -1, -1],
)
"""The ends of the sentences of each article: the last has none, and some do not fit."""


@pytest.fixture(scope="module")
def small() -> Small:
    small = small_bart()
    # Two sentences of the first article are the same, and one is the beginning of another.
    small.ids[0, 8:11] = small.ids[0, 1:4]
    small.ids[0, 11:14] = small.ids[0, 4:7]
    return small


def ends_of(row: int) -> Any:
    return np.array(ENDS[row][: LENGTHS[row]], np.int32)


def quotes_of(small: Small, row: int, rules: Rules, settings: Settings) -> Quotes:
    ids = small.ids[row, : LENGTHS[row]].tolist()
    return Quotes(
        Quoting(
            sentences=sentences_of(ids, ends_of(row).tolist(), rules.unquotable),
            spacing=PlainSpacing(spaced=SPACING.spaced, unspaced=SPACING.unspaced),
            first=rules.before,
            end_tokens=rules.end_tokens,
            min_length=settings.min_length,
            max_length=settings.max_length,
        )
    )


def sampling_of(row: int, temperature: float, top_p: float) -> tuple[Sampling, Sample]:
    plain = PlainSampling.of(temperature, top_p, seed=row, steps=TARGET)
    return Sampling(temperature=temperature, top_p=top_p, draws=plain.numbers), Sample(plain)


def summaries(executor: BatchExecutor, articles: list[Any]) -> list[list[int]]:
    for slot, article in enumerate(articles):
        executor.join(slot, article)
    for _ in range(TARGET):
        executor.step()
    return [executor.summary(slot).tolist() for slot in executor.done()]


def wanted(small: Small, row: int, rules: Rules, settings: Settings, *processors: LogitsProcessor) -> list[int]:
    rows: list[int] = small.generate(rules, settings, rows=slice(row, row + 1), processors=processors)[0].tolist()
    return rows


@pytest.mark.parametrize("beams", [1, 2, 3, 4])
@pytest.mark.parametrize("first", [0, None])
def test_summaries_end_at_any_end_token_and_never_have_others(small: Small, beams: int, first: int | None) -> None:
    settings = Settings(num_beams=beams, min_length=4, max_length=20, no_repeat_ngram_size=3, length_penalty=2.0)
    free = replace(RULES, first_token=first)
    common = small.generate(free, settings)
    often = torch.bincount(common[common > 2], minlength=200).argsort(descending=True)[:6].tolist()
    opening = common[:, free.before].unique().tolist()
    rules = replace(
        free, end_tokens=(END, *often[:2]), never=tuple(often[2:4]), never_first=(*opening, 9), repetition_penalty=1.1
    )
    found = small.executor(rules, slots=6).summarize(small.ids, small.mask, [settings] * len(LENGTHS))
    assert torch.equal(found, small.generate(rules, settings))
    ends = {row[row != PAD][-1].item() for row in found}
    assert ends & set(often[:2]), "no summary ends at a further end token"
    assert not torch.equal(found, common)


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize("first", [0, None])
@pytest.mark.parametrize(("shortest", "longest"), [(0, 24), (14, 20), (0, 8)])
def test_quotes_are_those_of_the_plain_form(
    small: Small, beams: int, first: int | None, shortest: int, longest: int
) -> None:
    rules = replace(RULES, first_token=first, never=(int(small.ids[3, 2]),), never_first=(8, 9), repetition_penalty=1.5)
    settings = Settings(num_beams=beams, min_length=shortest, max_length=longest, no_repeat_ngram_size=2)
    # A search that quotes has rules of its own.
    plain = replace(rules, never=(), never_first=(), repetition_penalty=1.0)
    asked = replace(settings, min_length=0, no_repeat_ngram_size=0)
    executor = small.executor(rules, slots=6, spacing=SPACING)
    articles = [small.article(row, settings, sentence_ends=ends_of(row)) for row in ROWS]
    found = summaries(executor, articles)
    expected = [wanted(small, row, plain, asked, quotes_of(small, row, rules, settings)) for row in ROWS]
    assert found == expected


@pytest.mark.parametrize("options", [{}, {"compiler": "aot_eager", "chunked": False, "attention": "products"}], ids=str)
def test_searches_that_quote_draw_or_do_neither_share_steps(small: Small, options: dict[str, Any]) -> None:
    torch.compiler.reset()
    settings = Settings(num_beams=4, min_length=5, max_length=20, no_repeat_ngram_size=3)
    single = replace(settings, num_beams=1)
    executor = small.executor(spacing=SPACING, **options)
    drawn, sample = sampling_of(1, 1.5, 0.9)
    both, both_sample = sampling_of(3, 4.0, 1.0)
    articles = [
        small.article(0, settings, sentence_ends=ends_of(0)),
        small.article(1, single, sampling=drawn),
        small.article(2, settings),
        small.article(3, single, sentence_ends=ends_of(3), sampling=both),
        small.article(4, single),
    ]
    quoting = {"min_length": 0, "no_repeat_ngram_size": 0}
    expected = [
        wanted(small, 0, RULES, replace(settings, **quoting), quotes_of(small, 0, RULES, settings)),
        wanted(small, 1, RULES, single, sample),
        wanted(small, 2, RULES, settings),
        wanted(small, 3, RULES, replace(single, **quoting), quotes_of(small, 3, RULES, single), both_sample),
        wanted(small, 4, RULES, single),
    ]
    assert summaries(executor, articles) == expected


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize(("temperature", "top_p"), [(0.3, 1.0), (1.0, 0.5), (3.0, 0.95), (20.0, 1.0)])
def test_samples_are_those_of_the_plain_form(small: Small, penalty: float, temperature: float, top_p: float) -> None:
    rules = replace(RULES, repetition_penalty=penalty)
    settings = Settings(min_length=5, max_length=22, no_repeat_ngram_size=3)
    draws = [sampling_of(row, temperature, top_p) for row in ROWS]
    articles = [small.article(row, settings, sampling=drawn) for row, (drawn, _) in enumerate(draws)]
    found = summaries(small.executor(rules), articles)
    assert found == [wanted(small, row, rules, settings, sample) for row, (_, sample) in enumerate(draws)]
    assert found != small.generate(rules, settings).tolist(), "nothing is drawn"
