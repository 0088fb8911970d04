"""Keys in a real PostgreSQL: what several servers share, and what happens when it is away."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from serving.errors import KeyNameError, KeysAwayError, KeysError
from serving.gateway.access.known import KnownKeys
from serving.gateway.logs import open_log
from serving.gateway.refusals import RefusedError
from serving.keys.command import main
from serving.keys.location import VARIABLE, read_url
from serving.keys.records import KeyState, Role, digest_of, looks_like_key
from serving.keys.store import KeyStore
from tests.serving.keys.postgres import Postgres

pytestmark = pytest.mark.system
PATIENCE_S = 60.0


@pytest.fixture
def database(postgresql: Postgres) -> Postgres:
    """The server without any keys."""
    postgresql.sql("DROP TABLE IF EXISTS infolens_keys, infolens_keys_about")
    return postgresql


@pytest.fixture
def store(database: Postgres, tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore(read_url(database.url(), tmp_path))
    yield store
    store.close()


def test_a_key_lives_as_in_a_file(store: KeyStore) -> None:
    empty = store.read()
    assert empty is not None
    assert empty.keys == ()
    key, record = store.create("newsroom", Role.READ, rate_per_minute=60, expires_days=2)
    with pytest.raises(KeyNameError):
        store.create("newsroom", Role.READ)
    before = store.read(empty.stamp)
    assert before is not None
    assert before.keys == (record,)
    assert record.digest == digest_of(key)
    store.note_used([record.id])
    assert store.read(before.stamp) is None
    store.rotate("newsroom", grace_s=60)
    after = store.read(before.stamp)
    assert after is not None
    now_s = record.created_s
    assert [one.state(now_s) for one in after.keys] == [KeyState.REPLACED, KeyState.VALID]
    assert after.keys[0].last_used_s is not None
    assert len(store.revoke("newsroom")) == 2
    store.create("newsroom", Role.ADMIN)


def test_of_many_who_make_one_key_at_once_one_does(database: Postgres, tmp_path: Path) -> None:
    """They make the tables at once too."""
    made, refused, others = [], [], []
    begin = threading.Barrier(6)

    def create() -> None:
        store = KeyStore(read_url(database.url(), tmp_path))
        begin.wait()
        try:
            made.append(store.create("newsroom", Role.READ))
        except KeysError as error:
            refused.append(error)
        except Exception as error:
            others.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused), others) == (1, 5, [])


def test_who_may_only_read_can_serve_and_makes_nothing(database: Postgres, store: KeyStore, tmp_path: Path) -> None:
    store.create("newsroom", Role.READ)
    database.sql("DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    database.sql("GRANT SELECT ON infolens_keys, infolens_keys_about TO reader")
    reader = KeyStore(read_url(database.url("reader"), tmp_path))
    contents = reader.read()
    assert contents is not None
    assert [one.name for one in contents.keys] == ["newsroom"]
    with pytest.raises(KeysError, match="permission denied for table infolens_keys"):
        reader.revoke("newsroom")
    reader.close()


def test_the_command_takes_the_url_from_the_environment(
    database: Postgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, database.url())
    assert main(["create", "newsroom", "--role", "read"]) == 0
    key = capsys.readouterr().out.strip()
    assert looks_like_key(key)
    assert main(["list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["newsroom"]


async def eventually(known: KnownKeys, digest: bytes, *, usable: bool) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            record = known.get(digest)
            if record is not None and record.usable(record.created_s) is usable:
                return
            await known.look_again()


async def test_two_servers_share_keys_and_go_on_while_the_database_is_away(
    database: Postgres, store: KeyStore, tmp_path: Path
) -> None:
    key, _ = await asyncio.to_thread(store.create, "newsroom", Role.READ)
    log = BytesIO()
    first = KnownKeys(KeyStore(read_url(database.url(), tmp_path)), open_log(log), every_s=0.05)
    second = KnownKeys(KeyStore(read_url(database.url(), tmp_path)), open_log(BytesIO()), every_s=0.05)
    async with first.watching(), second.watching():
        assert first.get(digest_of(key)) is not None
        other, _ = await asyncio.to_thread(store.create, "desk", Role.READ)
        for known in (first, second):
            await eventually(known, digest_of(other), usable=True)
        await asyncio.to_thread(store.revoke, "newsroom")
        for known in (first, second):
            await eventually(known, digest_of(key), usable=False)
        await asyncio.to_thread(database.stop)
        try:
            assert not await first.look_again()
            assert first.away
            record = first.get(digest_of(other))
            assert record is not None
            with pytest.raises(KeysAwayError):
                await asyncio.to_thread(store.create, "late", Role.READ)
        finally:
            await asyncio.to_thread(database.start)
        await asyncio.to_thread(store.revoke, "desk")
        for known in (first, second):
            await eventually(known, digest_of(other), usable=False)
        assert not first.away
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [one["event"] for one in told] == ["keys away", "keys back"]
    assert "cannot be had now" in told[0]["words"]


async def test_a_server_that_starts_while_it_is_away_answers_nobody_until_it_is_back(
    database: Postgres, store: KeyStore, tmp_path: Path
) -> None:
    key, _ = await asyncio.to_thread(store.create, "newsroom", Role.READ)
    await asyncio.to_thread(database.stop)
    try:
        known = KnownKeys(KeyStore(read_url(database.url(), tmp_path)), open_log(BytesIO()), every_s=0.05)
        async with known.watching():
            with pytest.raises(RefusedError, match="cannot be looked up now"):
                known.get(digest_of(key))
            await asyncio.to_thread(database.start)
            async with asyncio.timeout(PATIENCE_S):
                while not await known.look_again():
                    pass
            assert known.get(digest_of(key)) is not None
    finally:
        if not (database.folder / "data" / "postmaster.pid").exists():
            await asyncio.to_thread(database.start)
