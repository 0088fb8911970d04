"""When keys are needed, and what a start without any says."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from sqlalchemy import URL

from serving.arguments import ServerOptions
from serving.errors import KeysError
from serving.keys.records import Role
from serving.keys.rule import check_start, is_loopback, wants_keys
from serving.keys.store import KeyStore
from serving.supervisor.assembling import Plan, check_keys


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.7", False),
        ("", False),
        ("no.such.host.invalid", False),
    ],
)
def test_which_host_lets_nobody_else_in(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone
    assert wants_keys(host, None) is not alone
    assert wants_keys(host, True)
    assert not wants_keys(host, False)


def create(folder: Path, *names: str) -> KeyStore:
    store = KeyStore(URL.create("sqlite", database=str(folder / "keys" / "keys.sqlite3")))
    for name in names:
        store.create(name, Role.READ, expires_days=1)
    return store


def plan(folder: Path, host: str, **more: object) -> Plan:
    return Plan(server=ServerOptions(host=host, cache=folder), **more)  # type: ignore[arg-type]


def test_a_server_for_others_starts_with_a_usable_key_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFOLENS_KEYS_URL", raising=False)
    rule = r"callers need a key, since --host 0\.0\.0\.0 lets other machines in, and .* has none that is valid: "
    ways = r"make one with `python -m serving keys create NAME --role read`, or say --no-keys"
    with pytest.raises(KeysError, match=rule + ways):
        check_keys(plan(tmp_path, "0.0.0.0"))
    with pytest.raises(KeysError, match="since --keys was given"):
        check_keys(plan(tmp_path, "127.0.0.1", keys=True))
    store = create(tmp_path, "newsroom")
    assert check_keys(plan(tmp_path, "0.0.0.0"))
    assert check_keys(plan(tmp_path, "127.0.0.1", keys=True))
    assert not check_keys(plan(tmp_path, "127.0.0.1"))
    with pytest.raises(KeysError, match="none that is valid"):
        check_start("0.0.0.0", None, None, tmp_path, now=lambda: 1e12)
    store.revoke("newsroom")
    with pytest.raises(KeysError, match="none that is valid"):
        check_keys(plan(tmp_path, "0.0.0.0"))


def test_a_store_that_cannot_be_read_is_no_key(tmp_path: Path) -> None:
    away = "postgresql://u:sesame@127.0.0.1:9/d"
    with pytest.raises(KeysError, match=r"need a key, since .*cannot be had now .* \(or say --no-keys\)") as told:
        check_keys(plan(tmp_path, "0.0.0.0", keys_url=away))
    assert "sesame" not in str(told.value)


def test_a_server_that_lets_everybody_in_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert not check_keys(plan(tmp_path, "127.0.0.1", keys=False))
    assert caplog.text == ""
    assert not check_keys(plan(tmp_path, "0.0.0.0", keys=False))
    assert "warning: --no-keys with --host 0.0.0.0: everybody who reaches these ports may ask" in caplog.text


def test_without_a_door_nobody_asks_for_keys(tmp_path: Path) -> None:
    create(tmp_path, "newsroom")
    for host, keys in (("0.0.0.0", None), ("127.0.0.1", True)):
        with pytest.raises(KeysError, match="leave --no-door out, or say --no-keys"):
            check_keys(plan(tmp_path, host, keys=keys, door=False))
    assert not check_keys(plan(tmp_path, "127.0.0.1", door=False))
    assert not check_keys(plan(tmp_path, "0.0.0.0", keys=False, door=False))
