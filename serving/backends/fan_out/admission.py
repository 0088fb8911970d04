"""Which requests run, wait or are refused, and how the branches of one are asked: the backend without Triton."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

EXPIRED = "Request timeout expired"
"""Triton's own words for a request whose time was up before it ran."""

log = logging.getLogger(__name__)


class BadInputError(ValueError):
    """The request breaks a rule; the message says which."""


class BusyError(Exception):
    """The request cannot be served in time; the message says how long it would have waited."""


class StoppingError(Exception):
    """The server stops, and takes no more requests."""


class CancelledError(Exception):
    """The caller has left."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A model that is asked, with its share of the inputs and outputs."""

    model: str
    task: str
    """What the model does, in the words of the output ``failed``."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameter: str = ""
    """The request parameter without which it is not asked; empty for one that needs none."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is taken on at once."""

    max_running: int = 16
    max_wait_s: float = 0.5
    max_waiting: int = 256


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outputs of the branches that answered."""

    outputs: tuple[Any, ...]
    failed: Mapping[str, Exception] | None = None
    """Why the others failed, by task; None where the call is not partial."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, as it came."""

    inputs: Mapping[str, Any]
    """By name; optional ones may be absent."""
    wanted: frozenset[str]
    """Names of the outputs that it asks for."""
    answer: Callable[[Answer | Exception], None]
    """Called once, in most cases from another thread, with the answer or the error that stands in its place."""
    partial: bool = False
    """Whether the other answers are given when a branch fails; otherwise its error is the answer."""
    timeout_s: float = 0.0
    """Time that its caller gives it; 0 is no limit."""
    ticket: int | None = None
    """By which its branches know whether its caller has left; None for one that came past the door."""
    is_cancelled: Callable[[], bool] = lambda: False
    trace: Any = None
    """Where its spans go; None for a request that is not traced."""
    came_s: float = field(default_factory=time.monotonic)
    """When it came, on the clock of its `FanOut`."""

    def left_s(self, now_s: float) -> float:
        """Seconds until its time is up, infinite without a limit."""
        return self.came_s + self.timeout_s - now_s if self.timeout_s else float("inf")


class FanOut:
    """Asks the branches of many requests at once.

    Args:
        branches: The models to ask.
        ask: Asks one branch, blocking: takes the branch, the call and the outputs that are wanted, and returns these
            outputs; raises why the branch failed.
        limits: How much is taken on at once.
        now: The clock, in seconds.
    """

    def __init__(
        self,
        branches: Sequence[Branch],
        ask: Callable[[Branch, Call, Sequence[str]], Sequence[Any]],
        limits: Limits,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._branches = branches
        self._ask = ask
        self._limits = limits
        self._now = now
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[Call] = deque()
        self._closed = False
        self._interval_s = 0.0
        """Seconds from one completed request to the next while many run: a moving average; 0 before the first."""
        # A thread for each branch of each request: none ever waits for a thread, so none of them can wait for ever.
        self._pool = ThreadPoolExecutor(limits.max_running * len(branches), thread_name_prefix="branch")

    def submit(self, call: Call) -> None:
        """Start one request, or let it wait. When this raises, ``call.answer`` is not called.

        Raises:
            BadInputError: It asks for no output of any branch.
            BusyError: It cannot be served in time.
            StoppingError: `close` was called.
            TimeoutError: Its time is up already.
        """
        if not any(call.wanted.intersection(branch.outputs) for branch in self._branches):
            raise BadInputError(
                f"a request asks for an output of at least one task, but this one asks for {sorted(call.wanted)}"
            )
        dropped: list[tuple[Call, Exception]] = []
        try:
            with self._lock:
                if self._closed:
                    raise _stopping()
                if len(self._waiting) >= self._limits.max_running:  # a new call may be refused for their sake
                    dropped = self._drop()
                self._admit(call)
                if self._running == self._limits.max_running:
                    self._waiting.append(call)
                    return
                self._running += 1
        finally:
            for one, error in dropped:
                _give(one, error)
        self._start(call)

    def close(self) -> None:
        """Refuse the requests that wait, and wait for those that run."""
        with self._lock:
            self._closed = True
            refused = list(self._waiting)
            self._waiting.clear()
        for call in refused:
            _give(call, _stopping())
        self._pool.shutdown()

    def _admit(self, call: Call) -> None:
        if call.left_s(self._now()) <= 0:
            raise TimeoutError(EXPIRED)
        waiting, limits = len(self._waiting), self._limits
        wait_s = (waiting + 1) * self._interval_s if self._running == limits.max_running else 0.0
        ahead = f"{self._running + waiting} requests are ahead"
        too_long = wait_s > limits.max_wait_s and waiting >= limits.max_running
        if too_long or waiting >= limits.max_waiting:
            raise BusyError(
                f"the server is busy: {ahead}, a wait of about {1e3 * wait_s:.0f} ms where at most "
                f"{1e3 * limits.max_wait_s:.0f} ms are allowed; try again later"
            )
        # A server that is idle takes anything: else one slow answer could bar all that follow.
        answer_s = (self._running + waiting + 1) * self._interval_s if self._running else 0.0
        if answer_s > call.left_s(self._now()):
            raise BusyError(
                f"the server is busy: {ahead}, an answer would take about {1e3 * answer_s:.0f} ms and the time-out is "
                f"{1e3 * call.timeout_s:.0f} ms; try again later, or allow more time"
            )

    def _start(self, call: Call) -> None:
        """Ask the branches of a call that has a place, and of those that get the place of one that ended at once."""
        following: Call | None = call
        while following is not None:
            following = self._begin(following)

    def _begin(self, call: Call) -> Call | None:
        """Ask the branches of a call; the last one to finish answers it and gives the place on.

        Returns:
            The call that has the place now, if this one ended before any branch was asked.
        """
        shares = [(branch, [name for name in branch.outputs if name in call.wanted]) for branch in self._branches]
        shares = [(branch, names) for branch, names in shares if names]
        results: dict[str, Sequence[Any] | Exception] = {}
        lock = threading.Lock()
        started_s, beside = self._now(), self._running

        def finish(branch: Branch, result: Sequence[Any] | Exception) -> Call | None:
            with lock:
                if branch.task in results:
                    return None
                results[branch.task] = result
                if len(results) < len(shares):
                    return None
            answer = _merge([(branch.task, results[branch.task]) for branch, _ in shares], partial=call.partial)
            usual = not any(branch.parameter for branch, _ in shares)  # others take far longer
            whole = usual and isinstance(answer, Answer) and not answer.failed
            return self._complete(call, answer, self._now() - started_s if whole else 0.0, beside)

        def run(branch: Branch, names: Sequence[str]) -> None:
            try:
                result: Sequence[Any] | Exception = tuple(self._ask(branch, call, names))
            except Exception as error:  # the answer of this branch, whatever it is
                result = error
            if following := finish(branch, result):
                self._start(following)

        following = None
        for branch, names in shares:
            try:
                self._pool.submit(run, branch, names)
            except RuntimeError as error:  # closed since the call was admitted, or the machine has no thread left
                following = finish(branch, _stopping() if self._closed else error) or following
        return following

    def _complete(self, call: Call, answer: Answer | Exception, took_s: float, beside: int) -> Call | None:
        """Answer a call, and give its place to the first one that waits and is still wanted, which is returned.

        The place is free before the answer goes out, so that a caller's next request finds it; nothing that goes wrong
        with one call touches another. ``took_s`` is how long a whole answer took, else 0: a failure may be quick.
        """
        with self._lock:
            if took_s:
                self._learn(took_s, beside)
            following, dropped = self._next()
            self._running -= following is None
        _give(call, answer)
        for one, error in dropped:
            _give(one, error)
        return following

    def _learn(self, took_s: float, beside: int) -> None:
        """By Little's law: where n requests run and each takes T seconds, one is completed every T / n seconds."""
        weight = 0.1 if self._interval_s else 1.0
        self._interval_s += weight * (took_s / max(beside, self._running) - self._interval_s)

    def _next(self) -> tuple[Call | None, list[tuple[Call, Exception]]]:
        """Take the first call out of the queue that is still wanted, and those before it, each with why it is not."""
        dropped: list[tuple[Call, Exception]] = []
        while self._waiting:
            call = self._waiting.popleft()
            error = self._unwanted(call)
            if error is None:
                return call, dropped
            dropped.append((call, error))
        return None, dropped

    def _drop(self) -> list[tuple[Call, Exception]]:
        """Take all calls out of the queue that nobody wants any more, each with why."""
        judged = [(call, self._unwanted(call)) for call in self._waiting]
        self._waiting = deque(call for call, error in judged if error is None)
        return [(call, error) for call, error in judged if error is not None]

    def _unwanted(self, call: Call) -> Exception | None:
        """What a call is answered with whose caller has left or whose time is up; None while it is wanted."""
        try:
            if call.is_cancelled():
                return CancelledError("the request was cancelled")
            return TimeoutError(EXPIRED) if call.left_s(self._now()) <= 0 else None
        except Exception as error:  # of this call alone
            return error


def _stopping() -> StoppingError:
    return StoppingError("the server stops and takes no more requests: send this one again once it has started")


def _give(call: Call, answer: Answer | Exception) -> None:
    """Answer a call. One that cannot be answered is logged: its place and the other calls must not be lost with it."""
    try:
        call.answer(answer)
    except Exception:
        log.exception("a request could not be answered")


def _merge(results: Sequence[tuple[str, Sequence[Any] | Exception]], *, partial: bool) -> Answer | Exception:
    """The answer of all branches: the first error, unless the call is partial and another branch has answered."""
    failed = {task: result for task, result in results if isinstance(result, Exception)}
    if failed and not (partial and len(failed) < len(results)):
        return next(iter(failed.values()))
    outputs = tuple(output for _, result in results if not isinstance(result, Exception) for output in result)
    return Answer(outputs=outputs, failed=failed if partial else None)
