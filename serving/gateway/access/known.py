"""The keys of the store in memory: a request looks there, and nothing but a clock has the store read."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, Self

from serving.errors import KeysError
from serving.gateway.refusals import Refusal, RefusedError
from serving.keys.records import KeyRecord

EVERY_S: Final = 2.0
"""How often the store is asked whether anything has changed, so that what was revoked opens nothing 5 s later."""
LEAST_S: Final = 0.25
"""How often it is asked at most, however many unknown keys come: one of them may have been made just now."""
GRACE_S: Final = 600.0
"""How long the keys that are known go on while the store is away: nobody can revoke one meanwhile."""
_PATIENCE_S: Final = 5.0
"""How long a request with an unknown key waits for the next reading."""
_NOTE_EVERY_S: Final = 60.0
"""How often the store is told which keys were used."""


class Contents(Protocol):
    """All keys of a store at a time."""

    @property
    def stamp(self) -> str:
        """Another one after each change."""
        ...

    @property
    def keys(self) -> Collection[KeyRecord]:
        """The keys."""
        ...


class Store(Protocol):
    """What is needed of the store; all of it may take long and raise `KeysError`."""

    def read(self, known_stamp: str | None = None) -> Contents | None:
        """All keys; None if nothing has changed since the reading of that stamp."""
        ...

    def note_used(self, ids: Collection[int]) -> None:
        """Keep that some keys were used."""
        ...

    def close(self) -> None:
        """Leave it."""
        ...


class KnownKeys:
    """The keys. It belongs to the event loop in which it is used; the store is asked in one thread beside it.

    Args:
        store: Where they are kept.
        log: The door's log.
        every_s: As `EVERY_S`.
        grace_s: As `GRACE_S`.
        now: A clock that only goes forward, in seconds.
    """

    def __init__(
        self,
        store: Store,
        log: Any,
        *,
        every_s: float = EVERY_S,
        grace_s: float = GRACE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._log = log
        self._every_s = every_s
        self._grace_s = grace_s
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keys")
        self._records: Mapping[bytes, KeyRecord] = {}
        self._stamp: str | None = None
        self._read_s = float("-inf")
        self._away = False
        self._used: set[int] = set()
        self._noted_s = now()
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def away(self) -> bool:
        """Whether the last reading of the store failed."""
        return self._away

    def get(self, digest: bytes) -> KeyRecord | None:
        """The key of a SHA-256, also one that opens nothing any more; None if it is not known.

        Raises:
            RefusedError: The store has been away for so long that no key counts (``AWAY``).
        """
        if self._now() - self._read_s > self._grace_s:
            raise RefusedError(Refusal.AWAY, "the keys cannot be looked up now: try again later", retry_after_s=10.0)
        record = self._records.get(digest)
        return record if record is not None and hmac.compare_digest(record.digest, digest) else None

    def note_used(self, record: KeyRecord) -> None:
        """Note that a key was used; the store is told within a minute or so."""
        self._used.add(record.id)

    async def look_again(self) -> bool:
        """Wait for a reading of the store that begins from now on; returns whether there was one."""
        self._wanted.set()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await asyncio.shield(self._next)
        except TimeoutError:
            return False
        return not self._away

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Self]:
        """Read the store again and again inside the block, the first time before it."""
        task = asyncio.create_task(self._watch())
        try:
            await self.look_again()
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self._tell_used()
            await self._in_thread(self._store.close)
            self._thread.shutdown(wait=False)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            reading, self._next = self._next, loop.create_future()
            self._wanted.clear()
            await self._read()
            reading.set_result(None)
            if self._now() - self._noted_s >= _NOTE_EVERY_S:
                await self._tell_used()
            await asyncio.sleep(min(LEAST_S, self._every_s))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._every_s - LEAST_S)):
                    await self._wanted.wait()

    async def _read(self) -> None:
        began_s = self._now()
        try:
            contents = await self._in_thread(self._store.read, self._stamp)
        except Exception as error:  # whatever it is, the keys that are known go on
            if not self._away:
                words = str(error) if isinstance(error, KeysError) else "the store cannot be read"
                self._log.error("keys away", error=type(error).__name__, words=words, grace_s=self._grace_s)
            self._away = True
            return
        self._read_s = began_s
        if contents is not None:
            if self._records and not contents.keys:  # a revoked key stays in its store, so this store is another one
                self._log.error("keys gone", words="the store has no keys any more: was it deleted, or emptied?")
            self._records = {one.digest: one for one in contents.keys}
            self._stamp = contents.stamp
        if self._away:
            self._log.info("keys back")
            self._away = False

    async def _tell_used(self) -> None:
        used, self._used, self._noted_s = self._used, set(), self._now()
        if used:
            try:
                await self._in_thread(self._store.note_used, used)
            except Exception as error:  # a note of less; the keys count as before
                self._log.warning("use of keys not kept", error=type(error).__name__)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
