"""Asks Triton for inferences, ends those that it will never answer, and tells the models whose callers have left.

When a model's process dies, Triton starts a new one on the supervisor's demand, and forgets the requests that the old
one had: whoever waits for one of them waits until their own time is up. The supervisor tells of each death in its
verdict, so the calls that pass through such a model are ended here, and their callers can ask again.

When a caller leaves, the models are told by the `Board` and drop what they have not begun. The call to Triton goes on
meanwhile, without its caller: its end is the only sign that the models are free, so the request keeps its places in the
waiting room until then. Were the call cancelled at once, its places would go to others for whom no model is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol

from serving.gateway.admission import Place
from serving.gateway.catalogue import Catalogue
from serving.gateway.refusals import Refusal, RefusedError
from serving.gateway.verdict import ModelVerdict, VerdictFile

from .board import Board
from .told import told

LOOK_EVERY_S: Final = 0.2
"""How often the verdict is read while calls are under way."""
KEEP_S: Final = 60.0
"""How long a call may go on without its caller; then it is cancelled in Triton too, and its places are free."""


class Upstream(Protocol):
    """What is needed of the channel to Triton."""

    async def infer(self, request: bytes, timeout_s: float | None = None, *, trailers: Any = None) -> bytes:
        """Ask for an inference; raises `RefusedError`."""
        ...


@dataclass(kw_only=True, slots=True, eq=False)
class _Running:
    """A call under way."""

    through: frozenset[str]
    """The models that it passes through."""
    work: asyncio.Task[bytes]
    """What asks Triton; it outlives the caller."""
    died: str = ""
    """The model of which a process has died meanwhile."""


class Inferences:
    """The inferences of both doors. It belongs to the event loop in which it is used.

    Args:
        upstream: The channel to Triton.
        verdicts: The supervisor's file.
        catalogue: The models; it is told when Triton does not answer.
        board: Where the models read who has left.
    """

    def __init__(self, upstream: Upstream, verdicts: VerdictFile, catalogue: Catalogue, board: Board) -> None:
        self._upstream = upstream
        self._board = board
        self._verdicts = verdicts
        self._catalogue = catalogue
        self._running: set[_Running] = set()
        self._died_at_s: dict[str, float | None] = {}
        self._next_look: asyncio.TimerHandle | None = None

    async def infer(
        self,
        request: bytes,
        model: str,
        branches: Collection[str],
        timeout_s: float | None = None,
        *,
        place: Place | None = None,
        trailers: Any = None,
    ) -> bytes:
        """Ask for an inference.

        Args:
            request: A ``ModelInferRequest``, serialised.
            model: The model that it is for.
            branches: The branches of it that are asked, as `Branches.asked` tells them.
            timeout_s: As in `serving.gateway.upstream.Upstream.infer`, and so the rest.
            place: The places of the request, kept until the models are done with it even if its caller leaves; without
                them the call is cancelled in Triton as its caller leaves.
            trailers: The trailing metadata of the answer is added to this list.

        Returns:
            A ``ModelInferResponse``, serialised.

        Raises:
            RefusedError: Why not; ``AWAY`` if a model that the call passes through has died meanwhile.
        """
        self.look()  # a death of before is none of this call's
        through = self._catalogue.reached_from(branches) | {model}  # not all that the model could reach
        ticket = self._board.next_ticket()
        message = told(request, ticket, timeout_s)
        work = asyncio.ensure_future(self._upstream.infer(message, timeout_s, trailers=trailers))
        running = _Running(through=through, work=work)
        self._running.add(running)
        work.add_done_callback(lambda _: self._running.discard(running))
        self._look_later()
        try:
            await asyncio.wait((work,))
        except asyncio.CancelledError:
            self._leave(ticket, work, place)
            raise
        if running.died and work.cancelled():
            self._catalogue.doubt()
            words = f"the model '{running.died}' was restarted while it computed this: send the request again"
            raise RefusedError(Refusal.AWAY, words, retry_after_s=1.0)
        try:
            return work.result()
        except RefusedError as error:
            if error.kind is Refusal.AWAY:
                self._catalogue.doubt()
            raise

    def look(self) -> None:
        """Read the verdict, and end the calls that pass through a model that has died since it was last read."""
        models = self._verdicts.read().models
        dead = {name for name, one in models.items() if self._has_died(name, one)}
        # A file that cannot be read just now names no models: what it said before still counts.
        self._died_at_s |= {name: one.died_at_s for name, one in models.items()}
        if not dead:
            return
        for running in tuple(self._running):
            if mine := dead & running.through:
                running.died = min(mine)
                running.work.cancel()
                self._running.discard(running)

    def close(self) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()

    def _leave(self, ticket: int, work: asyncio.Task[bytes], place: Place | None) -> None:
        """Have the models drop what they have not begun of a request whose caller has left."""
        self._board.leave(ticket)
        work.add_done_callback(_hear)
        if place is None:
            work.cancel()
        elif not work.done():
            place.keep_until(work)
            end = asyncio.get_running_loop().call_later(KEEP_S, work.cancel)
            work.add_done_callback(lambda _: end.cancel())

    def _has_died(self, name: str, now: ModelVerdict) -> bool:
        # By the change and not by the time of day, which somebody may set; a first sight is no change.
        before = self._died_at_s.get(name, now.died_at_s)
        return now.died_at_s is not None and now.died_at_s != before

    def _look_later(self) -> None:
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look_again)

    def _look_again(self) -> None:
        self._next_look = None
        self.look()
        if self._running:
            self._look_later()


def _hear(work: asyncio.Task[bytes]) -> None:
    """Take note of how a call ended that has no caller: asyncio complains of errors that nobody hears of."""
    if not work.cancelled():
        work.exception()
