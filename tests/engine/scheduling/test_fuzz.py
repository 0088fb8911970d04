"""Random articles from several threads, some cancelled, some out of time, on executors that may fail."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from engine.article import Article
from engine.scheduling.engine import Engine
from engine.scheduling.errors import BusyError, CancelledError, ExpiredError
from engine.settings import Bucket

from .fake import Answers, Fake, plan, random_article, summary_of

ARTICLES, SUBMITTERS = 150, 3


class TroubleError(Exception):
    """What a device may say."""


@dataclass
class Asked:
    """An article and what may become of it."""

    article: Article
    deadline_s: float | None = None
    cancelled_after: int | None = None
    """Of so many questions."""
    questions: int = 0

    def is_cancelled(self) -> bool:
        self.questions += 1
        return self.cancelled_after is not None and self.questions > self.cancelled_after

    @property
    def may_be(self) -> set[type[Exception]]:
        found: set[type[Exception]] = set()
        if self.deadline_s is not None:
            found.add(ExpiredError)
        if self.cancelled_after is not None:
            found.add(CancelledError)
        return found


@dataclass
class Clock:
    """Goes on by a second at each step of any executor."""

    now_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        return self.now_s

    def tick(self, method: str) -> None:
        if method == "step":
            with self.lock:
                self.now_s += 1


def asked_of(random: np.random.Generator, *, hasty: bool) -> Asked:
    asked = Asked(random_article(random))
    if hasty and random.random() < 0.2:
        asked.deadline_s = float(random.integers(0, 600))
    if hasty and random.random() < 0.2:
        asked.cancelled_after = int(random.integers(0, 6))
    return asked


def submit_all(engine: Engine, asked: list[Asked], answers: Answers) -> int:
    """From several threads at once; who finds the engine busy waits for an answer. Returns how often that was."""

    def submit(first: int) -> int:
        busy = 0
        for number in range(first, len(asked), SUBMITTERS):
            one = asked[number]
            while True:
                seen = len(answers.found)
                try:
                    engine.submit(one.article, answers.taker(number), one.deadline_s, one.is_cancelled)
                except BusyError:
                    busy += 1
                    answers.wait(seen + 1)
                else:
                    break
        return busy

    with ThreadPoolExecutor(SUBMITTERS) as pool:
        return sum(pool.map(submit, range(SUBMITTERS)))


def outcomes(asked: list[Asked], answers: Answers) -> Counter[str]:
    """How often each kind of answer came; each is allowed, and summaries are right."""
    found: Counter[str] = Counter()
    for number, one in enumerate(asked):
        outcome = answers.of(number)
        if isinstance(outcome, Exception):
            assert type(outcome) in {*one.may_be, TroubleError}, outcome
            found[type(outcome).__name__] += 1
        else:
            assert outcome == summary_of(one.article)
            found["summary"] += 1
    return found


@pytest.mark.parametrize("late", [0, 2])
@pytest.mark.parametrize("sizes", [(), (1, 2, 3), (1, 3)], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_every_article_gets_its_own_answer_once(seed: int, sizes: tuple[int, ...], late: int) -> None:
    random, clock, answers = np.random.default_rng(seed), Clock(), Answers()
    log: list[tuple[str, int]] = []
    make: Callable[[Bucket], Fake] = partial(Fake, sizes=sizes, late=late, trouble=clock.tick, log=log)
    workers, joins = 1 + seed % 2, 1 + seed // 2
    engine = Engine(
        plan(make, 1, 2, 4, workers=workers, max_waiting=20, joins_per_step=joins, gather_rounds=1 + 2 * (seed % 2)),
        clock=clock,
    )
    asked = [asked_of(random, hasty=seed > 0) for _ in range(ARTICLES)]
    busy = submit_all(engine, asked, answers)
    found = outcomes(asked, answers)
    statistics = engine.statistics()
    engine.close()
    assert found["summary"] == statistics.answered
    assert found["CancelledError"] == statistics.cancelled
    assert found["ExpiredError"] == statistics.expired
    assert (statistics.busy, statistics.waiting, statistics.failed, statistics.replaced) == (0, 0, 0, 0)
    assert statistics.refused == busy
    assert statistics.steps == sum(method == "step" for method, _ in log)
    assert statistics.joined == sum(method == "join" for method, _ in log)
    cost = sum(cost for method, cost in log if method == "step")
    assert statistics.slot_steps <= cost
    if len(sizes) == 3:
        assert statistics.slot_steps == cost
    if seed:
        assert min(found["CancelledError"], found["ExpiredError"]) > 0


@pytest.mark.parametrize("method", ["join", "step", "done", "summary", "leave", "move", "close"])
def test_an_executor_that_fails_takes_its_own_articles_with_it(method: str) -> None:
    """Whatever it is asked when it fails; the next one goes on."""
    calls: Counter[str] = Counter()

    def trouble(called: str) -> None:
        calls[called] += 1
        if called == method and calls[called] % 7 == 0:
            raise TroubleError(called)
        if method == "close" and called == "step" and calls[called] % 20 == 0:
            raise TroubleError(called)  # Nothing is closed before something fails.

    answers = Answers()
    engine = Engine(plan(partial(Fake, trouble=trouble), 1, 2, workers=2, max_waiting=ARTICLES))
    random = np.random.default_rng(5)
    asked = [Asked(random_article(random, beams=2)) for _ in range(ARTICLES)]
    submit_all(engine, asked, answers)
    found = outcomes(asked, answers)
    statistics = engine.statistics()
    engine.close()
    assert found["summary"] == statistics.answered > 0
    assert found["TroubleError"] == statistics.failed > 0
    assert statistics.replaced > 0
    assert (statistics.busy, statistics.waiting) == (0, 0)
