"""Why there is no answer: nobody listens, the server is away behind its door, or another kind of server is there."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

import infolens.cli
from infolens import AsyncClient, Client, RetryPolicy, ServerError, ServerUnavailableError, WrongServerError
from infolens._transports.failures import to_error
from infolens.testing import FakeTransport
from tests.clients.loopback import grpc_server, http_server

Serve = Callable[..., AbstractContextManager[str]]
ONCE = RetryPolicy(attempts=1)


async def failures(url: str) -> list[ServerError]:
    """What a request to a URL raises, blocking and not."""
    found: list[ServerError] = []

    def blocking() -> None:
        with Client(url, retries=ONCE) as client:
            client.analyze("A text.", timeout_s=10)

    async def not_blocking() -> None:
        async with AsyncClient(url, retries=ONCE) as client:
            await client.analyze("A text.", timeout_s=10)

    for ask in (asyncio.to_thread(blocking), not_blocking()):
        with pytest.raises(ServerError) as caught:
            await ask
        found.append(caught.value)
    return found


@contextmanager
def greeter(greeting: bytes) -> Iterator[str]:
    """Greets whoever connects, says no more, and waits for them to leave: HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting)
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(10)
                    try:
                        while connection.recv(4096):
                            pass
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("serve", "scheme", "instead"),
    [
        (grpc_server, "http", "grpc://{}"),
        (http_server, "grpc", "http://{}"),
        (grpc_server, "grpcs", "grpc://{}"),
        (http_server, "https", "http://{}"),
    ],
)
async def test_another_protocol_is_told_and_what_to_try(serve: Serve, scheme: str, instead: str) -> None:
    with serve(FakeTransport()) as url:
        address = url.partition("//")[2]
        for error in await failures(f"{scheme}://{address}"):
            assert type(error) is WrongServerError
            assert str(error).startswith(f"what listens at {address} does not speak ")
            assert f"try {instead.format(address)}" in str(error)
            assert "start the server" not in str(error)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("greeting", [b"\x00\x00\x18\x04\xff\xfe\x1b[2J\r\n\r\n", b"SSH-2.0-secret\r\n"])
async def test_what_another_server_says_is_not_repeated(scheme: str, greeting: bytes) -> None:
    with greeter(greeting) as address:
        for error in await failures(f"{scheme}://{address}"):
            assert type(error) is WrongServerError
            assert str(error).isascii()
            assert str(error).isprintable()
            assert "secret" not in str(error)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
async def test_a_connection_that_ends_without_a_word_is_no_other_protocol(scheme: str) -> None:
    with greeter(b"") as address:
        for error in await failures(f"{scheme}://{address}"):
            assert type(error) is ServerUnavailableError
            assert str(error).startswith(f"cannot reach {scheme}://{address} (")


async def test_a_batch_is_not_sent_again_to_another_kind_of_server() -> None:
    with grpc_server(FakeTransport()) as url:
        address = f"http://{url.partition('//')[2]}"
        with Client(address) as client, pytest.raises(WrongServerError, match=f"try {url}"):
            await asyncio.to_thread(lambda: list(client.analyze_batch(["One.", "Two."])))


@pytest.mark.parametrize("serve", [grpc_server, http_server], ids=["grpc", "http"])
async def test_a_server_that_heals_was_reached(serve: Serve) -> None:
    with serve(FakeTransport(ServerUnavailableError("x", retry_after_s=1.0))) as url:
        for error in await failures(url):
            assert type(error) is ServerUnavailableError
            assert error.retry_after_s == 1
            assert str(error).startswith(f"{url} was reached, but cannot answer now (the inference server does not")
            assert "start the server" not in str(error)


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        ("UNAVAILABLE", "Socket closed", "cannot reach grpc://h:1 (Socket closed); start"),
        (
            "UNAVAILABLE",
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:1.2.3.4:1: Failed to connect to remote "
            "host: Connection refused",
            "cannot reach grpc://h:1 (Connection refused); start",
        ),
        ("UNAVAILABLE", "ssl: CERTIFICATE_VERIFY_FAILED: handshake", "cannot trust grpc://h:1"),
        ("UNAVAILABLE", "the server stops: send it again", "grpc://h:1 was reached, but cannot answer now"),
        ("UNAVAILABLE", "out of order", "grpc://h:1 was reached, but cannot answer now (out of order); send it again"),
        ("502", "<html><title>Bad Gateway</title></html>", "was reached, but cannot answer now (Bad Gateway)"),
        ("503", "connection refused", "was reached, but cannot answer now (connection refused); send it again"),
        ("500", "\x00\x01\xff\x1b[2J", "what it sent is no text"),
        ("500", "\ufffd\ufffd x", "what it sent is no text"),
        (
            "500",
            "the label '\x1b[2Ja \ufffd' is not among the labels",
            "the label '[2Ja \ufffd' is not among the labels",
        ),
        ("500", "it broke in the middle of a w\ufffd", "did not answer: it broke in the middle of a w;"),
    ],
)
def test_who_says_what(code: str, message: str, words: str) -> None:
    found = str(to_error(code=code, message=message, server="grpc://h:1", timeout_s=3))
    assert words in found
    assert found.isprintable()


def test_who_says_when_to_ask_again_was_reached() -> None:
    found = to_error(code="UNAVAILABLE", message="no connection", server="grpc://h:1", timeout_s=3, retry_after_s=1)
    assert str(found).startswith("grpc://h:1 was reached")


def test_the_command_says_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    with grpc_server(FakeTransport()) as url:
        article = "tests/articles/sports.txt"
        server = f"http://{url.partition('//')[2]}"
        code = infolens.cli.main(["analyze", "--json", "--server", server, article, article, article])
    out, err = capsys.readouterr()
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 1
    assert f"try {url}" in err
