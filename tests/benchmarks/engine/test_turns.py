"""Load on a side: who is in flight, which latency is whose, and what goes wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.common.server import BenchmarkError
from benchmarks.engine import turns
from benchmarks.engine.comparing import LOOP, SLOTS, Case, Group, compare
from benchmarks.engine.turns import Spread, take_arrivals, take_turn
from engine.article import Article, Integers

from .scripted import Scripted, article, echo


def test_so_many_are_in_flight_and_each_answer_is_its_own() -> None:
    articles = [article(number) for number in range(12)]
    side = Scripted(hold=4)
    turn = take_turn(side, articles, 4)
    assert side.most == 4
    assert side.seen == articles
    assert [answer.tolist() for answer in turn.answers] == [one.ids.tolist() for one in articles]
    assert len(turn.latencies_ms) == 12
    assert min(turn.latencies_ms) > 0
    assert turn.per_s == 12 / turn.seconds
    assert turn.tokens == 36


def test_a_latency_counts_from_the_submission() -> None:
    ticks = itertools.count()  # One for the start, then one for a submission and one for its answer.
    turn = take_turn(Scripted(), [article(number) for number in range(3)], 1, clock=lambda: float(next(ticks)))
    assert turn.latencies_ms == (1e3, 1e3, 1e3)
    assert turn.seconds == 6


def test_a_latency_of_random_arrivals_counts_from_when_the_article_was_due() -> None:
    slept: list[float] = []
    turn = take_arrivals(
        Scripted(),
        [article(number) for number in range(4)],
        10.0,
        np.random.default_rng(0),
        clock=lambda: 100.0,
        sleep=slept.append,
    )
    due_s = np.random.default_rng(0).exponential(0.1, 4).cumsum()
    assert slept == pytest.approx(list(due_s))
    assert turn.latencies_ms == pytest.approx([-1e3 * one for one in due_s])


def test_an_error_ends_the_turn_with_its_words() -> None:
    def broken(asked: Article) -> Integers | Exception:
        return RuntimeError("no memory") if asked.ids[1] == 2 else echo(asked)

    with pytest.raises(BenchmarkError, match="answered with an error: no memory"):
        take_turn(Scripted(broken), [article(number) for number in range(3)], 1)


def test_an_article_that_is_lost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_HANGING_S", 0.01)
    with pytest.raises(BenchmarkError, match="2 articles were not answered"):
        take_turn(Scripted(hold=3), [article(number) for number in range(2)], 2)


def test_both_sides_are_given_the_same_and_what_differs_is_counted() -> None:
    def other(asked: Article) -> Integers:
        return echo(asked)[: 2 if asked.ids[1] == 1 else 3]

    case = Case(group=Group.BUSY, name="some", in_flight=2, articles=tuple(article(number) for number in range(3)))
    sides = {LOOP: Scripted(), SLOTS: Scripted(other)}
    (found,) = compare([case], sides, rounds=2)
    assert sides[LOOP].seen == sides[SLOTS].seen == list(case.articles) * 3
    assert [len(turns) for turns in found.turns.values()] == [2, 2]
    assert found.same == 2
    assert (found.case.mean_tokens_in, found.mean_tokens_out) == (3, 3)
    assert found.times_as_many.least <= found.times_as_many.median <= found.times_as_many.most
    assert found.figures(SLOTS).per_s == Spread.of([turn.per_s for turn in found.turns[SLOTS]])
