"""API keys: where they come from, how they travel, what a server says of them, and that nobody reads them."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import infolens.cli
from infolens import (
    AsyncClient,
    AuthenticationError,
    Client,
    InsecureKeyWarning,
    InvalidSettingError,
    PermissionDeniedError,
    RateLimitedError,
    RetryPolicy,
    ServerError,
)
from infolens._commands import running
from infolens._transports.base import ConnectionSettings
from infolens._transports.keys import with_key
from infolens.testing import FakeTransport
from tests.clients.loopback import free_port, grpc_server, http_server

Serve = Callable[..., AbstractContextManager[str]]
KEY = "il_3sEcReT-_3sEcReT"
SERVERS = pytest.mark.parametrize("serve", [grpc_server, http_server], ids=["grpc", "http"])


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFOLENS_API_KEY", raising=False)


@SERVERS
async def test_the_key_travels_with_every_request(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    with serve(FakeTransport(), seen=seen) as url:
        with Client(url, api_key=f"  {KEY}\n") as client:
            client.analyze("A text.")
            client.status()
        async with AsyncClient(url, api_key=KEY) as async_client:
            await async_client.analyze("A text.")
            await async_client.status()
        assert len(seen) >= 2
        assert {request.get("authorization") for request in seen} == {f"Bearer {KEY}"}
        seen.clear()
        monkeypatch.setenv("INFOLENS_API_KEY", "il_of_the_environment")
        for arguments in (
            {},
            {"api_key": KEY},
            {"api_key": ""},
            {"headers": {"Authorization": "Basic x"}},
        ):
            with Client(url, **arguments) as client:  # type: ignore[arg-type]
                client.analyze("A text.")
        monkeypatch.setenv("INFOLENS_API_KEY", " ")
        with Client(url) as client:
            client.analyze("A text.")
    assert [request.get("authorization") for request in seen] == [
        "Bearer il_of_the_environment",
        f"Bearer {KEY}",
        None,
        "Basic x",
        None,
    ]


@pytest.mark.parametrize(
    "key", [f"{KEY}\nx: y", f"{KEY} {KEY}", f"Bearer {KEY}", f"{KEY}\x00", f"{KEY}é", f"{KEY}\u2028x", b"bytes", 7]
)
def test_what_cannot_be_a_key_is_refused_without_being_told(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(InvalidSettingError, match="api_key") as caught:
            client("http://127.0.0.1:1", api_key=key)
        assert "3sEcReT" not in str(caught.value)
    if isinstance(key, str) and "\x00" not in key:
        monkeypatch.setenv("INFOLENS_API_KEY", key)
        with pytest.raises(InvalidSettingError, match="INFOLENS_API_KEY") as caught:
            Client("grpc://127.0.0.1:1")
        assert "3sEcReT" not in str(caught.value)


def test_a_key_and_a_header_of_ones_own_are_one_too_many() -> None:
    with pytest.raises(InvalidSettingError, match="give either"):
        Client("http://127.0.0.1:1", api_key=KEY, headers={"Authorization": "Basic x"})


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://news.example.com", True),
        ("grpc://news.example.com:8001", True),
        ("10.0.0.1:8001", True),
        ("http://127.0.0.1:8000", False),
        ("grpc://localhost:8001", False),
        ("grpc://127.0.0.2:8001", False),
        ("http://[::1]:8000", False),
        ("https://news.example.com", False),
        ("grpcs://news.example.com", False),
    ],
)
def test_a_key_in_the_clear_is_warned_of(url: str, warned: bool) -> None:
    for client in (Client, AsyncClient):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            client(url)
            client(url, api_key=KEY)
        assert [warning.category for warning in caught] == [InsecureKeyWarning] * warned
        for warning in caught:
            assert warning.filename == __file__, "it points at the line that made the client"
            assert KEY not in str(warning.message)
            assert "s://" in str(warning.message)


ANSWERS = [
    (AuthenticationError("x"), AuthenticationError, "wants an API key.*--api-key-file"),
    (PermissionDeniedError("x"), PermissionDeniedError, "role admin.*a key whose role"),
    (RateLimitedError("x", retry_after_s=3), RateLimitedError, "10 requests a minute.*ask less often"),
]


@SERVERS
@pytest.mark.parametrize(("answer", "error", "words"), ANSWERS)
async def test_what_a_server_says_of_a_key(
    serve: Serve, answer: ServerError, error: type[ServerError], words: str
) -> None:
    fake = FakeTransport(answer)
    with serve(fake) as url:
        with Client(url, api_key=KEY) as client, pytest.raises(error, match=words) as caught:
            client.analyze("A text.")
        async with AsyncClient(url, api_key=KEY) as async_client:
            with pytest.raises(error, match=words) as async_caught:
                await async_client.analyze("A text.")
    for one in (caught.value, async_caught.value):
        assert (one.retry_after_s, one.request_id) == (answer.retry_after_s, "r-7")
    assert len(fake.requests) == 2, "none of them is asked again by itself"


def test_a_used_up_limit_is_waited_for_as_long_as_the_server_says() -> None:
    policy = RetryPolicy(backoff_s=0, on_overload=True)
    limited = RateLimitedError("x", retry_after_s=3)
    assert policy.pause_s(limited, 1) == 3
    assert RetryPolicy(backoff_s=0).pause_s(limited, 1) is None
    assert RetryPolicy(backoff_s=0).pause_s(limited, 9, patient=True) == 3
    fake = FakeTransport(limited)
    with Client(transport=fake, timeout_s=2) as client:
        (result,) = client.analyze_many(["A text."])
    assert isinstance(result, RateLimitedError)
    assert len(fake.requests) == 1, "its time would be up before"


async def test_nobody_reads_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    urls = [f"{scheme}://127.0.0.1:{free_port()}" for scheme in ("http", "grpc")]
    written = [repr(ConnectionSettings(headers=with_key({}, KEY)))]
    with (
        http_server(FakeTransport(AuthenticationError("x"))) as url,
        grpc_server(FakeTransport(AuthenticationError("x"))) as other,
    ):
        for one in (url, other, *urls):
            with Client(one, api_key=KEY, retries=RetryPolicy(attempts=1)) as client:
                with pytest.raises(ServerError) as caught:
                    client.analyze("A text.")
                written += [repr(client), repr(vars(client)), *traceback.format_exception(caught.value)]
                written += [repr(result.result) for result in client.analyze_batch(["x"]) if one in urls]
            async with AsyncClient(one, api_key=KEY, retries=RetryPolicy(attempts=1)) as async_client:
                with pytest.raises(ServerError) as caught:
                    await async_client.analyze("A text.")
                written += [repr(async_client), *traceback.format_exception(caught.value)]
    for secret in ("http://user:3sEcReT@host", "http://3sEcReT@host:port", "ftp://3sEcReT@host", "3sEcReT@host/x"):
        with pytest.raises(InvalidSettingError) as refused:
            Client(secret)
        written.append(str(refused.value))
    assert not [text for text in (*written, caplog.text) if "3sEcReT" in text]


# The command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = infolens.cli.main(arguments)
        return code, *capsys.readouterr()

    return call


def test_the_command_reads_a_key_from_a_file(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    with http_server(FakeTransport(), seen=seen) as url:
        for command in (["analyze", "--text", "x"], ["status"]):
            assert run(*command, "--server", url, "--api-key-file", str(file))[0] == 0
        assert {request["authorization"] for request in seen} == {f"Bearer {KEY}"}
        seen.clear()
        monkeypatch.setenv("INFOLENS_API_KEY", "il_of_the_environment")
        assert run("analyze", "--text", "x", "--server", url)[0] == 0
    assert seen[0]["authorization"] == "Bearer il_of_the_environment"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe", KEY.encode() * 999, f"{KEY} {KEY}".encode()])
def test_a_file_without_a_key_is_wrong_usage(run: Any, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    code, out, err = run("analyze", "--text", "x", "--api-key-file", str(file))
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "3sEcReT" not in err


@pytest.mark.parametrize("answer", [AuthenticationError("who are you?"), PermissionDeniedError("not you")])
def test_a_key_that_is_refused_is_told_once(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: ServerError
) -> None:
    def client(url: str | None = None, **arguments: Any) -> Client:
        return Client(transport=FakeTransport(answer), **arguments)

    monkeypatch.setattr(running, "Client", client)
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text("An article.")
    assert run("analyze", "--json", *map(str, files)) == (2, "", f"infolens: {answer}\n")
    assert run("status") == (2, "", f"infolens: {answer}\n")


def test_the_command_warns_in_a_line(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOLENS_API_KEY", KEY)
    code, _, err = run("status", "--server", "http://news.invalid", "--timeout-s", "5")
    lines = err.splitlines()
    assert code == 3
    assert len(lines) == 2
    assert lines[0].startswith("infolens: warning: an API key must not travel in the clear")
