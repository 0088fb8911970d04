"""How many requests the evidence backend takes on: without Triton, on jobs that stand still until they are let go."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from serving.backends.evidence import desk
from serving.backends.evidence.configuration import read_settings

WAIT_S = 30


class Held:
    """A desk whose jobs stand still until they are let go."""

    def __init__(self, running: int, waiting: int) -> None:
        self.desk = desk.Desk(running, waiting, 2)
        self.begun: queue.Queue[str] = queue.Queue()
        self.go = threading.Event()
        self.answers: queue.Queue[Any] = queue.Queue()

    def take(self, name: str) -> None:
        self.desk.take({"a": lambda: self.work(name), "b": lambda: self.work(name)}, self.answers.put)

    def work(self, name: str) -> list[Any]:
        self.begun.put(name)
        assert self.go.wait(WAIT_S)
        return [name]


def test_few_requests_run_a_few_wait_and_the_others_are_refused() -> None:
    held = Held(2, 1)
    for name in ("one", "two", "three"):
        held.take(name)
    assert sorted(held.begun.get(timeout=WAIT_S) for _ in range(4)) == ["one", "one", "two", "two"]
    with pytest.raises(desk.BusyError, match="the server is busy: 3 requests for evidence are ahead"):
        held.take("four")
    assert held.begun.empty()
    held.go.set()
    answers = [held.answers.get(timeout=WAIT_S) for _ in range(3)]
    assert sorted(answer["a"][0] for answer in answers) == ["one", "three", "two"]
    held.take("five")  # its place is free before the answer is out
    held.desk.close()
    assert held.answers.get(timeout=WAIT_S) == {"a": ["five"], "b": ["five"]}
    with pytest.raises(desk.BusyError, match="Server is stopping"):
        held.take("six")


def test_a_job_that_fails_is_the_answer_and_gives_its_place_back() -> None:
    one = desk.Desk(1, 1, 2)
    answers: queue.Queue[Any] = queue.Queue()

    def broken() -> list[Any]:
        raise RuntimeError("the model is broken")

    for _ in range(5):
        one.take({"a": lambda: [1], "b": broken}, answers.put)
        assert str(answers.get(timeout=WAIT_S)) == "the model is broken"
    one.close()


def config(**parameters: str) -> dict[str, Any]:
    return {"parameters": {name.replace("__", "."): {"string_value": text} for name, text in parameters.items()}}


TOKENIZER = '{"task": "tone", "inputs": ["text"], "outputs": ["input_ids", "attention_mask"]}'
MODEL = '{"task": "tone", "inputs": ["input_ids", "attention_mask"], "outputs": ["probabilities"]}'


def test_settings_come_from_the_configuration() -> None:
    settings = read_settings(config(branch__tone=MODEL, branch__tone_tokenizer=TOKENIZER, rows="8"))
    (tone,) = settings.classifiers
    assert (tone.task, tone.tokenizer, tone.model, tone.output) == ("tone", "tone_tokenizer", "tone", "probabilities")
    assert (tone.reads, tone.inputs) == (("text",), ("input_ids", "attention_mask"))
    assert (settings.rows, settings.max_running, settings.max_waiting) == (8, 2, 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "there is no parameter branch.MODEL"),
        ({"branch__tone": MODEL}, "the task tone has a branch that gives input_ids, and one .*, not .*write the conf"),
        ({"branch__tone_tokenizer": TOKENIZER}, "write the configurations anew"),
        ({"branch__tone": MODEL, "branch__t": TOKENIZER, "rows": "0"}, "rows is a whole number from 1, not '0'"),
        ({"branch__tone": MODEL, "branch__t": TOKENIZER, "max_waiting": "some"}, "whole number from 1, not 'some'"),
    ],
)
def test_a_configuration_that_says_too_little_is_refused(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_settings(config(**parameters))
