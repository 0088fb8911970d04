"""While the database is away, fails or hangs: nothing that was acknowledged is lost, and nothing counts twice."""

from __future__ import annotations

import dataclasses
import errno
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from serving.errors import FeedbackAwayError, FeedbackError, SpoolFullError
from serving.feedback.spool import disk
from tests.serving.feedback.keeper.memory import (
    AWAY,
    PATIENCE_S,
    QUICK,
    Memory,
    keeping,
    prediction,
    segments,
    submission,
    until,
)


@pytest.fixture
def store() -> Memory:
    return Memory()


async def test_while_the_database_is_away_the_disk_keeps_all_in_its_order(store: Memory, tmp_path: Path) -> None:
    log = BytesIO()
    async with keeping(store, tmp_path, log) as keeper:
        old = prediction()
        await keeper.keep(old)
        store.failure = AWAY
        made, gone = prediction(), prediction()
        keeper.note(made)
        keeper.note(gone)
        said = [submission(made.id) for _ in range(3)]
        for one in said:
            receipt = await keeper.submit(one)
            assert (receipt.where, receipt.written) == ("spool", None)
        assert (await keeper.erase(gone.id)).where == "spool"
        standing = keeper.standing()
        assert (standing.away, standing.spooled_entries) == (True, 6)
        assert 0 < standing.spooled_bytes < standing.spool_limit_bytes
        assert await keeper.find(made.id) == made
        assert await keeper.said(made.id) == said
        assert await keeper.find(gone.id) is None
        with pytest.raises(FeedbackAwayError):
            await keeper.find(old.id)
        store.failure = None
        await until(lambda: not keeper.standing().spooled_entries)
        assert (await keeper.submit(submission(old.id))).where == "database"
        standing = keeper.standing()
        assert (standing.away, standing.spooled_bytes, standing.kept, standing.dropped) == (False, 0, 8, 0)
        assert await keeper.said(made.id) == said
    assert list(store.predictions) == [old.id, made.id]
    assert segments(tmp_path) == []
    assert log.getvalue().count(b"ratings away") == log.getvalue().count(b"ratings back") == 1


async def test_a_door_that_ends_leaves_the_next_one_what_the_database_did_not_take(
    store: Memory, tmp_path: Path
) -> None:
    store.failure = AWAY
    made = prediction()
    async with keeping(store, tmp_path) as keeper:
        keeper.note(made)
    assert not store.predictions
    assert len(segments(tmp_path)) == 1
    said = submission(made.id)
    async with keeping(store, tmp_path) as keeper:
        assert await keeper.find(made.id) == made
        assert (await keeper.submit(said)).where == "spool"
        store.failure = None
        await until(lambda: not keeper.standing().spooled_entries)
    assert (list(store.predictions), list(store.said)) == ([made.id], [said.token])


async def test_what_comes_waits_behind_what_the_disk_has(store: Memory, tmp_path: Path) -> None:
    store.failure = AWAY
    async with keeping(
        store, tmp_path, patience=dataclasses.replace(QUICK, retry_s=(PATIENCE_S, PATIENCE_S))
    ) as keeper:
        await until(lambda: keeper.salt)
        made = prediction()
        assert (await keeper.keep(made)).where == "spool"
        store.failure = None
        assert (await keeper.erase(made.id)).where == "spool", "in the database it would be too early"
    assert store.predictions == {}


async def test_a_commit_that_hangs_keeps_nobody_waiting_and_nothing_counts_twice(store: Memory, tmp_path: Path) -> None:
    async with keeping(store, tmp_path, patience=dataclasses.replace(QUICK, commit_s=0.01)) as keeper:
        await until(lambda: keeper.salt)
        store.go_on.clear()
        said = [submission("x" * 22) for _ in range(5)]
        assert [(await keeper.submit(one)).where for one in said] == ["spool"] * 5
        store.go_on.set()
        await until(lambda: not keeper.standing().spooled_entries)
        assert (keeper.standing().kept, keeper.standing().repeated) == (5, 1)
    assert list(store.said) == [one.token for one in said]


async def test_a_full_spool_refuses_ratings_after_predictions(store: Memory, tmp_path: Path) -> None:
    log = BytesIO()
    store.failure = AWAY
    async with keeping(store, tmp_path, log, spool_bytes=2**16) as keeper:
        for _ in range(1000):
            keeper.note(prediction())
        await until(lambda: not keeper.standing().queued)
        standing = keeper.standing()
        assert standing.dropped > 0
        assert standing.spooled_bytes <= 0.75 * 2**16
        assert standing.dropped + standing.spooled_entries == 1000
        taken = 0
        while keeper.standing().spooled_bytes < 2**16 - 1000:
            await keeper.submit(submission("x" * 22))
            taken += 1
        with pytest.raises(SpoolFullError, match=r"has its 65,536 bytes: try it again later"):
            await keeper.submit(submission("x" * 22, note="n" * 1000))
        assert taken > 10
        store.failure = None
        await until(lambda: not keeper.standing().spooled_entries)
        await keeper.submit(submission("x" * 22))
    assert len(store.said) == taken + 1
    assert log.getvalue().count(b"spool full") == 1


async def test_without_a_spool_what_the_database_does_not_take_is_refused(store: Memory) -> None:
    store.failure = AWAY
    async with keeping(store) as keeper:
        keeper.note(prediction())
        with pytest.raises(FeedbackAwayError, match="cannot be had now"):
            await keeper.submit(submission("x" * 22))
        assert keeper.standing().dropped == 1
        store.failure = None
        assert (await keeper.submit(submission("x" * 22))).where == "database"


async def test_a_disk_that_is_full_acknowledges_nothing_by_half(
    store: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, room = BytesIO(), [0]
    write = os.write

    def short(file: int, content: Any) -> int:
        """The kernel takes what there is room for, and then nothing."""
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        some = write(file, bytes(content)[: room[0]])
        room[0] -= some
        return some

    monkeypatch.setattr(disk.os, "write", short)
    store.failure = AWAY
    async with keeping(store, tmp_path, log) as keeper:
        said = submission("x" * 22)
        for room[0] in (0, 1, 100):
            with pytest.raises(SpoolFullError, match="No space left on device"):
                await keeper.submit(said)
        assert (keeper.standing().spooled_entries, keeper.standing().spooled_bytes) == (0, 0)
        room[0] = 600
        assert (await keeper.submit(said)).where == "spool"
        size = keeper.standing().spooled_bytes
        other = submission("y" * 22)
        with pytest.raises(SpoolFullError):
            await keeper.submit(other)
        assert segments(tmp_path) == [size]
        room[0] = 10**6
        await keeper.submit(other)
        store.failure = None
        await until(lambda: not keeper.standing().spooled_entries)
    assert list(store.said) == [said.token, other.token]
    assert log.getvalue().count(b"spool cannot be written") == 1


async def test_one_entry_that_the_database_never_takes_keeps_no_other_out(store: Memory, tmp_path: Path) -> None:
    log = BytesIO()
    bad, good = prediction(), [prediction() for _ in range(3)]
    store.poison.add(bad.id)
    store.failure = AWAY
    async with keeping(store, tmp_path, log) as keeper:
        for one in (good[0], bad, *good[1:]):
            keeper.note(one)
        await until(lambda: keeper.standing().spooled_entries == 4)
        store.failure = None
        await until(lambda: not keeper.standing().spooled_entries)
        assert keeper.standing().refused == 1
    assert list(store.predictions) == [one.id for one in good]
    assert b"feedback refused" in log.getvalue()


async def test_a_database_that_takes_nothing_at_all_loses_nothing(store: Memory, tmp_path: Path) -> None:
    """Such as one whose tables a later version has made: no entry is at fault."""
    store.failure = FeedbackError("the ratings are kept in a later version")
    async with keeping(store, tmp_path) as keeper:
        made = [prediction() for _ in range(300)]
        for one in made:
            keeper.note(one)
        await until(lambda: keeper.standing().spooled_entries == 300)
        store.failure = None
        await until(lambda: not keeper.standing().spooled_entries)
        assert keeper.standing().refused == 0
    assert list(store.predictions) == [one.id for one in made]
