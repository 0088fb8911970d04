"""Executors of ONNX Runtime, slot by slot: the tokens of ``transformers``, whoever else is in the buffers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.artefact import read
from engine.article import Article
from engine.executor import Executor
from engine.ort.cpu import CpuExecutor
from engine.ort.graphs import ENCODER_MULTIPLE, CpuGraphs
from engine.settings import Architecture, Settings
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.step.files import write_engine
from operators.library import ensure_operators
from tests.export.graph.rows import WORDS
from tests.export.graph.step.runner import Runner

from .small import EXACT, KINDS, RULES, SOURCE, TARGET, Asked, Small, alone, asked_of, bucket, finish, without_padding

SEED = 3


def several(count: int, *, seed: int = SEED, plain: bool = False) -> list[Asked]:
    random = np.random.default_rng(seed)
    return [asked_of(random, plain=plain) for _ in range(count)]


@pytest.mark.parametrize("kind", EXACT)
def test_tokens_are_those_of_transformers(small: Small, kind: str) -> None:
    """Free summaries, quotes and samples beside one another, of 1 to 4 beams in buffers for 4."""
    executor = small.maker(kind)(bucket(4, slots=12))
    asked = several(12)
    for slot, one in enumerate(asked):
        executor.join(slot, one.article)
    found = finish(executor, range(12))
    assert [found[slot] for slot in range(12)] == [one.summary(small.model) for one in asked]
    kinds = {(one.article.sentence_ends is not None, one.drawn is not None) for one in asked}
    assert len(kinds) == 4
    executor.close()


@pytest.mark.parametrize("kind", ["int8", "native"])
def test_tokens_are_those_of_the_graphs_run_plainly(small: Small, kind: str) -> None:
    """With new memory for every tensor at every step; the executor has caches written where they are read."""
    artefact, asked = small.artefact("int8"), several(6)
    native = ensure_operators().path if kind == "native" else None
    runner = Runner(artefact, bucket(4, slots=6), native=native, multiple=ENCODER_MULTIPLE)
    expected = runner.summaries([one.article for one in asked])
    executor = small.maker(kind)(bucket(4, slots=6))
    for slot, one in enumerate(asked):
        executor.join(slot, one.article)
    finish(executor, range(6))
    np.testing.assert_array_equal([executor.summary(slot) for slot in range(6)], expected)


@pytest.mark.parametrize("early", [False, True, "never"])
def test_searches_end_as_those_of_transformers(small: Small, early: bool | str) -> None:
    executor = small.maker("fp32")(bucket(4, slots=6))
    asked = several(6, plain=True)
    for slot, one in enumerate(asked):
        settings = replace(one.article.settings, early_stopping=early)
        executor.join(slot, replace(one.article, settings=settings))
    found = finish(executor, range(6))
    small.model.generation_config.early_stopping = early
    for slot, one in enumerate(asked):
        assert found[slot] == transformers_of(small, one, early)
    small.model.generation_config.early_stopping = True


def transformers_of(small: Small, one: Asked, early: bool | str) -> list[int]:
    """A free summary with a way to end of its own."""
    settings = one.article.settings
    single = settings.num_beams == 1
    found = small.model.generate(
        torch.from_numpy(one.article.ids[None]).long(),
        attention_mask=torch.ones(1, len(one.article.ids), dtype=torch.long),
        num_beams=settings.num_beams,
        min_length=settings.min_length,
        max_length=settings.max_length,
        length_penalty=None if single else settings.length_penalty,
        early_stopping=None if single else early,
        do_sample=False,
    )
    tokens: list[int] = found[0].tolist()
    return [token for token in tokens if token != 1]


@pytest.mark.parametrize("kind", KINDS)
def test_random_arrivals_change_no_answer(small: Small, kind: str) -> None:
    """Articles join at random steps, some leave early, slots move where they may."""
    make = small.maker(kind)
    executor, random = make(bucket(4)), np.random.default_rng(11)
    waiting, slots = several(24), dict[int, Asked]()
    answered = 0
    while waiting or slots:
        if waiting and len(slots) < 3 and random.random() < 0.6:
            slot = next(slot for slot in range(3) if slot not in slots)
            slots[slot] = waiting.pop()
            executor.join(slot, slots[slot].article)
        if slots:
            executor.step()
        for slot in executor.done():
            one = slots.pop(slot)
            assert without_padding(executor, slot) == alone(make, one)
            executor.leave(slot)
            answered += 1
        if slots and random.random() < 0.05:
            slot = next(iter(slots))
            slots.pop(slot)
            executor.leave(slot)
        if executor.sizes:
            close_a_hole(executor, slots)
    assert answered > 12
    executor.close()


def close_a_hole(executor: Executor, slots: dict[int, Asked]) -> None:
    """Move the last article into an empty slot before it."""
    hole = next(slot for slot in range(4) if slot not in slots)
    if slots and max(slots) > hole:
        last = max(slots)
        executor.move(last, hole)
        slots[hole] = slots.pop(last)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_earlier_articles_is_seen(small: Small, kind: str) -> None:
    """Nor of one that left before it was done, in the same slot."""
    make = small.maker(kind)
    executor, asked = make(bucket(4, slots=1)), several(8)
    for one, before in zip(asked[:4], asked[4:], strict=True):
        executor.join(0, before.article)
        for _ in range(5):
            executor.step()
        executor.leave(0)
        assert list(executor.done()) == []
        executor.join(0, one.article)
        assert finish(executor, [0])[0] == alone(make, one)
        executor.leave(0)


@pytest.mark.parametrize("kind", ["fp32", "int8", "native"])
def test_a_short_article_moves_to_where_a_long_one_was(small: Small, kind: str) -> None:
    make, (one, before) = small.maker(kind), several(2, plain=True)
    short = replace(one, article=replace(one.article, ids=np.arange(4, 10, dtype=np.int32)))
    long = replace(before.article, ids=np.arange(SOURCE, dtype=np.int32) % 50 + 4)
    executor = make(bucket(4))
    executor.join(0, long)
    executor.join(2, short.article)
    executor.step()
    executor.leave(0)
    executor.move(2, 0)
    assert finish(executor, [0])[0] == alone(make, short)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_done_stays_as_it_is(small: Small, kind: str) -> None:
    executor, (short, long) = small.maker(kind)(bucket(4)), several(2, plain=True)
    executor.join(0, replace(short.article, settings=replace(short.article.settings, min_length=0, max_length=3)))
    settings = replace(long.article.settings, min_length=TARGET - 1, max_length=TARGET)
    executor.join(1, replace(long.article, settings=settings))
    first = finish(executor, [0])[0]
    assert 1 not in executor.done()
    assert finish(executor, [0, 1])[0] == first


@pytest.mark.parametrize("kind", KINDS)
def test_an_article_that_does_not_fit_leaves_the_slot_empty(small: Small, kind: str) -> None:
    executor, (one,) = small.maker(kind)(bucket(2)), several(1, plain=True)
    wide = replace(one.article, settings=replace(one.article.settings, num_beams=3))
    with pytest.raises(ValueError, match="num_beams is 1 to 2 in this bucket, not 3"):
        executor.join(0, wide)
    assert list(executor.done()) == []
    right = replace(one.article, settings=replace(one.article.settings, num_beams=2))
    executor.join(0, right)
    assert finish(executor, [0])[0] == alone(small.maker(kind), replace(one, article=right))


def test_slots_of_a_gpu_stay_where_they_are(small: Small) -> None:
    with pytest.raises(ValueError, match="moves no slot, so not 2 to 0 either"):
        small.maker("cuda")(bucket(1)).move(2, 0)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_articles_longer_than_a_window_are_read_in_windows(small: Small, tmp_path: Path, precision: str) -> None:
    """As the graphs do when every article is padded to the whole length, with three windows of 24 tokens."""
    architecture = Architecture.of(small.model.config.to_dict(), window=24)
    write_engine(tmp_path, CheckpointWeights(small.model.state_dict()), architecture, RULES, precision)
    artefact, random = read(tmp_path), np.random.default_rng(31)
    lengths = (3, 23, 24, 25, 48, 49, SOURCE)
    articles = [
        Article(ids=random.integers(4, 60, n).astype(np.int32), settings=Settings(max_length=20, num_beams=2))
        for n in lengths
    ]
    sizes = bucket(2, slots=len(lengths))
    expected = Runner(artefact, sizes, multiple=SOURCE).summaries(articles)
    executor = CpuExecutor(CpuGraphs(artefact), sizes)
    for slot, article in enumerate(articles):
        executor.join(slot, article)
    finish(executor, range(len(lengths)))
    np.testing.assert_array_equal([executor.summary(slot) for slot in range(len(lengths))], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [-1, WORDS, 2**31 - 1])
def test_a_token_that_the_model_does_not_know_harms_no_other(small: Small, kind: str, wrong: int) -> None:
    executor, (one, other) = small.maker(kind)(bucket(4)), several(2)
    executor.join(0, one.article)
    executor.step()
    ids = other.article.ids.copy()
    ids[1] = wrong
    with pytest.raises(ValueError, match=f"a token is 0 to {WORDS - 1} in this model"):
        executor.join(1, replace(other.article, ids=ids))
    assert finish(executor, [0])[0] == alone(small.maker(kind), one)
    executor.close()
