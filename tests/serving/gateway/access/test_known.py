"""The keys in memory: taken up, dropped, and kept while the store is away."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Collection
from io import BytesIO

import pytest

from serving.errors import KeysAwayError
from serving.gateway.access.known import KnownKeys
from serving.gateway.logs import open_log
from serving.gateway.refusals import Refusal, RefusedError
from serving.keys.records import KeyRecord, Role, digest_of
from serving.keys.store import Contents

PATIENCE_S = 30.0


class FakeStore:
    """Has the keys of a test, and can be away or slow."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.readings = 0
        self.used: list[set[int]] = []
        self.error: Exception | None = None
        self.closed = False
        self.threads: set[str] = set()
        self.answering = threading.Event()
        self.answering.set()

    def read(self, known_stamp: str | None = None) -> Contents | None:
        self.readings += 1
        self.threads.add(threading.current_thread().name)
        assert self.answering.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        stamp = ",".join(self.names)
        if stamp == known_stamp:
            return None
        return Contents(stamp=stamp, keys=tuple(record(name) for name in self.names))

    def note_used(self, ids: Collection[int]) -> None:
        if self.error is not None:
            raise self.error
        self.used.append(set(ids))

    def close(self) -> None:
        self.closed = True


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def record(name: str) -> KeyRecord:
    return KeyRecord(
        id=len(name), name=name, start="il_", digest=digest_of(name), role=Role.READ, current=True, created_s=0
    )


def known_keys(store: FakeStore, log: BytesIO | None = None, **more: float) -> tuple[KnownKeys, Clock]:
    clock = Clock()
    return KnownKeys(store, open_log(log or BytesIO()), now=clock, **more), clock


async def test_keys_are_known_before_anybody_asks_and_outside_of_the_event_loop() -> None:
    store = FakeStore("a", "bb")
    known, _ = known_keys(store)
    async with known.watching():
        found = known.get(digest_of("bb"))
        assert found is not None
        assert found.name == "bb"
        assert known.get(digest_of("c")) is None
        assert store.readings == 1, "no look-up of a request reads the store"
    assert store.closed
    assert threading.current_thread().name not in store.threads


async def test_an_unknown_key_has_the_store_read_by_a_reading_that_begins_later() -> None:
    store = FakeStore("a")
    known, _ = known_keys(store, every_s=3600)
    async with known.watching():
        store.answering.clear()
        first = asyncio.ensure_future(known.look_again())
        async with asyncio.timeout(PATIENCE_S):
            while store.readings < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        store.names.append("bb")
        second = [asyncio.ensure_future(known.look_again()) for _ in range(50)]
        store.answering.set()
        assert await first
        assert await asyncio.gather(*second) == [True] * 50
        assert known.get(digest_of("bb")) is not None
        assert store.readings == 3, "one for all who wait"


async def test_what_changes_in_the_store_is_taken_up_by_itself() -> None:
    store = FakeStore("a")
    known, _ = known_keys(store, every_s=0.01)
    async with known.watching(), asyncio.timeout(PATIENCE_S):
        store.names[:] = ["bb"]
        while known.get(digest_of("a")) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert known.get(digest_of("bb")) is not None


@pytest.mark.parametrize("error", [KeysAwayError("cannot be had now"), ZeroDivisionError()])
async def test_known_keys_go_on_for_a_time_while_the_store_is_away(error: Exception) -> None:
    store, log = FakeStore("a"), BytesIO()
    known, clock = known_keys(store, log, every_s=0.01, grace_s=600)
    async with known.watching():
        store.error = error
        assert not await known.look_again()
        assert known.away
        clock.now_s += 599
        assert known.get(digest_of("a")) is not None
        clock.now_s += 2
        with pytest.raises(RefusedError, match="cannot be looked up now") as told:
            known.get(digest_of("a"))
        assert told.value.kind is Refusal.AWAY
        store.error = None
        assert await known.look_again()
        assert known.get(digest_of("a")) is not None
        assert not known.away
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [one["event"] for one in lines] == ["keys away", "keys back"], "told once"
    assert lines[0]["error"] == type(error).__name__


async def test_a_store_that_does_not_answer_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore("a")
    known, _ = known_keys(store)
    async with known.watching():
        monkeypatch.setattr("serving.gateway.access.known._PATIENCE_S", 0.01)
        store.answering.clear()
        assert not await known.look_again()
        assert known.get(digest_of("a")) is not None
        store.answering.set()


async def test_the_store_is_told_which_keys_were_used() -> None:
    store = FakeStore("a", "bb")
    known, clock = known_keys(store, every_s=0.01)
    async with known.watching():
        for _ in range(3):
            known.note_used(record("bb"))
        assert await known.look_again()
        assert store.used == [], "not for each use"
        clock.now_s += 61
        async with asyncio.timeout(PATIENCE_S):
            while not store.used:
                await known.look_again()
        known.note_used(record("a"))
    assert store.used == [{2}, {1}], "the last ones at the end"


async def test_a_store_that_takes_no_notes_ends_nothing() -> None:
    store, log = FakeStore("a"), BytesIO()
    known, _ = known_keys(store, log)
    async with known.watching():
        store.error = KeysAwayError("it is read only")
        known.note_used(record("a"))
    assert [json.loads(line)["event"] for line in log.getvalue().splitlines()] == ["use of keys not kept"]
    assert store.closed


async def test_a_store_that_has_lost_all_its_keys_is_told_of() -> None:
    store, log = FakeStore("a"), BytesIO()
    known, _ = known_keys(store, log)
    async with known.watching():
        store.names.clear()
        await known.look_again()
        assert known.get(digest_of("a")) is None
    (told,) = map(json.loads, log.getvalue().splitlines())
    assert (told["event"], told["level"]) == ("keys gone", "error")
