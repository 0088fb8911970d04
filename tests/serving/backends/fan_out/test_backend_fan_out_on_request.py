"""Branches of the fan_out backend that are asked only where a request says so."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

import pytest

from serving.backends.fan_out.admission import Answer, BadInputError, Branch, Call, FanOut, Limits
from serving.backends.fan_out.model import error_code, read_branches
from serving.backends.fan_out.on_request import notes_for, wanted_outputs
from tests.serving.backends.branches import ALL, BRANCHES, WAIT_S, echo
from tests.serving.backends.held import Clock

LABOUR = Branch(model="labour", task="labour", inputs=("text",), outputs=("d",), parameter="labour")
EVERY = (LABOUR, *BRANCHES)


@pytest.mark.parametrize(
    ("named", "parameters", "wanted"),
    [
        ("abcd", "", "abc"),
        ("abcd", '{"labour": false}', "abc"),
        ("abcd", '{"labour": true}', "abcd"),
        ("ad", '{"labour": true, "partial": true}', "ad"),
        ("d", "{}", ""),
    ],
)
def test_such_a_branch_is_asked_only_with_its_parameter(named: str, parameters: str, wanted: str) -> None:
    assert wanted_outputs(named, EVERY, parameters) == frozenset(wanted)
    with pytest.raises(BadInputError, match='the request parameter labour is true or false, not "yes"'):
        wanted_outputs(named, EVERY, '{"labour": "yes"}')


def test_it_is_told_what_else_is_asked_for() -> None:
    def told(branch: Branch, wanted: str) -> Any:
        return notes_for(branch, Call(inputs={}, wanted=frozenset(wanted), answer=print), EVERY)

    assert told(LABOUR, "abcd") == {"evidence_tasks": "first,second"}
    assert told(LABOUR, "cd") == {"evidence_tasks": "second"}
    assert told(BRANCHES[0], "abcd") == {}


def test_the_configuration_says_so() -> None:
    share = '{"task": "labour", "inputs": ["text"], "outputs": ["d"], "parameter": "labour", "places": 4}'
    config = {
        "parameters": {"branch.labour": {"string_value": share}},
        "input": [{"name": "text"}],
        "output": [{"name": "d"}],
    }
    assert read_branches(config) == (LABOUR,)


def test_what_takes_long_says_nothing_of_the_pace_of_others() -> None:
    clock, answers = Clock(), queue.Queue[Answer | Exception]()

    def ask(branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        clock.now_s += 60.0 if branch is LABOUR else 0.01
        return echo(branch, call, wanted)

    fan_out = FanOut((LABOUR, BRANCHES[0]), ask, Limits(max_running=1), now=clock)
    for _ in range(3):
        fan_out.submit(Call(inputs={"text": "x"}, wanted=ALL | {"d"}, answer=answers.put, came_s=clock.now_s))
        assert isinstance(answers.get(timeout=WAIT_S), Answer)
    assert fan_out._interval_s == 0.0
    fan_out.submit(Call(inputs={"text": "x"}, wanted=ALL, answer=answers.put, came_s=clock.now_s))
    assert isinstance(answers.get(timeout=WAIT_S), Answer)
    fan_out.close()
    assert 0 < fan_out._interval_s < 1


def test_a_branch_that_is_busy_makes_the_whole_busy() -> None:
    assert error_code(RuntimeError("the server is busy: 4 requests for evidence are ahead")) == "UNAVAILABLE"
