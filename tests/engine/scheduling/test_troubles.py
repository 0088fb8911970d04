"""Articles that are no longer wanted or do not fit, executors and callers that fail, and the end of an engine."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.article import Article
from engine.executor import UnavailableError
from engine.scheduling.engine import Engine
from engine.scheduling.errors import CancelledError, ClosedError, ExpiredError
from engine.settings import Bucket

from .fake import Answers, Fake, article, plan, summary_of
from .gate import LONG, SHORT, Gate, engine_of


@pytest.mark.parametrize("kind", [CancelledError, ExpiredError])
def test_one_that_is_no_longer_wanted_leaves_its_slot(kind: type[Exception]) -> None:
    gate, answers, now = Gate(), Answers(), [0.0]
    left = threading.Event()
    engine = engine_of(gate, 1, slots=1, clock=lambda: now[0])
    engine.submit(LONG, answers.taker(0), 5.0, left.is_set)
    gate.wait(2)
    engine.submit(SHORT, answers.taker(1))
    left.set() if kind is CancelledError else now.__setitem__(0, 5.0)
    gate.allow(12)  # Before the summary would be done.
    assert isinstance(answers.of(0), kind)
    assert answers.of(1) == summary_of(SHORT)
    statistics = engine.statistics()
    engine.close()
    assert (statistics.cancelled + statistics.expired, statistics.answered, statistics.busy) == (1, 1, 0)


@pytest.mark.parametrize("kind", [CancelledError, ExpiredError])
def test_one_that_is_no_longer_wanted_waits_no_longer(kind: type[Exception]) -> None:
    """Though no slot is free, and so that another one may wait."""
    gate, answers, now = Gate(), Answers(), [0.0]
    left = threading.Event()
    engine = engine_of(gate, 1, slots=1, max_waiting=1, clock=lambda: now[0])
    endless = article(27, max_length=29)
    engine.submit(endless, answers.taker(0))
    engine.submit(LONG, answers.taker(1), 5.0, left.is_set)
    left.set() if kind is CancelledError else now.__setitem__(0, 5.0)
    gate.allow(20)
    assert isinstance(answers.of(1), kind)
    engine.submit(article(5), answers.taker(2))
    gate.open()
    assert answers.of(0) == summary_of(endless)
    assert answers.of(2) == summary_of(article(5))
    engine.close()


def test_what_asks_whether_it_is_wanted_may_fail() -> None:
    answers = Answers()
    engine = engine_of(lambda _: None, 1)

    def broken() -> bool:
        raise OSError("no board")

    engine.submit(article(5), answers.taker(0), None, broken)
    assert isinstance(answers.of(0), OSError)
    assert engine.summarize(article(6)).tolist() == summary_of(article(6))
    engine.close()


def test_an_article_that_does_not_fit_fails_alone() -> None:
    gate, answers = Gate(), Answers()
    engine = engine_of(gate, 1)
    engine.submit(LONG, answers.taker(0))
    gate.wait(2)
    engine.submit(article(0), answers.taker(1))  # `Fake` refuses it.
    gate.open()
    assert isinstance(answers.of(1), ValueError)
    assert answers.of(0) == summary_of(LONG)
    assert engine.statistics().replaced == 0
    engine.close()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (article(5, num_beams=5), "num_beams is 1 to 4 in this bucket, not 5"),
        (article(5, max_length=31), "max_length is 2 to 30 in this bucket, not 31"),
        (article(*[5] * 41), "an article has 1 to 40 tokens in this bucket, not 41"),
    ],
)
def test_what_fits_no_bucket_is_refused_at_once(wrong: Article, words: str) -> None:
    engine = engine_of(lambda _: None, 1, 4)
    with pytest.raises(ValueError, match=words):
        engine.submit(wrong, Answers().taker(0))
    assert engine.statistics().refused == 1
    engine.close()


def test_an_executor_that_cannot_be_made_is_tried_again() -> None:
    broken = [True]

    def make(bucket: Bucket) -> Fake:
        if broken[0]:
            raise MemoryError("no room for the buffers")
        return Fake(bucket)

    engine = Engine(plan(make))
    with pytest.raises(MemoryError, match="no room"):
        engine.summarize(article(5))
    broken[0] = False
    assert engine.summarize(article(5)).tolist() == summary_of(article(5))
    engine.close()


def test_an_engine_whose_executors_are_needed_at_once_does_not_open_without_them() -> None:
    def make(bucket: Bucket) -> Fake:
        if bucket.beams == 4:
            raise UnavailableError("install the wheel")
        return Fake(bucket)

    before = threading.active_count()
    with pytest.raises(UnavailableError, match="install the wheel"):
        Engine(plan(make, 1, 4, eager=True, workers=2))
    assert threading.active_count() == before


def test_close_answers_everybody() -> None:
    gate, answers = Gate(), Answers()
    engine = engine_of(gate, 1, 2, workers=2, slots=2)
    for number in range(20):
        engine.submit(LONG, answers.taker(number))
    gate.wait(2)
    closing = threading.Thread(target=engine.close)
    closing.start()
    gate.open()
    closing.join()
    outcomes = [answers.of(number) for number in range(20)]
    assert all(isinstance(outcome, ClosedError) or outcome == summary_of(LONG) for outcome in outcomes)
    assert any(isinstance(outcome, ClosedError) for outcome in outcomes)
    with pytest.raises(ClosedError):
        engine.submit(article(5), answers.taker(20))
    engine.close()


def test_an_answer_that_cannot_be_handed_over_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_of(lambda _: None, 1)
    tried = threading.Event()

    def answer(_: object) -> None:
        tried.set()
        raise ConnectionError("who asked has gone")

    engine.submit(article(5), answer)
    assert tried.wait(60)
    assert engine.summarize(article(6)).tolist() == summary_of(article(6))
    engine.close()
    assert "could not be handed over" in caplog.text


def test_who_gets_an_answer_may_submit_the_next_article_and_close_the_engine() -> None:
    engine = engine_of(lambda _: None, 1, slots=1, max_waiting=0)
    answers, ended = Answers(), threading.Event()

    def close(outcome: object) -> None:
        answers.taker(1)(outcome)
        engine.close()
        ended.set()

    def again(outcome: object) -> None:
        answers.taker(0)(outcome)
        engine.submit(article(6), close)  # Its slot is free already.

    engine.submit(article(5), again)
    assert ended.wait(60)
    assert [answers.of(number) for number in range(2)] == [summary_of(article(5)), summary_of(article(6))]
    engine.close()


def test_answers_of_two_threads_may_close_the_engine() -> None:
    """Neither waits for the other."""
    meeting, ended = threading.Barrier(2, timeout=60), threading.Semaphore(0)
    engine = engine_of(lambda _: None, 1, workers=2)

    def close(_: object) -> None:
        meeting.wait()
        engine.close()
        ended.release()

    for _ in range(2):
        engine.submit(article(5), close)
    assert ended.acquire(timeout=60)
    assert ended.acquire(timeout=60)
    engine.close()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_ends_other_threads_ends_no_worker(kind: type[BaseException]) -> None:
    """Neither out of an answer nor when it is asked whether one is wanted."""
    gate, answers = Gate(), Answers()
    engine = engine_of(gate, 1)

    def leave(*_: object) -> bool:
        raise kind

    engine.submit(LONG, answers.taker(0))
    gate.wait(2)
    engine.submit(SHORT, leave)
    engine.submit(article(6), answers.taker(1), None, leave)
    gate.open()
    assert isinstance(answers.of(1), RuntimeError)
    assert answers.of(0) == summary_of(LONG)
    assert engine.summarize(article(6)).tolist() == summary_of(article(6))
    engine.close()


def test_a_deadline_that_is_no_number_fails_its_article_alone() -> None:
    answers = Answers()
    engine = engine_of(lambda _: None, 1)
    engine.submit(article(5), answers.taker(0), "soon")  # type: ignore[arg-type]
    assert isinstance(answers.of(0), TypeError)
    assert engine.summarize(article(6)).tolist() == summary_of(article(6))
    engine.close()


@pytest.mark.parametrize("tokens", [(5, 100), (-1, 5)])
def test_a_token_that_the_model_does_not_know_is_refused_at_once(tokens: tuple[int, int]) -> None:
    engine = engine_of(lambda _: None, 1)
    with pytest.raises(ValueError, match="a token is 0 to 99 in this model"):
        engine.submit(article(*tokens), Answers().taker(0))
    engine.close()
