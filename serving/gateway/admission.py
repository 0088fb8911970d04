"""The waiting room: which requests run, which wait and which are refused, for both doors alike.

The algorithm is that of the ``fan_out`` backend, which stays behind it as a backstop: as many requests run as keep the
models busy; others wait, and how long is known from the pace of the last answers; one that would wait too long is
refused at once. What differs is that requests for a single task pass here too. So every branch (the ensemble of one
task) has places of its own: a request for all tasks takes one in each, one for a single task takes one in that branch
and leaves the others free. A request runs when all its branches have a free place for which nobody waits who came
before it: nobody overtakes at a branch, and nobody waits for a branch that they do not ask. A request whose caller has
left keeps its places for as long as the models are busy with it: they are not free for others before.

A branch whose requests are much work, such as evidence, has fewer places (`RoomLimits.places`). A request for it that
finds none is refused at once: were it to wait, all would wait behind it who ask only for what is quickly answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from .configuration import RoomLimits
from .edge.tracing import part
from .refusals import Refusal, RefusedError, expired


@dataclass(kw_only=True, slots=True)
class _Branch:
    """The places of one branch."""

    running: int = 0
    waiting: int = 0
    interval_s: float = 0.0
    """Seconds from one completed request to the next while many run: a moving average; 0 before the first."""


@dataclass(kw_only=True, slots=True, eq=False)
class _Waiter:
    """A request that waits."""

    branches: Collection[str]
    until_s: float
    """When its time is up, on the clock of the room."""
    turn: asyncio.Future[None] = field(repr=False)


class Place:
    """What a request holds while it runs: a place in each of its branches."""

    def __init__(self) -> None:
        self._kept_for: asyncio.Future[Any] | None = None

    def keep_until(self, done: asyncio.Future[Any]) -> None:
        """Keep the places until something is done, although the request itself ends before."""
        self._kept_for = done

    @property
    def kept_for(self) -> asyncio.Future[Any] | None:
        """What they are kept for, if it is not done."""
        return None if self._kept_for is None or self._kept_for.done() else self._kept_for


class WaitingRoom:
    """One room for all requests. It belongs to the event loop in which it is used.

    Args:
        limits: How much is taken on at once.
        now: The clock, in seconds.
        on_refusal: Called with the reason (one of `REASONS`) for each request that is refused.

    Attributes:
        closing: Set once it takes no more requests.
        places: How many requests may run in one branch at the same time.
    """

    REASONS = ("wait_too_long", "time_too_short", "room_full", "branch_full", "time_is_up", "stopping")

    def __init__(
        self,
        limits: RoomLimits,
        *,
        now: Callable[[], float] = time.monotonic,
        on_refusal: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._limits, self.places = limits, limits.max_running
        self._now = now
        self._on_refusal = on_refusal
        self._branches: dict[str, _Branch] = {}
        self._waiting: dict[_Waiter, None] = {}  # in the order in which they came
        self._running = 0
        self._kept = 0
        self.closing = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether the server stops."""
        return self.closing.is_set()

    @property
    def running(self) -> int:
        """Requests that have their places."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that wait for theirs."""
        return len(self._waiting)

    @property
    def kept(self) -> int:
        """Requests whose callers have left and whose places are not free yet: `Place.keep_until`."""
        return self._kept

    @asynccontextmanager
    async def enter(self, branches: Collection[str], deadline_s: float | None = None) -> AsyncIterator[Place]:
        """Hold one place in each branch inside the block; waits for them if need be.

        Args:
            branches: What the request asks; an entry for each ensemble or model that it reaches first.
            deadline_s: The time that its caller gives it from now on, in seconds; None is no limit.

        Raises:
            RefusedError: It cannot be served in time (``BUSY``), or its time is up (``LATE``).
        """
        came_s = self._now()
        until_s = float("inf") if deadline_s is None else came_s + deadline_s
        mine = [self._branches.setdefault(name, _Branch()) for name in branches]
        usual = self._limits.places.keys().isdisjoint(branches)  # what takes long says nothing of the pace of others
        self._admit(branches, came_s, until_s)
        if self._has_places(branches):
            self._take(branches)
        else:
            with part("waiting"):
                await self._wait(branches, until_s)
        started_s, beside = self._now(), [branch.running for branch in mine]
        place, whole = Place(), False
        try:
            yield place
            whole = True
        finally:
            self._running -= 1
            took_s = self._now() - started_s
            if whole and usual:  # a failure may be quick
                for branch, count in zip(mine, beside, strict=True):
                    _learn(branch, took_s, count)
            if (kept_for := place.kept_for) is None:
                self._free(mine)
            else:
                self._kept += 1
                kept_for.add_done_callback(lambda _: self._free(mine, kept=1))

    def close(self) -> None:
        """Refuse the requests that wait and all that come; those that run keep their places."""
        self.closing.set()
        for waiter in tuple(self._waiting):
            self._leave(waiter)
            if not waiter.turn.done():
                waiter.turn.set_exception(self._refused("stopping"))

    def _admit(self, branches: Collection[str], now_s: float, until_s: float) -> None:
        """Refuse a request that cannot be served in time."""
        if self.closed:
            raise self._refused("stopping")
        left_s, limits = until_s - now_s, self._limits
        if left_s <= 0:
            raise self._refused("time_is_up")
        for name in branches:
            ahead = self._branches[name].running + self._branches[name].waiting
            if ahead >= (most := limits.places.get(name, ahead + 1)):
                words = f"the server is busy: {ahead} requests for {name} are ahead, and no more than {most} may be"
                raise self._refused("branch_full", f"{words}; try again later, or leave {name} out", 1.0)
        if len(self._waiting) >= limits.max_running or len(self._waiting) >= limits.max_waiting:
            self._drop(now_s)
        slowest = max((self._branches[name] for name in branches), key=lambda one: (one.waiting + 1) * one.interval_s)
        full = not self._has_places(branches)
        wait_s = (slowest.waiting + 1) * slowest.interval_s if full else 0.0
        crowd = f"{slowest.running + slowest.waiting} requests are ahead"
        if wait_s > limits.max_wait_s and slowest.waiting >= limits.max_running:
            raise self._refused(
                "wait_too_long",
                f"the server is busy: {crowd}, a wait of about {1e3 * wait_s:.0f} ms where at most "
                f"{1e3 * limits.max_wait_s:.0f} ms are allowed; try again later",
                wait_s,
            )
        if len(self._waiting) >= limits.max_waiting and full:
            raise self._refused(
                "room_full",
                f"the server is busy: {len(self._waiting)} requests wait, and no more than {limits.max_waiting} may; "
                "try again later",
                wait_s,
            )
        # A server that is idle takes anything: else one slow answer could bar all that follow.
        ahead_of_it = slowest.running + slowest.waiting
        answer_s = (ahead_of_it + 1) * slowest.interval_s if ahead_of_it else 0.0
        if answer_s > left_s >= slowest.interval_s:
            raise self._refused(
                "time_too_short",
                f"the server is busy: {crowd}, an answer would take about {1e3 * answer_s:.0f} ms and the time-out is "
                f"{_milliseconds(left_s)} ms; try again later, or allow more time",
                wait_s,
            )
        if answer_s > left_s:  # and so it would be with nobody ahead
            raise self._refused("time_is_up")

    async def _wait(self, branches: Collection[str], until_s: float) -> None:
        """Wait until the places are taken for this request."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(branches=branches, until_s=until_s, turn=loop.create_future())
        self._waiting[waiter] = None
        for name in branches:
            self._branches[name].waiting += 1
        try:
            left_s = until_s - self._now()
            async with asyncio.timeout(None if left_s == float("inf") else left_s):
                await waiter.turn
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiter in self._waiting:
                self._leave(waiter)
                self._call_next()  # those behind may have waited for this one alone
            elif waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self._give_back(branches)  # its turn came in the very moment in which it left
            if isinstance(error, TimeoutError):
                raise self._refused("time_is_up") from None
            raise

    def _has_places(self, branches: Collection[str]) -> bool:
        states = [self._branches[name] for name in branches]
        return all(one.running < self._limits.max_running and not one.waiting for one in states)

    def _take(self, branches: Collection[str]) -> None:
        self._running += 1
        for name in branches:
            self._branches[name].running += 1

    def _free(self, branches: Collection[_Branch], kept: int = 0) -> None:
        self._kept -= kept
        for branch in branches:
            branch.running -= 1
        self._call_next()

    def _give_back(self, branches: Collection[str]) -> None:
        self._running -= 1
        for name in branches:
            self._branches[name].running -= 1
        self._call_next()

    def _leave(self, waiter: _Waiter) -> None:
        del self._waiting[waiter]
        for name in waiter.branches:
            self._branches[name].waiting -= 1

    def _drop(self, now_s: float) -> None:
        """Take out those whose time is up; those whose caller has left have taken themselves out."""
        for waiter in tuple(self._waiting):
            if waiter.until_s <= now_s:
                self._leave(waiter)
                if not waiter.turn.done():
                    waiter.turn.set_exception(self._refused("time_is_up"))

    def _call_next(self) -> None:
        """Give free places to those that wait, in the order in which they came."""
        self._drop(self._now())
        taken: set[str] = set()  # branches at which somebody waits who came before
        for waiter in tuple(self._waiting):
            if waiter.turn.done():  # its caller has left, and it has not yet heard of that itself
                self._leave(waiter)
                continue
            free = all(self._branches[name].running < self._limits.max_running for name in waiter.branches)
            if free and taken.isdisjoint(waiter.branches):
                self._leave(waiter)
                self._take(waiter.branches)
                waiter.turn.set_result(None)
                continue
            taken.update(waiter.branches)
            if len(taken) == len(self._branches):
                return

    def _refused(self, reason: str, words: str = "", retry_after_s: float | None = None) -> RefusedError:
        self._on_refusal(reason)
        if reason == "stopping":
            words = "the server stops and takes no more requests: send this one again once it has started"
            return RefusedError(Refusal.AWAY, words, retry_after_s=1.0)
        if reason == "time_is_up":
            return expired()
        return RefusedError(Refusal.BUSY, words, retry_after_s=retry_after_s)


def _learn(branch: _Branch, took_s: float, beside: int) -> None:
    """By Little's law: where n requests run and each takes T seconds, one is completed every T / n seconds."""
    weight = 0.1 if branch.interval_s else 1.0
    branch.interval_s += weight * (took_s / max(beside, branch.running) - branch.interval_s)


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f}" if seconds >= 1e-3 else f"{1e3 * seconds:.3g}"
