"""Requests go to the engine, and each gets one answer, whatever becomes of its articles."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.scheduling.errors import BusyError, CancelledError, ClosedError, ExpiredError
from serving.backends import counts, wanted
from serving.backends.summarizer import model
from serving.backends.summarizer.callers import EVERY_S, Caller
from serving.backends.summarizer.configuration import read_options
from serving.backends.summarizer.model import TritonPythonModel
from serving.gateway.calls import Board
from serving.launcher import CACHE_VARIABLE
from tests.serving.backends.summarizer.standing import WAIT_S, Request, StandingEngine, config, tensors


def nothing_more(summarizer: TritonPythonModel, request: Request) -> bool:
    """Whether no further answer is on its way to a request."""
    handed_over = threading.Event()
    summarizer._outbox.put(handed_over.set)
    assert handed_over.wait(WAIT_S)
    return request.sender.sent.empty()


def test_a_request_is_answered_when_its_last_article_is_done(
    summarizer: TritonPythonModel, engine: StandingEngine
) -> None:
    request = Request(tensors([0, 5, 2], [0, 6, 2], max_length=6))
    summarizer.execute([request])
    first, second = engine.held
    second.answer(np.array([2, 0, 8, 2]))
    assert nothing_more(summarizer, request)
    first.answer(np.array([2, 0, 7, 9, 2]))
    (tensor,) = request.sender.answer().tensors
    assert tensor.name() == "sequences"
    assert tensor.as_numpy().tolist() == [[2, 0, 7, 9, 2, 1], [2, 0, 8, 2, 1, 1]]


def test_requests_do_not_wait_for_one_another(summarizer: TritonPythonModel, engine: StandingEngine) -> None:
    requests = [Request(tensors([0, 5, 2], num_beams=beams)) for beams in (8, 1)]
    summarizer.execute(requests)
    engine.held[1].answer(np.array([2, 0, 2]))
    assert requests[1].sender.answer().error is None
    assert nothing_more(summarizer, requests[0])


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BusyError("64 articles wait"), "UNAVAILABLE", "the server is busy: 64 articles wait"),
        (ClosedError("closed"), "UNAVAILABLE", "Server is stopping: send the request again once it has started"),
        (ValueError("too long"), "INVALID_ARG", "bad input: too long"),
        (RuntimeError("no memory"), "INTERNAL", "the summarizer failed: no memory"),
    ],
)
def test_what_the_engine_refuses_is_told(
    summarizer: TritonPythonModel, engine: StandingEngine, error: Exception, code: str, words: str
) -> None:
    engine.refuses = error
    request = Request(tensors([0, 5, 2], [0, 6, 2]))
    summarizer.execute([request])
    assert request.sender.told() == (code, words)
    assert nothing_more(summarizer, request), "one answer"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ExpiredError("late"), "UNAVAILABLE", wanted.EXPIRED),
        (CancelledError("gone"), "CANCELLED", wanted.LEFT),
        (RuntimeError("broken"), "INTERNAL", "the summarizer failed: broken"),
    ],
)
def test_an_article_that_fails_fails_its_request_at_once_and_frees_the_others(
    summarizer: TritonPythonModel, engine: StandingEngine, error: Exception, code: str, words: str
) -> None:
    request = Request(tensors([0, 5, 2], [0, 6, 2]))
    summarizer.execute([request])
    other, failing = engine.held
    assert other.is_cancelled is not None
    assert not other.is_cancelled()
    failing.answer(error)
    assert request.sender.told() == (code, words)
    assert other.is_cancelled()
    other.answer(CancelledError("its request has its answer"))
    other.answer(np.array([2, 0, 2]))
    failing.answer(np.array([2, 0, 2]))
    assert nothing_more(summarizer, request), "one answer"


def test_a_busy_engine_frees_what_it_has_taken_of_a_request(
    summarizer: TritonPythonModel, engine: StandingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = engine.submit

    def once(*words: object, **more: object) -> None:
        submit(*words, **more)  # type: ignore[arg-type]
        engine.refuses = BusyError("one is enough")

    monkeypatch.setattr(engine, "submit", once)
    request = Request(tensors([0, 5, 2], [0, 6, 2], [0, 7, 2]))
    summarizer.execute([request])
    assert request.sender.told() == ("UNAVAILABLE", "the server is busy: one is enough")
    (taken,) = engine.held
    assert taken.is_cancelled is not None
    assert taken.is_cancelled()


def test_a_bad_request_fails_alone(summarizer: TritonPythonModel, engine: StandingEngine) -> None:
    bad, good = Request(tensors([0, 5, 2])), Request(tensors([0, 6, 2]))
    bad.given["num_beams"] = np.zeros((1, 12), np.uint8)
    summarizer.execute([bad, good])
    assert bad.sender.told() == ("INVALID_ARG", "bad input: num_beams must lie between 1 and 8, not 12")
    engine.held[0].answer(np.array([2, 0, 2]))
    assert good.sender.answer().error is None


def test_whose_caller_has_left_or_whose_time_is_up_never_reaches_the_engine(
    summarizer: TritonPythonModel, engine: StandingEngine
) -> None:
    left, late = Request(tensors([0, 5, 2])), Request(tensors([0, 5, 2]), {wanted.DEADLINE: 1})
    left.sender.cancelled = True
    summarizer.execute([left, late])
    assert left.sender.told() == ("CANCELLED", wanted.LEFT)
    assert late.sender.told() == ("UNAVAILABLE", wanted.EXPIRED)
    assert engine.held == []


def test_the_engine_knows_until_when(summarizer: TritonPythonModel, engine: StandingEngine) -> None:
    now_s = time.monotonic()
    noted = Request(tensors([0, 5, 2]), {wanted.DEADLINE: int(1e6 * (now_s + 50))}, timeout_us=90_000_000)
    own = Request(tensors([0, 5, 2]), {wanted.DEADLINE: int(1e6 * (now_s + 90))}, timeout_us=50_000_000)
    free = Request(tensors([0, 5, 2]))
    summarizer.execute([noted, own, free])
    first_s, second_s, never = (held.deadline_s for held in engine.held)
    assert never is None
    assert first_s == pytest.approx(now_s + 50, abs=1e-3)
    assert second_s is not None
    assert now_s + 50 <= second_s <= time.monotonic() + 50


def test_the_door_s_board_tells_who_has_left(tmp_path: Path) -> None:
    door, now = Board(tmp_path / "board"), [0.0]
    ticket = door.next_ticket()
    request = Request({}, {wanted.TICKET: ticket})
    caller = Caller.of(request, request.sender, wanted.Board(str(tmp_path / "board")))
    assert caller.why_unwanted() is None
    door.leave(ticket)
    caller._now = lambda: now[0]
    caller._next_s = EVERY_S
    assert not caller.has_left(), "it was asked a moment ago"
    now[0] = EVERY_S
    assert caller.has_left()
    assert request.sender.asked == 0, "the door goes on waiting for Triton's answer"
    door.close()


def test_triton_is_asked_seldom() -> None:
    now, request = [10.0], Request({})
    caller = Caller(request.sender.is_cancelled, now=lambda: now[0])
    for _ in range(100):
        caller.has_left()
    assert request.sender.asked == 1
    request.sender.cancelled, now[0] = True, 10.0 + EVERY_S
    assert [caller.has_left() for _ in range(100)] == [True] * 100
    assert request.sender.asked == 2


def test_every_length_is_warmed_up_on_every_thread(engine: StandingEngine, arguments: dict[str, str]) -> None:
    made = TritonPythonModel()
    made.initialize(arguments)
    assert [len(held.article.ids) for held in engine.held] == [64, 64, 128, 128, 192, 192, 256, 256, 300, 300]
    assert {(held.article.settings.max_length, held.article.settings.num_beams) for held in engine.held} == {(4, 2)}
    made.finalize()
    assert engine.closed


def test_an_engine_that_cannot_is_a_model_that_does_not_load(engine: StandingEngine, arguments: dict[str, str]) -> None:
    engine.refuses = RuntimeError("there is no memory for 512 slots")
    with pytest.raises(RuntimeError, match="no memory for 512 slots"):
        TritonPythonModel().initialize(arguments)
    assert engine.closed


def test_the_instance_is_of_kind_cpu(engine: StandingEngine, arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="KIND_CPU, whatever the device, not KIND_GPU: the parameter device says"):
        TritonPythonModel().initialize({**arguments, "model_instance_kind": "GPU"})


def test_what_is_counted_lies_where_the_door_reads_it(
    engine: StandingEngine, arguments: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(counts.VARIABLE, str(tmp_path))
    made = TritonPythonModel()
    made.initialize({**arguments, "model_config": json.dumps(config())})
    made._counts.look()
    document = json.loads((tmp_path / "bart.json").read_text())
    assert document["counted"]["waiting"] == len(engine.held)
    made.finalize()
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_handed_over_is_an_error(
    summarizer: TritonPythonModel, engine: StandingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as where the shared memory for it is missing; nobody waits for an answer that never comes."""
    request = Request(tensors([0, 5, 2]))
    send = request.sender.send

    def refuse_tensors(response: Any, flags: int) -> None:
        if response.error is None:
            raise MemoryError("no shared memory")
        send(response, flags)

    monkeypatch.setattr(request.sender, "send", refuse_tensors)
    summarizer.execute([request])
    engine.held[0].answer(np.array([2, 0, 2]))
    assert request.sender.told() == ("INTERNAL", "the summarizer failed: no shared memory")


def test_plans_are_kept_in_the_servers_cache_unless_a_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert model.CACHE == CACHE_VARIABLE
    options = read_options(config())
    monkeypatch.delenv(model.CACHE, raising=False)
    assert model.engine_options(options).plans is None, "beside the graphs"
    monkeypatch.setenv(model.CACHE, str(tmp_path))
    assert model.engine_options(options).plans == tmp_path / "plans"
    assert model.engine_options(replace(options, plans="/elsewhere")).plans == Path("/elsewhere")
