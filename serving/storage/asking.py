"""Asks a store in threads: no caller waits for long, whatever the store does, and its failures are told once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, Protocol, TypeVar

from serving.errors import ServingError

from .kept import Kept

PATIENCE_S: Final = 5.0
"""How long a caller waits for a store; the first time its library is loaded too."""
MAX_WAITING: Final = 64
"""So many calls to one store may be under way or wait."""
_AWAY_PATIENCE_S: Final = 0.5
"""How long a caller waits while the store is known to fail."""
_THREADS: Final = 2


class Closes(Protocol):
    """A store that can be left."""

    def close(self) -> None:
        """Leave it."""
        ...


_S = TypeVar("_S", bound=Closes)
_T = TypeVar("_T")


class Health:
    """Whether a store answers. The log has the first failure in a row, and the first success after it.

    Args:
        kept: What is kept there.
        log: The door's log.

    Attributes:
        away: Whether the last call failed.
    """

    def __init__(self, kept: Kept, log: Any) -> None:
        self.away = False
        self._kept = kept
        self._log = log
        self._lock = threading.Lock()

    def fell(self, error: Exception) -> None:
        """A call failed."""
        with self._lock:
            first, self.away = not self.away, True
        if first:
            words = str(error) if isinstance(error, self._kept.error) else "the store failed"
            self._log.error(f"{self._kept.what} away", error=type(error).__name__, words=words)

    def answered(self) -> None:
        """A call was answered."""
        if not self.away:
            return
        with self._lock:
            first, self.away = self.away, False
        if first:
            self._log.info(f"{self._kept.what} back")


class Asker(Generic[_S]):
    """Asks one store. It belongs to the event loop in which it is used; the store is asked in threads beside it.

    Args:
        opens: Opens the store; called in a thread when it is first needed, since its library takes time to load.
        kept: What is kept there; it names the errors.
        log: The door's log.
        patience_s: As `PATIENCE_S`.
        refusals: Errors that are about what was asked, and say nothing about the store.
    """

    def __init__(
        self,
        opens: Callable[[], _S],
        kept: Kept,
        log: Any,
        *,
        patience_s: float = PATIENCE_S,
        refusals: tuple[type[ServingError], ...] = (),
    ) -> None:
        self.health = Health(kept, log)
        self._opens = opens
        self._kept = kept
        self._patience_s = patience_s
        self._refusals = refusals
        self._store: _S | None = None
        self._lock = threading.Lock()
        self._under_way = 0
        self._closing = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=kept.what)
        self._waiting = 0

    def patience(self, within_s: float | None = None) -> float:
        """How long a caller waits now, who has `within_s` at most."""
        patience_s = min(self._patience_s, _AWAY_PATIENCE_S) if self.health.away else self._patience_s
        return patience_s if within_s is None else min(patience_s, within_s)

    async def ask(self, work: Callable[[_S], _T], within_s: float | None) -> _T:
        """Have something done by the store in a thread.

        Args:
            work: It; what it returns is returned.
            within_s: How long it may take; None for as long as it takes.

        Raises:
            ServingError: It failed, or took too long: the errors of what is kept.
        """
        if within_s is not None and within_s <= 0:
            raise self._kept.away("no time was left for it")
        if self._waiting >= MAX_WAITING:
            raise self._kept.away(f"{self._waiting} calls to the store of the {self._kept.what} are under way")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, self.do, work)
        future.add_done_callback(self._is_over)
        try:
            async with asyncio.timeout(within_s):
                found = await future
        except TimeoutError:
            words = f"the store of the {self._kept.what} did not answer within {within_s:g} s"
            self.health.fell(self._kept.away(words))
            raise self._kept.away("the store did not answer in time") from None
        except self._refusals:
            raise
        except self._kept.error as error:
            self.health.fell(error)
            raise
        except Exception as error:  # whatever it is, an answer goes on without it
            self.health.fell(error)
            raise self._kept.error("the store failed") from None
        self.health.answered()
        return found

    def do(self, work: Callable[[_S], _T]) -> _T:
        """Have something done by the store in this thread; its errors are told nobody."""
        with self._lock:
            if self._closing:
                raise self._kept.away(f"the store of the {self._kept.what} is being left")
            if self._store is None:
                self._store = self._opens()
            store = self._store
            self._under_way += 1
        try:
            return work(store)
        finally:
            if self._is_last():
                store.close()

    def close(self) -> None:
        """Leave the store, once what it does now is done; nobody waits for that."""
        with self._lock:
            self._closing = True
            idle = not self._under_way
        if self._store is not None and idle:
            self._threads.submit(self._store.close)
        self._threads.shutdown(wait=False)

    def _is_last(self) -> bool:
        """Something is done; returns whether nothing will be done after it."""
        with self._lock:
            self._under_way -= 1
            return self._closing and not self._under_way

    def _is_over(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # told already, or of one who has left
