"""Whether anybody still waits for an answer: what each backend asks before it begins with a request.

A request that came through the door has two parameters, which ensembles and ``fan_out`` hand on:

* ``infolens_deadline_us``: until when its answer is of use, in microseconds of ``CLOCK_MONOTONIC``.
* ``infolens_ticket``: its number. Once its caller has left, that number stands on the board, the file that the
  environment variable ``INFOLENS_BOARD`` names. It has numbers of 8 bytes: first where the tickets of the door begin
  that now runs (those below are of a door that has ended), then `SLOTS` tickets, each in the slot that is its
  remainder.

The server lays a copy of this file into the folder of every backend.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import triton_python_backend_utils as pb_utils

DEADLINE = "infolens_deadline_us"
TICKET = "infolens_ticket"
VARIABLE = "INFOLENS_BOARD"
SLOTS = 65_536
LEFT = "the request was cancelled"
EXPIRED = "Request timeout expired"
"""Triton's own words for a request whose time was up before it ran."""


class UnwantedError(Exception):
    """Nobody waits for the answer any more.

    Args:
        message: Why.
        code: The name of Triton's code for it.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Board:
    """Where it stands which callers have left.

    Args:
        path: The file; where it is empty or there is no such file, nothing is known of anybody.
    """

    def __init__(self, path: str = "") -> None:
        self._file = -1
        # A model that is loaded again after somebody has deleted the file answers all the same.
        with contextlib.suppress(FileNotFoundError):
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path else -1

    def has_left(self, ticket: int) -> bool:
        """Whether the caller of the request with this ticket has left."""
        if self._file < 0:
            return False
        first = self._number(0)
        # A door begins with the time at its start: a number of the future is garbage, by which everybody had left.
        return ticket < first <= time.monotonic_ns() or ticket == self._number(1 + ticket % SLOTS)

    def _number(self, index: int) -> int:
        return int.from_bytes(os.pread(self._file, 8, 8 * index), "little")


def open_board() -> Board:
    """The board of this server."""
    return Board(os.environ.get(VARIABLE, ""))


def read_notes(parameters: str) -> tuple[int | None, int | None]:
    """Ticket and deadline (in microseconds) of a request, each None where it has none that can be one.

    Args:
        parameters: The request's parameters as a JSON object; empty when it has none.
    """
    given = json.loads(parameters) if "infolens_" in parameters else {}
    ticket, deadline_us = given.get(TICKET), given.get(DEADLINE)
    return (
        ticket if isinstance(ticket, int) and 0 < ticket < 2**63 else None,
        deadline_us if isinstance(deadline_us, int) else None,
    )


class Callers:
    """Those who wait for the answers of a backend.

    Args:
        board: Where it stands who has left.
        ask_triton: Whether Triton is asked about a request that has no ticket, which costs two switches of process.
    """

    def __init__(self, board: Board, *, ask_triton: bool = False) -> None:
        self._board = board
        self._ask_triton = ask_triton

    def answer(self, requests: Sequence[Any], answer: Callable[[Sequence[Any]], Sequence[Any]]) -> list[Any]:
        """Answer a batch, and refuse those requests of it for which nobody waits.

        Args:
            requests: The requests as Triton hands them over.
            answer: Makes the responses of the others, in order; not called when there are none.

        Returns:
            A response for each request, in order.
        """
        refusals = [self.why_unwanted(request) for request in requests]
        wanted = list(compress(requests, [refusal is None for refusal in refusals]))
        responses = iter(answer(wanted) if wanted else ())
        return [next(responses) if refusal is None else _refusal(refusal) for refusal in refusals]

    def why_unwanted(self, request: Any) -> UnwantedError | None:
        """Why nobody waits for the answer to a request; None while somebody does."""
        ticket, deadline_us = read_notes(request.parameters())
        past_the_door = ticket is None and self._ask_triton
        if request.is_cancelled() if past_the_door else ticket is not None and self._board.has_left(ticket):
            return UnwantedError(LEFT, "CANCELLED")
        if deadline_us is not None and 1e6 * time.monotonic() >= deadline_us:
            return UnwantedError(EXPIRED, "UNAVAILABLE")  # Triton's own code too
        return None


def _refusal(reason: UnwantedError) -> Any:
    code = getattr(pb_utils.TritonError, reason.code)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(reason), code))
