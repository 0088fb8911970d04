"""Keys in a file: made, replaced, ended, and what is kept of them."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

from serving.errors import KeyNameError, KeysAwayError, KeysError
from serving.keys.location import VARIABLE, read_url, shown
from serving.keys.records import DAY_S, KeyState, Role, digest_of, looks_like_key
from serving.keys.store import Contents, KeyStore


class Clock:
    """A time of day that the test sets."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keys.sqlite3"


@pytest.fixture
def store(file: Path, clock: Clock) -> KeyStore:
    return KeyStore(URL.create("sqlite", database=str(file)), now=clock)


def contents(store: KeyStore, known_stamp: str | None = None) -> Contents:
    found = store.read(known_stamp)
    assert found is not None
    return found


def test_a_key_is_told_once_and_its_hash_alone_is_kept(store: KeyStore, file: Path) -> None:
    key, record = store.create("newsroom", Role.READ, rate_per_minute=60, concurrency=2)
    other, _ = store.create("desk", Role.FEEDBACK)
    assert looks_like_key(key)
    assert key != other
    assert record.digest == digest_of(key)
    assert key.startswith(record.start)
    assert len(record.start) < len(key) - 30
    assert (record.rate_per_minute, record.concurrency, record.role) == (60, 2, Role.READ)
    assert contents(store).keys[1] == record
    kept = file.read_bytes()
    assert key.encode() not in kept
    assert key.removeprefix(record.start).encode() not in kept
    assert key not in repr(record)
    assert str(record.digest) not in repr(record)


def test_the_file_is_for_this_user_alone(store: KeyStore, file: Path) -> None:
    store.create("a", Role.READ)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    file.chmod(0o644)
    store.create("b", Role.READ)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_look_makes_no_store(store: KeyStore, file: Path) -> None:
    assert contents(store).keys == ()
    assert not file.parent.exists()


def test_a_name_has_one_key_that_is_current(store: KeyStore, clock: Clock) -> None:
    store.create("newsroom", Role.READ, expires_days=1)
    with pytest.raises(KeyNameError, match="there is a key 'newsroom' already: choose another name, or rotate"):
        store.create("newsroom", Role.ADMIN)
    clock.now_s += DAY_S
    store.create("newsroom", Role.ADMIN)
    store.revoke("newsroom")
    store.create("newsroom", Role.READ)
    assert [one.state(clock()) for one in contents(store).keys] == [
        KeyState.REVOKED,
        KeyState.REVOKED,
        KeyState.VALID,
    ]


@pytest.mark.parametrize("name", ["", "a b", "ü", "x" * 65, "-a", "other", 'a"', "a\n", f"il_{'k' * 43}"])
def test_a_name_is_fit_for_logs_and_metrics(store: KeyStore, name: str) -> None:
    with pytest.raises(KeyNameError, match="letters, digits"):
        store.create(name, Role.READ)


def test_what_was_rotated_is_valid_until_its_grace_is_over(store: KeyStore, clock: Clock) -> None:
    old, _ = store.create("newsroom", Role.ADMIN, rate_per_minute=7, concurrency=3, expires_days=10)
    clock.now_s += DAY_S
    new, record = store.rotate("newsroom", grace_s=3600)
    assert new != old
    assert (record.role, record.rate_per_minute, record.concurrency) == (Role.ADMIN, 7, 3)
    assert record.expires_s == clock() + 10 * DAY_S, "it lives as long as the old one was to"
    first, second = contents(store).keys
    assert (first.state(clock()), second.state(clock())) == (KeyState.REPLACED, KeyState.VALID)
    assert first.usable(clock() + 3599)
    assert not first.usable(clock() + 3600)
    store.rotate("newsroom", grace_s=0, expires_days=2)
    third = contents(store).keys[2]
    assert third.expires_s == clock() + 2 * DAY_S
    assert not contents(store).keys[1].usable(clock())


def test_a_grace_never_makes_a_key_live_longer(store: KeyStore, clock: Clock) -> None:
    _, old = store.create("newsroom", Role.READ, expires_days=1)
    store.rotate("newsroom", grace_s=30 * DAY_S)
    assert contents(store).keys[0].expires_s == old.expires_s


def test_revoking_ends_all_keys_of_a_name(store: KeyStore, clock: Clock) -> None:
    store.create("newsroom", Role.READ)
    store.create("desk", Role.READ)
    store.rotate("newsroom", grace_s=3600)
    assert len(store.revoke("newsroom")) == 2
    assert [one.name for one in contents(store).keys if one.usable(clock())] == ["desk"]
    assert store.revoke("newsroom") == ()
    with pytest.raises(KeyNameError, match="no valid key 'newsroom'"):
        store.rotate("newsroom", grace_s=1)
    with pytest.raises(KeyNameError, match=r"no key 'nobody': see .*keys list"):
        store.revoke("nobody")


def test_only_a_change_of_a_key_is_read_again(store: KeyStore, file: Path, clock: Clock) -> None:
    _, record = store.create("newsroom", Role.READ)
    before = contents(store)
    assert store.read(before.stamp) is None
    store.note_used([record.id])
    assert store.read(before.stamp) is None
    assert contents(store).keys[0].last_used_s == clock()
    store.revoke("newsroom")
    assert contents(store, before.stamp).stamp != before.stamp
    file.unlink()
    assert contents(store, before.stamp).keys == (), "a store that is gone has no keys"
    assert not file.exists()
    store.create("newsroom", Role.READ)
    assert contents(store, before.stamp).keys != before.keys, "nor is another one taken for it"


def test_many_uses_are_noted_at_once(store: KeyStore, clock: Clock) -> None:
    _, record = store.create("newsroom", Role.READ)
    store.note_used([*range(2000, 4000), record.id])
    assert contents(store).keys[0].last_used_s == clock()
    clock.now_s -= 100
    store.note_used([record.id])
    assert contents(store).keys[0].last_used_s == clock() + 100, "a clock that was set back changes nothing"


def changed(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_store_of_another_version_is_left_alone(store: KeyStore, file: Path) -> None:
    store.create("newsroom", Role.READ)
    changed(file, "UPDATE infolens_keys_about SET version = 9")
    for use in (store.read, lambda: store.create("b", Role.READ), lambda: store.revoke("newsroom")):
        with pytest.raises(KeysError, match="version 9, and this server knows version 1"):
            use()


def test_a_role_that_is_not_known_is_named(store: KeyStore, file: Path) -> None:
    store.create("newsroom", Role.READ)
    changed(file, "UPDATE infolens_keys SET role = 'owner'")
    with pytest.raises(KeysError, match="'newsroom' has the role 'owner', which this version does not know"):
        store.read()


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.sqlite3"
    garbage.write_bytes(b"this is no database, whatever its name says" * 100)
    (tmp_path / "file").touch()
    for path, words in (
        (garbage, "file is not a database"),
        (tmp_path / "file" / "keys" / "keys.sqlite3", "Not a directory"),
    ):
        with pytest.raises(KeysError, match=rf"{path}.*{words}.*--keys-url"):
            KeyStore(URL.create("sqlite", database=str(path))).create("a", Role.READ)


def test_a_store_that_somebody_holds_is_away(store: KeyStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("newsroom", Role.READ)
    monkeypatch.setattr("serving.storage.location._TIMEOUT_S", 0)
    holder = sqlite3.connect(file)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(KeysAwayError, match=r"cannot be had now \(database is locked\)"):
            store.read()
    finally:
        holder.close()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("keys.sqlite3", "cannot be read: write sqlite:////absolute"),
        ("postgresql+psycopg://u:sesame@h:port/d", "cannot be read"),
        ("mysql://u:sesame@h/d", "not in 'mysql'"),
        ("postgresql+asyncpg://u:sesame@h/d", r"not in 'postgresql\+asyncpg'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_wrong_url_is_said_without_its_password(tmp_path: Path, given: str, words: str) -> None:
    with pytest.raises(KeysError, match=words) as caught:
        read_url(given, tmp_path)
    assert "sesame" not in str(caught.value)


def test_where_keys_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_url(None, tmp_path).database == str(tmp_path / "keys" / "keys.sqlite3")
    monkeypatch.setenv(VARIABLE, "postgresql://infolens:sesame@db.example/keys?sslmode=require")
    url = read_url(None, tmp_path)
    assert url.drivername == "postgresql+psycopg"
    assert shown(url) == "postgresql+psycopg://infolens:***@db.example/keys"
    assert read_url("sqlite:////srv/k.sqlite3", tmp_path).database == "/srv/k.sqlite3"


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    store = KeyStore(read_url("postgresql://infolens:sesame@127.0.0.1:9/keys", tmp_path))
    with pytest.raises(KeysAwayError, match=r"127\.0\.0\.1:9/keys cannot be had now .*refused") as caught:
        store.read()
    assert "sesame" not in str(caught.value)
    store.close()


def test_the_library_for_postgresql_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        KeysError, match=r"need the library psycopg, which is not here: .*pip install 'psycopg\[binary\]'"
    ):
        KeyStore(read_url("postgresql://infolens@127.0.0.1:9/keys", tmp_path))
