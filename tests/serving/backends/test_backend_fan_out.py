"""The fan_out backend's logic, without Triton."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from serving.backends.fan_out.model import (
    EXPIRED,
    Branch,
    BusyError,
    Call,
    CancelledError,
    FanOut,
    Limits,
    error_code,
    read_branches,
    read_limits,
)

WAIT_S = 30
BRANCHES = (
    Branch(model="left", inputs=("text",), outputs=("a",)),
    Branch(model="right", inputs=("title", "text"), outputs=("b", "c")),
)
ALL = frozenset("abc")


def config(**branches: Any) -> dict[str, Any]:
    return {
        "input": [{"name": "text"}, {"name": "title"}],
        "output": [{"name": name} for name in "abc"],
        "parameters": {f"branch.{name}": {"string_value": json.dumps(value)} for name, value in branches.items()},
    }


def echo(branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
    return [(name, {key: call.inputs[key] for key in branch.inputs if key in call.inputs}) for name in wanted]


class Held:
    """A backend whose branches stand still until they are let go, one request after the other."""

    def __init__(self, **limits: Any) -> None:
        self.asked: queue.Queue[tuple[str, threading.Event]] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()
        self.fan_out = FanOut(BRANCHES[:1], self._ask, Limits(**limits))

    def _ask(self, branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        go = threading.Event()
        self.asked.put((call.inputs["text"], go))
        assert go.wait(WAIT_S)
        return echo(branch, call, wanted)

    def submit(self, text: str, **more: Any) -> None:
        def answer(result: Any) -> None:
            self.answers.put((text, result))

        self.fan_out.submit(Call(inputs={"text": text}, wanted=ALL, answer=answer, **more))

    def let_go(self) -> str:
        text, go = self.asked.get(timeout=WAIT_S)
        go.set()
        return text

    def answer(self) -> Any:
        return self.answers.get(timeout=WAIT_S)


@pytest.fixture
def hold() -> Iterator[Callable[..., Held]]:
    made: list[Held] = []

    def make(**limits: Any) -> Held:
        made.append(Held(**limits))
        return made[-1]

    yield make
    for held in made:
        held.fan_out.close()


def test_branches_come_from_the_configuration() -> None:
    shares = {branch.model: {"inputs": branch.inputs, "outputs": branch.outputs} for branch in BRANCHES}
    assert read_branches(config(**shares)) == BRANCHES
    ordered = config(**shares)
    ordered["parameters"]["order"] = {"string_value": "right, left"}
    assert read_branches(ordered) == BRANCHES[::-1]
    ordered["parameters"]["order"] = {"string_value": "right"}
    with pytest.raises(ValueError, match=r"order names \['right'\], but the branches are \['left', 'right'\]"):
        read_branches(ordered)


@pytest.mark.parametrize(
    ("branch", "message"),
    [
        ({"inputs": ["body"], "outputs": ["a", "b", "c"]}, r"take \['body'\]"),
        ({"inputs": ["text"], "outputs": ["a", "b"]}, "each must come from one branch"),
    ],
)
def test_a_wrong_configuration_is_told(branch: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_branches(config(only=branch))


def test_each_branch_gets_its_share_and_the_answer_is_all_of_them() -> None:
    answers: queue.Queue[Any] = queue.Queue()
    fan_out = FanOut(BRANCHES, echo, Limits(max_running=2))
    fan_out.submit(Call(inputs={"text": 1}, wanted=ALL, answer=answers.put))
    assert answers.get(timeout=WAIT_S) == [("a", {"text": 1}), ("b", {"text": 1}), ("c", {"text": 1})]
    fan_out.submit(Call(inputs={"text": 1, "title": 2}, wanted=frozenset("c"), answer=answers.put))
    assert answers.get(timeout=WAIT_S) == [("c", {"text": 1, "title": 2})]
    fan_out.close()


def test_one_failing_branch_is_the_one_answer() -> None:
    def ask(branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        if branch.model == "right":
            raise RuntimeError("bad input: text is blank")
        return echo(branch, call, wanted)

    answers: queue.Queue[Any] = queue.Queue()
    fan_out = FanOut(BRANCHES, ask, Limits(max_running=2))
    fan_out.submit(Call(inputs={"text": 1}, wanted=ALL, answer=answers.put))
    fan_out.close()
    assert str(answers.get_nowait()) == "bad input: text is blank"
    assert answers.empty()


def test_branches_run_in_parallel() -> None:
    together = threading.Barrier(3)

    def ask(branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        together.wait(WAIT_S)
        return echo(branch, call, wanted)

    answers: queue.Queue[Any] = queue.Queue()
    fan_out = FanOut(BRANCHES, ask, Limits(max_running=1))
    fan_out.submit(Call(inputs={"text": 1}, wanted=ALL, answer=answers.put))
    together.wait(WAIT_S)
    assert len(answers.get(timeout=WAIT_S)) == 3
    fan_out.close()


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


def learned(held: Held, interval_s: float) -> Held:
    """One that has seen requests take so long."""
    held.fan_out._learn(interval_s, 1)
    return held


def test_a_wait_that_would_be_too_long_is_refused_at_once(hold: Callable[..., Held]) -> None:
    held = learned(hold(max_running=1, max_wait_s=0.5), 0.3)
    held.submit("runs")
    held.submit("waits 0.3 s")
    with pytest.raises(BusyError, match="a wait of about 600 ms where at most 500 ms are allowed"):
        held.submit("would wait 0.6 s")
    assert [held.let_go(), held.let_go()] == ["runs", "waits 0.3 s"]


def test_a_slow_model_has_a_queue_as_long_as_what_may_run(hold: Callable[..., Held]) -> None:
    held = learned(hold(max_running=1, max_wait_s=0.5), 60)
    held.submit("runs a minute")
    held.submit("waits a minute")
    with pytest.raises(BusyError, match="a wait of about 120000 ms"):
        held.submit("would wait two")
    assert [held.let_go(), held.let_go()] == ["runs a minute", "waits a minute"]


def test_a_request_that_cannot_be_answered_in_its_time_is_refused_at_once(hold: Callable[..., Held]) -> None:
    held = learned(hold(max_running=4, max_wait_s=100), 10)
    held.submit("an idle server takes anything", timeout_s=9)
    with pytest.raises(BusyError, match=r"an answer would take about 20000 ms and the time-out is 15000 ms"):
        held.submit("the second one has not enough time", timeout_s=15)
    held.submit("the third one has", timeout_s=25)
    assert sorted([held.let_go(), held.let_go()]) == ["an idle server takes anything", "the third one has"]


def test_whoever_has_left_or_whose_time_is_up_is_dropped_before_a_model_sees_it(hold: Callable[..., Held]) -> None:
    held = hold(max_running=1, max_wait_s=100)
    gone = threading.Event()
    held.submit("runs")
    held.submit("leaves", is_cancelled=gone.is_set)
    held.submit("expires", timeout_s=1, came_s=time.monotonic() - 0.5)
    held.submit("stays")
    gone.set()
    deadline = threading.Event()
    assert not deadline.wait(0.6)
    assert held.let_go() == "runs"
    assert held.let_go() == "stays"
    answers = dict(held.answer() for _ in range(4))
    assert isinstance(answers["leaves"], CancelledError)
    assert str(answers["expires"]) == EXPIRED
    assert answers["stays"] == [("a", {"text": "stays"})]


def test_a_failure_gives_its_place_to_the_next(hold: Callable[..., Held]) -> None:
    answers: queue.Queue[Any] = queue.Queue()

    def ask(branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        raise RuntimeError("broken")

    fan_out = FanOut(BRANCHES, ask, Limits(max_running=1))
    for text in range(20):
        fan_out.submit(Call(inputs={"text": text}, wanted=ALL, answer=answers.put))
    assert [str(answers.get(timeout=WAIT_S)) for _ in range(20)] == ["broken"] * 20
    fan_out.close()


def test_the_interval_between_answers_is_learned_from_how_many_run_side_by_side() -> None:
    fan_out = FanOut(BRANCHES, echo, Limits())
    fan_out._learn(1.2, 4)
    assert fan_out._interval_s == pytest.approx(0.3)
    fan_out._learn(2.4, 4)
    assert fan_out._interval_s == pytest.approx(0.33)
    fan_out.close()


def test_limits_come_from_the_configuration() -> None:
    given = {"max_running": "3", "max_wait_ms": "250", "max_waiting": "9"}
    parameters = {key: {"string_value": value} for key, value in given.items()}
    assert read_limits({"parameters": parameters}) == Limits(max_running=3, max_wait_s=0.25, max_waiting=9)
    assert read_limits({}) == Limits()
    with pytest.raises(ValueError, match="max_running is a whole number from 1, not '0'"):
        read_limits({"parameters": {"max_running": {"string_value": "0"}}})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("in ensemble 'summarize', bad input: text is blank"), "INVALID_ARG"),
        (RuntimeError("in ensemble 'verify', Request timeout expired"), "UNAVAILABLE"),
        (TimeoutError(EXPIRED), "UNAVAILABLE"),
        (BusyError("the server is busy"), "UNAVAILABLE"),
        (CancelledError("gone"), "CANCELLED"),
        (RuntimeError("ONNX Runtime: broken"), "INTERNAL"),
    ],
)
def test_codes_follow_from_the_error(error: Exception, code: str) -> None:
    assert error_code(error) == code
