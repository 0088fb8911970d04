"""How often and how many at once: the counts of each key, in the memory of this process.

Several doors that share a store each count for themselves, so together they let through as many times more.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final
from weakref import WeakValueDictionary

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from serving.gateway.refusals import Refusal, RefusedError

from .caller import Caller

_LEAST_WAIT_S: Final = 0.001
_PLACE_IN_S: Final = 1.0
"""When a caller with all places taken is told to come again: nobody knows when one is free."""


class _NoTimer(threading.Timer):
    """Stands where the storage has its timer, which it starts anew unless it is alive."""

    def __init__(self) -> None:
        super().__init__(0.0, lambda: None)

    def is_alive(self) -> bool:
        """Whether it need not be started."""
        return True


class _Memory(MemoryStorage):
    """The library's storage in memory without the thread that it starts for a request: 0.4 ms of CPU each time."""

    def __init__(self) -> None:
        super().__init__()
        self.timer.cancel()
        self.timer = _NoTimer()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """As the library's; what the thread would have thrown away goes here, entries that nobody looks at again."""
        taken = super().acquire_entry(key, limit, expiry, amount)
        del self.events.get(key, [])[limit:]
        return taken


class Rates:
    """The inferences of each key in the last minute. It belongs to the event loop in which it is used."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(_Memory())
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, caller: Caller, count: int = 1, wait_until_s: float | None = None) -> None:
        """Take inferences of a key's minute.

        Args:
            caller: Whose.
            count: How many.
            wait_until_s: Until when to wait for them, on the clock of the event loop; infinity for as long as it takes,
                None for not at all. Those who wait are served in the order in which they came.

        Raises:
            RefusedError: They cannot be had in that time (``LIMITED``).
        """
        if wait_until_s is None:
            self.take_now(caller, count)
            return
        queue = self._queues.setdefault(caller.name, asyncio.Lock())
        if not queue.locked() and self._wait_s(caller, count) <= 0:
            return
        async with queue:
            while (wait_s := self._wait_s(caller, count)) > 0:
                if asyncio.get_running_loop().time() + wait_s > wait_until_s:
                    raise _too_often(caller, wait_s)
                await asyncio.sleep(wait_s)

    def take_now(self, caller: Caller, count: int = 1) -> None:
        """Take inferences of a key's minute, or be refused."""
        if (wait_s := self._wait_s(caller, count)) > 0:
            raise _too_often(caller, wait_s)

    def _wait_s(self, caller: Caller, count: int) -> float:
        """0 if they were taken, else in how many seconds to try again."""
        if caller.rate_per_minute is None:
            return 0.0
        if count > caller.rate_per_minute:
            raise RefusedError(
                Refusal.LIMITED,
                f"the key '{caller.name}' may ask {caller.rate_per_minute} times a minute, and this asks {count} times "
                "at once: send fewer together",
            )
        item = _per_minute(caller.rate_per_minute)
        if self._limiter.hit(item, caller.name, cost=count):
            return 0.0
        return max(_LEAST_WAIT_S, self._limiter.get_window_stats(item, caller.name).reset_time - time.time())


class Places:
    """The requests that each key has under way."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    @contextmanager
    def held(self, caller: Caller) -> Iterator[None]:
        """Hold one place inside the block.

        Raises:
            RefusedError: All places of the key are taken (``LIMITED``).
        """
        if caller.concurrency is not None and self._taken[caller.name] >= caller.concurrency:
            raise RefusedError(
                Refusal.LIMITED,
                f"the key '{caller.name}' may have {caller.concurrency} requests under way, and has so many: wait for "
                "an answer before the next one",
                retry_after_s=_PLACE_IN_S,
            )
        self._taken[caller.name] += 1
        try:
            yield
        finally:
            self._taken[caller.name] -= 1
            if not self._taken[caller.name]:
                del self._taken[caller.name]


@lru_cache(maxsize=1024)
def _per_minute(count: int) -> RateLimitItem:
    return RateLimitItemPerMinute(count)


def _too_often(caller: Caller, wait_s: float) -> RefusedError:
    return RefusedError(
        Refusal.LIMITED,
        f"the key '{caller.name}' may ask {caller.rate_per_minute} times a minute, and has: ask again in "
        f"{wait_s:.3g} s",
        retry_after_s=wait_s,
    )
