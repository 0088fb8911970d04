"""The fan_out backend without Triton: its configuration, the answer to one request, and the codes of errors."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from infolens import contract
from serving.backends.fan_out import model
from serving.backends.fan_out.admission import (
    EXPIRED,
    Answer,
    BadInputError,
    Branch,
    BusyError,
    Call,
    CancelledError,
    FanOut,
    Limits,
    StoppingError,
)
from serving.backends.fan_out.model import (
    error_code,
    failed_json,
    handed_on,
    read_branches,
    read_limits,
    read_timeout_s,
)
from serving.backends.fan_out.on_request import read_flag
from serving.backends.wanted import DEADLINE, TICKET
from tests.serving.backends.branches import ALL, BRANCHES, WAIT_S, echo, failing

SHARES = {
    branch.model: {"task": branch.task, "inputs": branch.inputs, "outputs": branch.outputs} for branch in BRANCHES
}


def config(shares: dict[str, Any], **parameters: str) -> dict[str, Any]:
    branches = {f"branch.{name}": json.dumps(share) for name, share in shares.items()}
    return {
        "input": [{"name": "text"}, {"name": "title"}],
        "output": [{"name": name} for name in ("a", "b", "c", "failed")],
        "parameters": {key: {"string_value": value} for key, value in {**branches, **parameters}.items()},
    }


def test_branches_come_from_the_configuration() -> None:
    assert read_branches(config(SHARES)) == BRANCHES
    assert read_branches(config(SHARES, order="right, left")) == BRANCHES[::-1]


@pytest.mark.parametrize(
    ("shares", "parameters", "message"),
    [
        (SHARES, {"order": "right"}, r"order names \['right'\], but the branches are \['left', 'right'\]"),
        ({"only": {"task": "all", "inputs": ["body"], "outputs": ["a", "b", "c"]}}, {}, r"take \['body'\]"),
        ({"only": {"task": "all", "inputs": ["text"], "outputs": ["a", "b"]}}, {}, "each must come from one branch"),
        ({"only": {"inputs": ["text"], "outputs": ["a"]}}, {}, r"branch\.only lacks task: .*export configs"),
        ({**SHARES, "left": {**SHARES["left"], "task": "second"}}, {}, "a task of its own"),
    ],
)
def test_a_wrong_configuration_is_told(shares: dict[str, Any], parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_branches(config(shares, **parameters))


def test_limits_come_from_the_configuration() -> None:
    found = read_limits(config({}, max_running="3", max_wait_ms="250", max_waiting="9"))
    assert found == Limits(max_running=3, max_wait_s=0.25, max_waiting=9)
    assert read_limits({}) == Limits()
    with pytest.raises(ValueError, match="max_running is a whole number from 1, not '0'"):
        read_limits(config({}, max_running="0"))


def test_the_words_of_partial_answers_are_the_contracts() -> None:
    """A backend imports nothing of the project, so it has these two names once more."""
    assert (contract.FAILED.name, contract.PARTIAL) == (model.FAILED, model.PARTIAL)


def test_a_request_asks_for_partial_answers_with_a_boolean() -> None:
    texts = ("", "{}", '{"partial": false, "other": 1}', '{"partial": true}')
    assert [read_flag(text, "partial") for text in texts] == [False, False, False, True]
    for wrong in ('"true"', "1", "null"):
        with pytest.raises(BadInputError, match=f"the request parameter partial is true or false, not {wrong}"):
            read_flag(f'{{"partial": {wrong}}}', "partial")


def test_reasons_are_without_what_triton_writes_before_them() -> None:
    failed = {"first": RuntimeError("in ensemble 'left', bad input: Zürich is blank"), "second": TimeoutError(EXPIRED)}
    failed["third"] = RuntimeError("in ensemble 'right', [request id: <id_unknown>] Exceeds maximum queue size")
    reasons = {"first": "bad input: Zürich is blank", "second": EXPIRED, "third": "Exceeds maximum queue size"}
    assert json.loads(failed_json(failed)) == reasons
    assert failed_json({}) == b"{}"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInputError("the request parameter partial is true or false, not 1"), "INVALID_ARG"),
        (RuntimeError("in ensemble 'summarize', bad input: text is blank"), "INVALID_ARG"),
        (RuntimeError("in ensemble 'verify', Request timeout expired"), "UNAVAILABLE"),
        (RuntimeError("in ensemble 'verify', Exceeds maximum queue size"), "UNAVAILABLE"),
        (RuntimeError("in ensemble 'verify', Server is stopping, scheduler is refusing requests"), "UNAVAILABLE"),
        (RuntimeError("Model summarize - Error when running inference: Server not ready"), "UNAVAILABLE"),
        (TimeoutError(EXPIRED), "UNAVAILABLE"),
        (BusyError("the server is busy"), "UNAVAILABLE"),
        (StoppingError("the server stops"), "UNAVAILABLE"),
        (CancelledError("gone"), "CANCELLED"),
        (RuntimeError("in ensemble 'summarize', the request was cancelled"), "CANCELLED"),
        (RuntimeError("ONNX Runtime: broken"), "INTERNAL"),
    ],
)
def test_codes_follow_from_the_error(error: Exception, code: str) -> None:
    assert error_code(error) == code


def ask_all(ask: Callable[[Branch, Call, Sequence[str]], Sequence[Any]], **call: Any) -> Answer | Exception:
    """The answer to one request of both branches."""
    answers: queue.Queue[Answer | Exception] = queue.Queue()
    fan_out = FanOut(BRANCHES, ask, Limits(max_running=2))
    fan_out.submit(Call(**{"inputs": {"text": 1}, "wanted": ALL, "answer": answers.put, **call}))
    fan_out.close()
    answer = answers.get_nowait()
    assert answers.empty()
    return answer


def test_each_branch_gets_its_share_and_the_answer_is_all_of_them() -> None:
    whole = Answer(outputs=(("a", {"text": 1}), ("b", {"text": 1}), ("c", {"text": 1})))
    assert ask_all(echo) == whole
    part = ask_all(echo, inputs={"text": 1, "title": 2}, wanted=frozenset("c"))
    assert part == Answer(outputs=(("c", {"text": 1, "title": 2}),))


def test_one_failing_branch_is_the_one_answer() -> None:
    assert str(ask_all(failing("right"))) == "right is broken"
    assert str(ask_all(failing("left", "right"))) == "left is broken"


def test_a_partial_answer_has_the_outputs_of_the_others_and_says_what_failed() -> None:
    answer = ask_all(failing("right"), partial=True)
    assert isinstance(answer, Answer)
    assert answer.outputs == (("a", {"text": 1}),)
    assert {task: str(error) for task, error in (answer.failed or {}).items()} == {"second": "right is broken"}
    whole = ask_all(echo, partial=True)
    assert isinstance(whole, Answer)
    assert whole.failed == {}
    assert len(whole.outputs) == 3


def test_a_partial_answer_without_any_output_is_the_error() -> None:
    assert str(ask_all(failing("left", "right"), partial=True)) == "left is broken"
    assert str(ask_all(failing("right"), partial=True, wanted=frozenset("bc"))) == "right is broken"


def test_a_request_for_no_task_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"an output of at least one task, but this one asks for \['failed'\]"):
        ask_all(echo, wanted=frozenset(["failed"]))


def test_branches_run_in_parallel() -> None:
    together = threading.Barrier(2)

    def ask(branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        together.wait(WAIT_S)
        return echo(branch, call, wanted)

    answer = ask_all(ask)
    assert isinstance(answer, Answer)
    assert len(answer.outputs) == 3


def test_the_earlier_of_time_out_and_deadline_counts() -> None:
    until = json.dumps({DEADLINE: 107_000_000})
    assert read_timeout_s("", 0, now_s=100.0) == read_timeout_s('{"partial": true}', 0, now_s=100.0) == 0.0
    assert read_timeout_s("", 2_000_000, now_s=100.0) == read_timeout_s(until, 2_000_000, now_s=100.0) == 2.0
    assert read_timeout_s(until, 0, now_s=100.0) == read_timeout_s(until, 9_000_000, now_s=100.0) == 7.0
    assert 0 < read_timeout_s(until, 0, now_s=200.0) < 1e-3
    assert read_timeout_s(json.dumps({DEADLINE: "soon"}), 0, now_s=100.0) == 0.0


def test_what_is_asked_for_a_call_carries_its_ticket_and_its_deadline() -> None:
    def parameters(**more: Any) -> dict[str, int]:
        return handed_on(Call(inputs={}, wanted=ALL, answer=lambda _: None, came_s=100.0, **more))

    assert parameters() == {}
    assert parameters(ticket=7) == {TICKET: 7}
    assert parameters(ticket=7, timeout_s=2.5) == {TICKET: 7, DEADLINE: 102_500_000}
    assert parameters(timeout_s=1e18) == {DEADLINE: 2**63 - 1}
