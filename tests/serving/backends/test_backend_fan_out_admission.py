"""The queue of the fan_out backend, without Triton and on a clock that the tests turn."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from serving.backends.fan_out.admission import (
    EXPIRED,
    Answer,
    Branch,
    BusyError,
    Call,
    CancelledError,
    FanOut,
    Limits,
    StoppingError,
)
from tests.serving.backends.branches import ALL, BRANCHES, WAIT_S, echo, failing


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Held:
    """A backend with one branch that stands still until it is let go, one request after the other."""

    def __init__(self, **limits: Any) -> None:
        self.asked: queue.Queue[tuple[str, threading.Event]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Answer | Exception]] = queue.Queue()
        self.clock = Clock()
        self.fan_out = FanOut(BRANCHES[:1], self._ask, Limits(**limits), now=self.clock)

    def _ask(self, branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        go = threading.Event()
        self.asked.put((call.inputs["text"], go))
        assert go.wait(WAIT_S)
        return echo(branch, call, wanted)

    def submit(self, text: str, **more: Any) -> None:
        def answer(result: Answer | Exception) -> None:
            self.answers.put((text, result))

        more = {"answer": answer, "came_s": self.clock.now_s, **more}
        self.fan_out.submit(Call(inputs={"text": text}, wanted=ALL, **more))

    def let_go(self) -> str:
        text, go = self.asked.get(timeout=WAIT_S)
        go.set()
        return text

    def answer(self) -> tuple[str, Answer | Exception]:
        return self.answers.get(timeout=WAIT_S)

    def take(self, seconds: float, side_by_side: int = 1) -> Held:
        """Answer so many requests at once that take so long, from which the backend learns its pace."""
        for number in range(side_by_side):
            self.submit(f"takes {seconds} s, number {number}")
        held = [self.asked.get(timeout=WAIT_S) for _ in range(side_by_side)]
        self.clock.now_s += seconds
        for _, go in held[:1]:
            go.set()
            self.answer()
        self.clock.now_s -= seconds  # the others are answered at once: nothing more is learned from them
        for _, go in held[1:]:
            go.set()
            self.answer()
        return self


@pytest.fixture
def hold() -> Iterator[Callable[..., Held]]:
    made: list[Held] = []

    def make(**limits: Any) -> Held:
        made.append(Held(**limits))
        return made[-1]

    yield make
    for held in made:
        while not held.asked.empty():  # what a failed test left
            held.let_go()
        held.fan_out.close()


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


def test_a_failure_gives_its_place_to_the_next() -> None:
    answers: queue.Queue[Answer | Exception] = queue.Queue()
    fan_out = FanOut(BRANCHES, failing("left"), Limits(max_running=1))
    for text in range(20):
        fan_out.submit(Call(inputs={"text": text}, wanted=ALL, answer=answers.put))
    assert [str(answers.get(timeout=WAIT_S)) for _ in range(20)] == ["left is broken"] * 20
    fan_out.close()


def broken(*_: Any) -> Any:
    raise OSError("the caller's line is cut")


def test_an_answer_that_cannot_be_sent_takes_no_place_with_it(
    hold: Callable[..., Held], caplog: pytest.LogCaptureFixture
) -> None:
    held = hold(max_running=1)
    held.submit("runs", answer=broken)
    held.submit("left", answer=broken, is_cancelled=lambda: True)
    held.submit("waits")
    assert [held.let_go(), held.let_go()] == ["runs", "waits"]
    assert held.answer()[0] == "waits"
    assert caplog.text.count("a request could not be answered") == 2


def test_a_waiting_call_that_cannot_be_looked_at_takes_no_answer_with_it(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1)
    held.submit("runs")
    held.submit("cannot be looked at", is_cancelled=broken)
    held.submit("waits")
    assert [held.let_go(), held.let_go()] == ["runs", "waits"]
    answers = dict(held.answer() for _ in range(3))
    assert isinstance(answers["runs"], Answer)
    assert isinstance(answers["waits"], Answer)
    assert isinstance(answers["cannot be looked at"], OSError)


def test_the_place_is_free_when_the_answer_comes(hold: Callable[..., Held]) -> None:
    """Else a caller that sends one request after the other could be refused for its own last one."""
    held = hold(max_running=1).take(10)
    refused: queue.Queue[BusyError | None] = queue.Queue()

    def again(_: Any) -> None:
        try:
            held.submit("second", timeout_s=12)
            refused.put(None)
        except BusyError as error:
            refused.put(error)

    held.submit("first", timeout_s=12, answer=again)
    assert held.let_go() == "first"
    assert refused.get(timeout=WAIT_S) is None
    assert held.let_go() == "second"


def test_closing_refuses_who_waits_and_waits_for_who_runs(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1)
    held.submit("runs")
    held.submit("waits")
    held.submit("waits too")
    closing = threading.Thread(target=held.fan_out.close)
    closing.start()
    refused = dict(held.answer() for _ in range(2))
    assert sorted(refused) == ["waits", "waits too"]
    assert all(isinstance(error, StoppingError) and "the server stops" in str(error) for error in refused.values())
    with pytest.raises(StoppingError, match="the server stops"):
        held.submit("comes later")
    assert closing.is_alive()
    assert held.let_go() == "runs"
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert held.answer() == ("runs", Answer(outputs=(("a", {"text": "runs"}),)))
    assert held.answers.empty()
