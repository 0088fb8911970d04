"""The queue of the fan_out backend, without Triton and on a clock that the tests turn."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from serving.backends.fan_out.admission import (
    EXPIRED,
    Answer,
    BusyError,
    CancelledError,
)
from tests.serving.backends.held import Held


def test_requests_wait_for_a_place_in_the_order_in_which_they_came(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1)
    for text in ("first", "second", "third"):
        held.submit(text)
    assert [held.let_go() for _ in range(3)] == ["first", "second", "third"]
    assert [held.answer()[0] for _ in range(3)] == ["first", "second", "third"]


def test_beyond_the_queue_a_request_is_refused_at_once(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1, max_waiting=1)
    held.submit("runs")
    held.submit("waits")
    with pytest.raises(BusyError, match="busy: 2 requests are ahead"):
        held.submit("too many")
    assert [held.let_go(), held.let_go()] == ["runs", "waits"]
    assert [held.answer()[0], held.answer()[0]] == ["runs", "waits"]
    assert held.answers.empty()


def test_a_wait_that_would_be_too_long_is_refused_at_once(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1, max_wait_s=0.5).take(0.3)
    held.submit("runs")
    held.submit("waits 0.3 s")
    with pytest.raises(BusyError, match="a wait of about 600 ms where at most 500 ms are allowed"):
        held.submit("would wait 0.6 s")
    assert [held.let_go(), held.let_go()] == ["runs", "waits 0.3 s"]


def test_a_slow_model_has_a_queue_as_long_as_what_may_run(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1, max_wait_s=0.5).take(60)
    held.submit("runs a minute")
    held.submit("waits a minute")
    with pytest.raises(BusyError, match="a wait of about 120000 ms"):
        held.submit("would wait two")
    assert [held.let_go(), held.let_go()] == ["runs a minute", "waits a minute"]


def test_a_request_that_cannot_be_answered_in_its_time_is_refused_at_once(hold: Callable[..., Held]) -> None:
    held = hold(max_running=4, max_wait_s=100).take(10)
    held.submit("an idle server takes anything", timeout_s=9)
    with pytest.raises(BusyError, match=r"an answer would take about 20000 ms and the time-out is 15000 ms"):
        held.submit("the second one has not enough time", timeout_s=15)
    held.submit("the third one has", timeout_s=25)
    assert sorted([held.let_go(), held.let_go()]) == ["an idle server takes anything", "the third one has"]


def test_the_pace_is_learned_from_how_many_run_side_by_side(hold: Callable[..., Held]) -> None:
    """Four that take 1.2 s together are one answer every 0.3 s."""
    held = hold(max_running=4, max_waiting=1).take(1.2, side_by_side=4)
    for number in range(5):
        held.submit(f"number {number}")
    with pytest.raises(BusyError, match="5 requests are ahead, a wait of about 600 ms"):
        held.submit("the sixth")
    assert sorted(held.let_go() for _ in range(5)) == [f"number {number}" for number in range(5)]


def test_whoever_has_left_or_whose_time_is_up_is_dropped_before_a_model_sees_it(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1, max_wait_s=100)
    gone = threading.Event()
    held.submit("runs")
    held.submit("leaves", is_cancelled=gone.is_set)
    held.submit("expires", timeout_s=1)
    held.submit("stays")
    gone.set()
    held.clock.now_s += 2
    assert held.let_go() == "runs"
    assert held.let_go() == "stays"
    answers = dict(held.answer() for _ in range(4))
    assert isinstance(answers["leaves"], CancelledError)
    assert str(answers["expires"]) == EXPIRED
    assert answers["stays"] == Answer(outputs=(("a", {"text": "stays"}),))
