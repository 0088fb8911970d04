"""What goes wrong with one request of the fan_out backend touches no other, and none stays without an answer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from serving.backends.fan_out.admission import (
    EXPIRED,
    Answer,
    Branch,
    BusyError,
    Call,
    FanOut,
    Limits,
    StoppingError,
)
from tests.serving.backends.branches import ALL, BRANCHES, WAIT_S, echo, failing
from tests.serving.backends.held import Clock, Held


def test_a_failure_gives_its_place_to_the_next() -> None:
    answers: queue.Queue[Answer | Exception] = queue.Queue()
    fan_out = FanOut(BRANCHES, failing("left"), Limits(max_running=1))
    for text in range(20):
        fan_out.submit(Call(inputs={"text": text}, wanted=ALL, answer=answers.put))
    assert [str(answers.get(timeout=WAIT_S)) for _ in range(20)] == ["left is broken"] * 20
    fan_out.close()


def test_failures_that_are_quick_do_not_make_the_pace_look_quick() -> None:
    """A partial answer is no measure of how long an answer takes."""
    clock, answers = Clock(), queue.Queue[Answer | Exception]()
    slow, go = threading.Event(), threading.Event()

    def ask(branch: Branch, call: Call, wanted: Sequence[str]) -> Sequence[Any]:
        if call.inputs["text"] == "slow":
            slow.set()
            assert go.wait(WAIT_S)
        return failing("left")(branch, call, wanted) if call.partial else echo(branch, call, wanted)

    def call(text: str, **more: Any) -> Call:
        return Call(inputs={"text": text}, wanted=ALL, answer=answers.put, came_s=clock.now_s, **more)

    fan_out = FanOut(BRANCHES, ask, Limits(max_running=1), now=clock)
    fan_out.submit(call("slow"))
    assert slow.wait(WAIT_S)
    clock.now_s += 10
    go.set()
    answers.get(timeout=WAIT_S)
    for _ in range(30):
        fan_out.submit(call("quick", partial=True))
        assert answers.get(timeout=WAIT_S).failed  # type: ignore[union-attr]
    slow.clear()
    go.clear()
    fan_out.submit(call("slow"))
    assert slow.wait(WAIT_S)
    with pytest.raises(BusyError, match="an answer would take about 20000 ms"):
        fan_out.submit(call("no time", timeout_s=15))
    go.set()
    fan_out.close()


def test_a_machine_without_threads_answers_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ends before any branch was asked gives its place on, however many wait."""
    answers: queue.Queue[Answer | Exception] = queue.Queue()
    started, go = threading.Event(), threading.Event()

    def ask(*_: Any) -> Sequence[Any]:
        started.set()
        assert go.wait(WAIT_S)
        return ["a"]

    fan_out = FanOut(BRANCHES[:1], ask, Limits(max_running=1, max_waiting=2000))
    for _ in range(2001):
        fan_out.submit(Call(inputs={}, wanted=ALL, answer=answers.put))
    assert started.wait(WAIT_S)

    def no_thread(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", no_thread)
    go.set()
    results = [answers.get(timeout=WAIT_S) for _ in range(2001)]
    assert sum(isinstance(result, RuntimeError) for result in results) == 2000
    fan_out.close()


def test_who_has_left_keeps_nobody_out(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1, max_waiting=2)
    gone = threading.Event()
    held.submit("runs")
    held.submit("leaves", is_cancelled=gone.is_set)
    held.submit("expires", timeout_s=1)
    gone.set()
    held.clock.now_s += 2
    held.submit("fits")
    assert {text for text, _ in (held.answer(), held.answer())} == {"leaves", "expires"}
    assert [held.let_go(), held.let_go()] == ["runs", "fits"]


def test_a_request_whose_time_is_up_is_not_called_refused(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1)
    with pytest.raises(TimeoutError, match=EXPIRED):
        held.submit("too late", timeout_s=1, came_s=held.clock.now_s - 2)


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
