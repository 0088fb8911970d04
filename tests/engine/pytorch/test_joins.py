"""Articles come and go between steps, and each is answered as if it were alone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from benchmarks.gpu.summarizer import poison
from engine.article import Article
from engine.pytorch.executor import TorchExecutor
from engine.pytorch.reports import Reports
from engine.settings import EARLY_STOPPING, Bucket, Settings
from tests.engine.pytorch.small_bart import LENGTHS, PAD, RULES, TARGET, Small, small_bart
from tests.engine.pytorch.test_choices import ends_of, sampling_of


@pytest.fixture(scope="module")
def small() -> Small:
    return small_bart()


def alone(small: Small, article: Article) -> list[int]:
    executor = small.executor(slots=1)
    executor.join(0, article)
    while not executor.done():
        executor.step()
    tokens: list[int] = executor.summary(0).tolist()
    return tokens


def articles_of(small: Small, chosen: random.Random, count: int) -> list[Article]:
    """Free ones, some that quote and some that are drawn, with wishes of their own."""
    found = []
    for _ in range(count):
        row = chosen.randrange(len(LENGTHS))
        settings = Settings(
            num_beams=chosen.choice([1, 2, 3, 4]),
            min_length=chosen.choice([0, 8]),
            max_length=chosen.choice([2, 9, 16, TARGET]),
            length_penalty=chosen.choice([-1.0, 1.0, 2.0]),
            no_repeat_ngram_size=chosen.randrange(4),
            early_stopping=chosen.choice(list(EARLY_STOPPING)),
        )
        choices: dict[str, Any] = {}
        if chosen.random() < 0.3:
            choices["sentence_ends"] = ends_of(row)
        if chosen.random() < 0.3:
            settings = replace(settings, num_beams=1)
            choices["sampling"] = sampling_of(chosen.randrange(9), 2.0, 0.9)[0]
        found.append(small.article(row, settings, **choices))
    return found


@pytest.mark.parametrize("late", [False, True])
def test_articles_that_come_go_and_move_are_answered_as_alone(
    small: Small, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes the first slots alone, articles of one length are read together, reports may come after moves."""
    chosen = random.Random(4)
    waiting = articles_of(small, chosen, 30)
    expected = {number: alone(small, article) for number, article in enumerate(waiting)}
    executor = small.executor(slots=9)
    poison(executor)
    executor.slots.done.fill_(True)
    if late:
        monkeypatch.setattr(torch.cuda, "Event", lambda: Copy(chosen))
        executor.reports = Reports(executor.slots, late=True)
    steps = watched(executor)
    numbers = iter(range(len(waiting)))
    running: dict[int, int] = {}
    answered: dict[int, list[int]] = {}
    cancelled: set[int] = set()
    moves = 0
    while len(answered) + len(cancelled) < len(waiting):
        for slot in executor.done():
            answered[running[slot]] = executor.summary(slot).tolist()
            executor.leave(slot)
            del running[slot]
        for slot in list(running):
            if chosen.random() < 0.02:
                executor.leave(slot)
                cancelled.add(running.pop(slot))
        for slot in set(range(9)) - set(running):
            number = next(numbers, None) if chosen.random() < 0.2 else None
            if number is not None:
                executor.join(slot, waiting[number])
                running[slot] = number
        if running and chosen.random() < 0.4:
            source = chosen.choice(sorted(running))
            target = min(set(range(9)) - set(running), default=9)
            if target < source:
                executor.move(source, target)
                assert executor.slots.done[source], "what has moved away costs steps no more"
                running[target] = running.pop(source)
                moves += 1
        executor.step()
    assert cancelled
    assert moves > 5
    assert len(set(steps)) >= 3
    assert answered == {number: tokens for number, tokens in expected.items() if number not in cancelled}


class Copy:
    """One that arrives when it is waited for, or at some moment before."""

    def __init__(self, chosen: random.Random) -> None:
        self._chosen = chosen

    def record(self) -> None: ...

    def synchronize(self) -> None: ...

    def query(self) -> bool:
        return self._chosen.random() < 0.5


def watched(executor: TorchExecutor) -> list[int]:
    """The numbers of slots of all steps from now on."""
    found: list[int] = []
    step = executor.continue_searches

    def watch(count: int, *, plain: bool) -> None:
        found.append(count)
        step(count, plain=plain)

    executor.continue_searches = watch  # type: ignore[method-assign]
    return found


def test_articles_of_one_length_are_read_together(small: Small) -> None:
    executor = small.executor(slots=9)
    articles = [small.article(0, Settings(num_beams=beams, max_length=12)) for beams in (1, 2, 3, 4, 4, 3, 2)]
    other = small.article(1, Settings(max_length=12))
    read: list[tuple[int, int]] = []
    begin = executor.begin_some

    def watch(length: int, count: int) -> None:
        read.append((length, count))
        begin(length, count)

    executor.begin_some = watch  # type: ignore[method-assign]
    for slot, article in enumerate([*articles[:3], other, *articles[3:]]):
        executor.join(slot, article)
    executor.leave(5)  # Before it is read.
    while len(executor.done()) < 7:
        executor.step()
    assert read == [(LENGTHS[0], 4), (LENGTHS[0], 2), (LENGTHS[1], 1)]
    found = {slot: executor.summary(slot).tolist() for slot in executor.done()}
    assert found[3] == alone(small, other)
    assert found[7] == found[1] == alone(small, articles[1])
    assert found[6] == found[2] == alone(small, articles[2])


def test_an_article_after_numbers_that_are_none_is_answered_as_before(small: Small) -> None:
    article = small.article(1, Settings(num_beams=4, max_length=20))
    expected = alone(small, article)
    executor = small.executor(slots=1)
    for cache in (executor.caches.past, executor.caches.cross):
        cache.fill_(torch.nan)  # As an overflow would leave it.
    executor.join(0, article)
    for _ in range(20):
        executor.step()
    assert executor.summary(0).tolist() == expected


def test_a_slot_is_named_until_it_is_left_and_not_for_the_next_article(small: Small) -> None:
    executor = small.executor(slots=2)
    executor.join(1, small.article(0, Settings(max_length=2)))
    assert executor.done() == []
    with pytest.raises(ValueError, match=r"slot 1 has no summary yet: ask for one that done\(\) names"):
        executor.summary(1)
    executor.step()
    executor.step()
    assert executor.done() == [1]
    with pytest.raises(ValueError, match="slot 1 has an article: leave it before another one joins"):
        executor.join(1, small.article(1, Settings(max_length=9)))
    executor.leave(1)
    assert executor.done() == []
    executor.join(1, small.article(1, Settings(min_length=5, max_length=9)))
    assert executor.done() == [], "what is known is of the article before"
    executor.step()
    assert executor.done() == []
    with pytest.raises(ValueError, match="slot 0 moves to 1 only if the one has an article and the other has none"):
        executor.move(0, 1)
    executor.close()


def test_what_does_not_fit_leaves_the_slot_empty(small: Small) -> None:
    executor = small.executor(slots=1)
    for article, words in (
        (Article(ids=np.ones(25, np.int32), settings=Settings(max_length=9)), "1 to 24 tokens in this bucket, not 25"),
        (small.article(0, Settings(max_length=9, num_beams=5)), "num_beams is 1 to 4 in this bucket, not 5"),
    ):
        with pytest.raises(ValueError, match=words):
            executor.join(0, article)
    executor.join(0, small.article(0, Settings(max_length=2)))


def test_warming_up_changes_nothing(small: Small) -> None:
    executor = small.executor(slots=2)
    executor.warm()
    assert executor.done() == []
    article = small.article(3, Settings(num_beams=3, max_length=20))
    executor.join(0, article)
    while not executor.done():
        executor.step()
    assert executor.summary(0).tolist() == alone(small, article)


@pytest.mark.parametrize("tokens", [5, 8, 13, 24])
def test_an_encoder_that_reads_in_windows(small: Small, tokens: int) -> None:
    """Each window by itself, padded within the article too; the decoder looks at all of them."""
    window = 8
    settings = Settings(num_beams=3, max_length=20, no_repeat_ngram_size=3)
    ids = small.ids[0, :tokens].clone()
    ids[6:8] = PAD
    ids = ids[: 6 if tokens < 8 else tokens]
    count = -(-len(ids) // window)
    padded = torch.nn.functional.pad(ids, (0, count * window - len(ids)), value=PAD).view(count, window)
    mask = (padded != PAD).long()
    hidden = small.model.get_encoder()(input_ids=padded, attention_mask=mask).last_hidden_state.reshape(1, -1, 32)
    found = small.model.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=hidden),
        attention_mask=mask.reshape(1, -1),
        do_sample=False,
        num_beams=3,
        max_length=20,
        min_length=0,
        early_stopping=True,
        no_repeat_ngram_size=3,
        forced_bos_token_id=0,
        forced_eos_token_id=2,
    )
    architecture = replace(small.architecture, window=window)
    bucket = Bucket(slots=2, beams=4, source_length=24, target_length=TARGET)
    executor = TorchExecutor(small.weights, architecture, RULES, bucket)
    whole = ids.numpy().astype(np.int32)
    executor.join(1, Article(ids=whole, mask=(whole != PAD).astype(np.int32), settings=settings))
    while not executor.done():
        executor.step()
    summary = executor.summary(1)
    assert summary[: found.shape[1]].tolist() == found[0].tolist()
    assert (summary[found.shape[1] :] == PAD).all()
