"""The executor writes the tokens of ``transformers``' ``generate``, whatever the settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from engine.settings import Rules, Settings
from tests.engine.pytorch.small_bart import END, LENGTHS, PAD, RULES, TARGET, Small, small_bart

FORCED = ((0, END), (None, None), (0, None), (None, END))
PENALTIES = (-1.0, 0.0, 1.0, 2.0)
EARLY = (True, False, "never")
Case = tuple[Rules, Settings]


@pytest.fixture(scope="module")
def small() -> Small:
    return small_bart()


def cases() -> Iterator[Case]:
    grid = itertools.product(PENALTIES, range(4), EARLY, FORCED, (1.0, 1.3))
    for penalty, ngram, early, (first, last), repetition in grid:
        rules = replace(RULES, first_token=first, last_token=last, repetition_penalty=repetition)
        yield (
            rules,
            Settings(
                min_length=6, max_length=20, length_penalty=penalty, no_repeat_ngram_size=ngram, early_stopping=early
            ),
        )


def compare(small: Small, beams: int, rules: Rules, settings: Settings) -> torch.Tensor:
    """Both alike; returns the lengths of the summaries."""
    settings = replace(settings, num_beams=beams)
    found = small.executor(rules, beams).summarize(small.ids, small.mask, [settings] * len(LENGTHS))
    wanted = small.generate(rules, settings)
    assert torch.equal(found, wanted), f"{beams} beams, {rules}, {settings}:\n{found}\n{wanted}"
    return (found != PAD).sum(dim=1)


@pytest.mark.parametrize("beams", [1, 2, 3, 4])
def test_tokens_of_a_part_of_the_grid(small: Small, beams: int) -> None:
    """Every eleventh case: 11 has no divisor in common with the sizes of the grid, so each value is among them."""
    part = list(itertools.islice(cases(), beams, None, 11))
    lengths = torch.cat([compare(small, beams, rules, settings) for rules, settings in part])
    # Otherwise nothing would be said of how searches end.
    assert lengths.min() < 12
    assert lengths.max() == 20


@pytest.mark.slow
@pytest.mark.parametrize("beams", [1, 2, 3, 4])
def test_tokens_of_the_whole_grid(small: Small, beams: int) -> None:
    for rules, settings in cases():
        compare(small, beams, rules, settings)


@pytest.mark.parametrize(
    ("beams", "settings"),
    [
        (8, Settings(max_length=20, length_penalty=2.0, no_repeat_ngram_size=3)),
        (4, Settings(max_length=2)),
        (4, Settings(max_length=3, no_repeat_ngram_size=1)),
        (4, Settings(min_length=TARGET, max_length=TARGET)),
        (3, Settings(max_length=TARGET, length_penalty=0.5, early_stopping="never")),
    ],
)
def test_tokens_at_the_ends_of_the_ranges(small: Small, beams: int, settings: Settings) -> None:
    compare(small, beams, RULES, settings)


# What Inductor imports of PyTorch warns of PyTorch.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"attention": "products"},
        {"chunked": False},
        {"compiler": "aot_eager"},
        {"compiler": "aot_eager", "attention": "products"},
        pytest.param({"compiler": "inductor"}, marks=pytest.mark.slow),
        pytest.param({"compiler": "inductor", "attention": "products"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_every_way_of_computing_gives_the_same_tokens(small: Small, options: dict[str, object]) -> None:
    torch.compiler.reset()
    settings = Settings(num_beams=4, min_length=4, max_length=20, length_penalty=2.0, no_repeat_ngram_size=3)
    found = small.executor(**options).summarize(small.ids, small.mask, [settings] * len(LENGTHS))
    assert torch.equal(found, small.generate(RULES, settings))


def test_sixteen_bit_weights_write_summaries_too() -> None:
    small = small_bart(torch.bfloat16)
    settings = Settings(num_beams=4, min_length=6, max_length=20, no_repeat_ngram_size=3)
    found = small.executor().summarize(small.ids, small.mask, [settings] * len(LENGTHS))
    assert (found[:, 0] == END).all()
    assert ((found != PAD).sum(dim=1) >= 6).all()
    assert (found < 200).all()
