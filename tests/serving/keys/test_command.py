"""``python -m serving keys`` as a user types it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from serving.cli import main
from serving.keys.records import looks_like_key


class Typed:
    """Runs the command on one store."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._where = ["--cache", str(folder)]
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        code = main(["keys", *words, *self._where])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def json(self, *words: str) -> Any:
        code, out, err = self(*words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)


@pytest.fixture
def typed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.delenv("INFOLENS_KEYS_URL", raising=False)
    return Typed(tmp_path, capsys)


def test_a_key_alone_is_on_standard_output_and_in_nothing_that_comes_after(
    typed: Typed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code, out, err = typed("create", "newsroom", "--role", "read", "--rate-per-minute", "60", "--expires", "90")
    key = out.removesuffix("\n")
    assert code == 0
    assert looks_like_key(key)
    assert key not in err
    assert "shown this once" in err
    _, listed, _ = typed("list")
    _, as_json, _ = typed("list", "--json")
    _, new, words = typed("rotate", "newsroom", "--grace-hours", "2")
    assert "valid for 2 hours more" in words
    _, revoked, _ = typed("revoke", "newsroom")
    told = "".join([listed, as_json, new, words, revoked, caplog.text])
    secret = key[9:]
    assert secret not in told
    assert new.strip()[9:] not in listed + as_json + words + revoked + caplog.text
    assert secret.encode() not in (tmp_path / "keys" / "keys.sqlite3").read_bytes()


def test_a_list_says_how_each_key_stands(typed: Typed) -> None:
    assert "has no keys: make one with" in typed("list")[1]
    assert typed.json("list") == []
    made = typed.json("create", "newsroom", "--role", "admin", "--concurrency", "2")
    assert looks_like_key(made["key"])
    typed("rotate", "newsroom")
    typed("create", "desk", "--role", "feedback")
    typed("revoke", "desk")
    states = {(one["name"], one["state"], one["role"], one["concurrency"]) for one in typed.json("list")}
    assert states == {
        ("newsroom", "replaced", "admin", 2),
        ("newsroom", "valid", "admin", 2),
        ("desk", "revoked", "feedback", None),
    }
    heads, *rows = typed("list")[1].splitlines()
    assert heads.split()[:4] == ["name", "role", "key", "state"]
    assert [row.split()[0] for row in rows] == ["desk", "newsroom", "newsroom"]
    assert made["key"][:9] in rows[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["revoke", "nobody"], "there is no key 'nobody'"),
        (["rotate", "nobody"], "there is no valid key 'nobody'"),
        (["create", "two words", "--role", "read"], "letters, digits"),
        (["list", "--keys-url", "mysql://u:sesame@h/d"], "not in 'mysql'"),
        (["list", "--keys-url", "postgresql://u:sesame@127.0.0.1:9/d"], "cannot be had now"),
        (["create", "a", "--role", "read", "--keys-url", "sqlite:////dev/null/keys.sqlite3"], "cannot be kept"),
    ],
)
def test_what_goes_wrong_is_said(typed: Typed, words: list[str], message: str) -> None:
    code, out, err = typed(*words)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err
    assert "sesame" not in err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["create", "a"],
        ["create", "a", "--role", "owner"],
        ["create", "a", "--role", "read", "--rate-per-minute", "0"],
        ["create", "a", "--role", "read", "--concurrency", "many"],
        ["create", "a", "--role", "read", "--expires", "0"],
        ["create", "a", "--role", "read", "--expires", "nan"],
        ["rotate", "a", "--grace-hours", "-1"],
    ],
)
def test_wrong_usage_is_said(typed: Typed, words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        typed(*words)
    assert caught.value.code == 2
