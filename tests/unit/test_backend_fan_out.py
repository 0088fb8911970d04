"""The fan_out backend's logic, without Triton."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from serving.backends.fan_out.model import Branch, FanOut, error_code, read_branches

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


def echo(branch: Branch, inputs: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
    return [(name, dict(inputs)) for name in wanted]


def test_branches_come_from_the_configuration() -> None:
    shares = {branch.model: {"inputs": branch.inputs, "outputs": branch.outputs} for branch in BRANCHES}
    assert read_branches(config(**shares)) == BRANCHES


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
    fan_out = FanOut(BRANCHES, echo, 2)
    assert fan_out.submit({"text": 1}, ALL, answers.put)
    assert answers.get(timeout=WAIT_S) == [("a", {"text": 1}), ("b", {"text": 1}), ("c", {"text": 1})]
    assert fan_out.submit({"text": 1, "title": 2}, frozenset("c"), answers.put)
    assert answers.get(timeout=WAIT_S) == [("c", {"text": 1, "title": 2})]
    fan_out.close()


def test_one_failing_branch_is_the_one_answer() -> None:
    def ask(branch: Branch, inputs: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
        if branch.model == "right":
            raise RuntimeError("bad input: text is blank")
        return echo(branch, inputs, wanted)

    answers: queue.Queue[Any] = queue.Queue()
    fan_out = FanOut(BRANCHES, ask, 2)
    assert fan_out.submit({"text": 1}, ALL, answers.put)
    fan_out.close()
    assert str(answers.get_nowait()) == "bad input: text is blank"
    assert answers.empty()


def test_branches_run_in_parallel_and_too_many_requests_are_refused() -> None:
    together = threading.Barrier(3)

    def ask(branch: Branch, inputs: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
        together.wait(WAIT_S)
        return echo(branch, inputs, wanted)

    answers: queue.Queue[Any] = queue.Queue()
    fan_out = FanOut(BRANCHES, ask, 1)
    assert fan_out.submit({"text": 1}, ALL, answers.put)
    assert not fan_out.submit({"text": 2}, ALL, answers.put)
    together.wait(WAIT_S)
    assert len(answers.get(timeout=WAIT_S)) == 3
    fan_out.close()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("in ensemble 'summarize', bad input: text is blank", "INVALID_ARG"),
        ("in ensemble 'verify', Request timeout expired", "UNAVAILABLE"),
        ("ONNX Runtime: broken", "INTERNAL"),
    ],
)
def test_codes_follow_from_the_message(message: str, code: str) -> None:
    assert error_code(message) == code
