"""What no backend begins with: requests whose callers have left, as the door tells them, or whose time is up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from serving import launcher
from serving.backends import wanted
from serving.backends.detokenizer.model import TritonPythonModel as Detokenizer
from serving.backends.labels.model import TritonPythonModel as Labels
from serving.backends.onnxruntime.model import TritonPythonModel as OnnxRuntime
from serving.backends.tokenizer.model import TritonPythonModel as Tokenizer
from serving.gateway.calls import board, told


@dataclass(eq=False)
class Request:
    """What Triton hands to a backend, as far as it matters here."""

    given: dict[str, Any] = field(default_factory=dict)
    cancelled: bool = False
    asked: int = 0

    def parameters(self) -> str:
        return json.dumps(self.given) if self.given else ""

    def is_cancelled(self) -> bool:
        self.asked += 1
        return self.cancelled


def ticketed(ticket: int, **more: Any) -> Request:
    return Request({wanted.TICKET: ticket, **more})


@pytest.fixture
def door(tmp_path: Path) -> Iterator[board.Board]:
    one = board.Board(tmp_path / "board")
    yield one
    one.close()


@pytest.fixture
def reader(tmp_path: Path, door: board.Board) -> wanted.Board:
    return wanted.Board(str(tmp_path / "board"))


def why(callers: wanted.Callers, request: Request) -> str:
    reason = callers.why_unwanted(request)
    return "" if reason is None else reason.code


def test_door_launcher_and_backends_call_things_alike() -> None:
    assert (wanted.DEADLINE, wanted.TICKET) == (told.DEADLINE, told.TICKET)
    assert (wanted.VARIABLE, wanted.SLOTS) == (launcher.BOARD_VARIABLE, board.SLOTS)


def test_the_board_tells_of_those_who_have_left_and_of_no_others(door: board.Board, reader: wanted.Board) -> None:
    tickets = [door.next_ticket() for _ in range(1000)]
    assert len(set(tickets)) == 1000
    assert all(0 < ticket < 2**63 for ticket in tickets)
    for ticket in tickets[::2]:
        door.leave(ticket)
    assert [reader.has_left(ticket) for ticket in tickets] == [True, False] * 500
    assert not any(reader.has_left(ticket + wanted.SLOTS) for ticket in tickets)  # it shares the slot


def test_a_later_one_takes_the_slot_and_the_file_never_grows_beyond_its_size(
    door: board.Board, reader: wanted.Board, tmp_path: Path
) -> None:
    first = door.next_ticket()
    last_slot = first + wanted.SLOTS - 1 - first % wanted.SLOTS
    door.leave(last_slot)
    assert reader.has_left(last_slot)
    door.leave(last_slot + wanted.SLOTS)
    assert (reader.has_left(last_slot), reader.has_left(last_slot + wanted.SLOTS)) == (False, True)
    assert (tmp_path / "board").stat().st_size == 8 * (1 + wanted.SLOTS)


def test_when_a_door_has_ended_its_callers_have_left(door: board.Board, reader: wanted.Board, tmp_path: Path) -> None:
    tickets = [door.next_ticket() for _ in range(100)]
    door.leave(tickets[7])
    assert not reader.has_left(tickets[8])
    following = board.Board(tmp_path / "board")
    assert all(reader.has_left(ticket) for ticket in tickets)
    assert not any(reader.has_left(following.next_ticket()) for _ in range(wanted.SLOTS))
    ticket = following.next_ticket()
    following.leave(ticket)
    following.close()
    assert reader.has_left(ticket)  # as backends see it that were loaded before


def test_a_board_that_no_door_has_written_on_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert not wanted.Board(str(tmp_path / "empty")).has_left(7)
    assert not wanted.Board(str(tmp_path / "deleted")).has_left(7)


def test_garbage_on_the_board_does_not_send_everybody_away(
    door: board.Board, reader: wanted.Board, tmp_path: Path
) -> None:
    (tmp_path / "board").write_bytes(b"\xa5" * 8 * (1 + wanted.SLOTS))
    assert not any(reader.has_left(door.next_ticket()) for _ in range(100))


def test_without_a_board_nobody_is_known_to_have_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(wanted.VARIABLE, raising=False)
    assert not wanted.open_board().has_left(7)


@pytest.mark.parametrize(
    ("parameters", "notes"),
    [
        ("", (None, None)),
        ("{}", (None, None)),
        ('{"partial": true}', (None, None)),
        ('{"infolens_ticket": 7, "infolens_deadline_us": 8}', (7, 8)),
        ('{"infolens_ticket": "7", "infolens_deadline_us": "8"}', (None, None)),
        ('{"infolens_ticket": -7, "infolens_deadline_us": -8}', (None, -8)),
        ('{"infolens_ticket": 9223372036854775808}', (None, None)),
    ],
)
def test_a_ticket_is_a_number_that_a_slot_can_hold(parameters: str, notes: tuple[int | None, int | None]) -> None:
    assert wanted.read_notes(parameters) == notes


def test_whose_caller_has_left_or_whose_time_is_up_is_unwanted(door: board.Board, reader: wanted.Board) -> None:
    callers = wanted.Callers(reader)
    gone, here = door.next_ticket(), door.next_ticket()
    door.leave(gone)
    now_us = int(1e6 * time.monotonic())
    late = {wanted.DEADLINE: now_us}
    assert why(callers, ticketed(gone)) == why(callers, ticketed(gone, **late)) == "CANCELLED"
    assert why(callers, ticketed(here, **late)) == why(callers, Request(late)) == "UNAVAILABLE"
    for more in ({}, {wanted.DEADLINE: now_us + 60_000_000}, {wanted.DEADLINE: "soon", "partial": True}):
        assert why(callers, ticketed(here, **more)) == why(callers, Request(more)) == ""


def test_triton_is_asked_only_about_requests_that_came_past_the_door(door: board.Board, reader: wanted.Board) -> None:
    asking, plain = wanted.Callers(reader, ask_triton=True), wanted.Callers(reader)
    one, other = Request(cancelled=True), ticketed(door.next_ticket())
    assert (why(asking, one), why(plain, one)) == ("CANCELLED", "")
    assert (why(asking, other), why(plain, other)) == ("", "")
    assert (one.asked, other.asked) == (1, 0)


@pytest.mark.parametrize("backend", [Detokenizer, Labels, OnnxRuntime, Tokenizer])
def test_every_backend_drops_what_nobody_waits_for(
    backend: type[Any], door: board.Board, reader: wanted.Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Sequence[Any]] = []

    def answer(requests: Sequence[Any]) -> list[Any]:
        begun.append(requests)
        return list(requests)

    model = backend()
    monkeypatch.setattr(model, "_callers", wanted.Callers(reader), raising=False)
    monkeypatch.setattr(model, "_answer", answer)
    requests = [ticketed(door.next_ticket()) for _ in range(4)]
    for request in requests[::2]:
        door.leave(request.given[wanted.TICKET])
    responses = model.execute(requests)
    assert begun == [requests[1::2]]
    assert responses[1::2] == requests[1::2]
    assert {(one.error.code, one.error.message) for one in responses[::2]} == {("CANCELLED", wanted.LEFT)}
    assert len(model.execute(requests[::2])) == 2
    assert len(begun) == 1, "a batch that nobody waits for was run"
