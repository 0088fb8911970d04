"""What becomes of a batch when a connection breaks, a server refuses it, or answers nonsense."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from infolens import (
    AsyncClient,
    AuthenticationError,
    Client,
    ClientClosedError,
    InfoLensError,
    PermissionDeniedError,
    RateLimitedError,
    RequestRejectedError,
    RequestTimeoutError,
    RetryPolicy,
    ServerOverloadedError,
    ServerUnavailableError,
    UnexpectedResponseError,
)
from tests.clients.loopback import free_port
from tests.clients.v1.server import Answer, Row, Script, by_text, v1_server
from tests.clients.v1.test_batch import everything, shown

NAMES = [str(number) for number in range(40)]
NO_PAUSE = RetryPolicy(attempts=3, backoff_s=0)


@pytest.mark.parametrize("fault", [None, ServerUnavailableError("the server stops"), RequestRejectedError("a line")])
async def test_what_a_broken_connection_leaves_without_an_answer_is_sent_again(fault: InfoLensError | None) -> None:
    for ordered in (True, False):
        script = Script(drops=[7, 0], faults=[fault, fault] if fault else [])
        with v1_server(script) as url:
            if ordered:
                with Client(url, retries=NO_PAUSE) as client:
                    results = list(client.analyze_batch(NAMES, in_flight=8))
            else:
                async with AsyncClient(url, retries=NO_PAUSE) as async_client:
                    results = await everything(async_client.analyze_batch(NAMES, in_flight=8, ordered=False))
        assert sorted(shown(results), key=int) == NAMES
        assert script.batches == 3
        sent = [row["text"] for row in script.rows]
        assert all(sent.count(name) <= 3 for name in NAMES)
        assert len(sent) <= len(NAMES) + 2 * 8, "only what was not answered is sent again"


def test_a_server_that_always_breaks_off_is_asked_as_often_as_the_retries_say() -> None:
    script = Script(drops=[0] * 50)
    with v1_server(script) as url, Client(url, retries=RetryPolicy(attempts=2, backoff_s=0)) as client:
        results = list(client.analyze_batch(NAMES, in_flight=20))
    assert {type(result.error) for result in results} == {ServerUnavailableError}
    assert [result.index for result in results] == list(range(40))
    sent = [row["text"] for row in script.rows]
    assert max(sent.count(name) for name in NAMES) == 2


async def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, retries=NO_PAUSE) as client:
        results = list(client.analyze_batch(NAMES))
    assert shown(results) == ["ServerUnavailableError"] * 40
    assert "start the server" in str(results[0].error)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (AuthenticationError("this key is unknown"), AuthenticationError),
        (PermissionDeniedError("this needs the role read"), PermissionDeniedError),
        (RequestRejectedError("no such order"), RequestRejectedError),
    ],
)
async def test_a_refusal_of_the_whole_batch_is_raised(refusal: InfoLensError, error: type[InfoLensError]) -> None:
    script = Script(refusals=[refusal, refusal])
    with v1_server(script) as url:
        with Client(url) as client, pytest.raises(error, match=str(refusal)):
            list(client.analyze_batch(NAMES))
        async with AsyncClient(url) as async_client:
            with pytest.raises(error, match=str(refusal)):
                await everything(async_client.analyze_batch(NAMES))
    assert script.batches == 2


def test_a_key_that_is_revoked_in_the_middle_ends_the_batch() -> None:
    def answer(row: Row) -> Answer:
        return by_text(row) if int(row["text"]) < 3 else AuthenticationError("this key is revoked")

    for script in (Script(answer=answer), Script(drops=[3], faults=[AuthenticationError("revoked")])):
        with v1_server(script) as url, Client(url) as client, pytest.raises(AuthenticationError, match="revoked"):
            list(client.analyze_batch(NAMES))
        assert script.batches == 1


@pytest.mark.parametrize("wait_s", [None, 0.0])
def test_a_busy_server_and_a_used_up_limit_have_the_batch_wait(wait_s: float | None) -> None:
    script = Script(
        refusals=[ServerOverloadedError("the server is busy"), RateLimitedError("too much", retry_after_s=wait_s)] * 3
    )
    with v1_server(script) as url, Client(url, retries=RetryPolicy(attempts=1, backoff_s=0)) as client:
        assert shown(list(client.analyze_batch(NAMES))) == NAMES
    assert script.batches == 7


def test_a_limit_that_outlasts_the_time_out_is_the_result() -> None:
    script = Script(refusals=[RateLimitedError("too much", retry_after_s=3600)] * 9)
    with v1_server(script) as url, Client(url, timeout_s=20) as client:
        results = list(client.analyze_batch(NAMES[:3]))
    assert [type(result.error) for result in results] == [RateLimitedError] * 3
    error = results[0].error
    assert isinstance(error, RateLimitedError)
    assert (error.retry_after_s, error.request_id) == (3600, "r-1")
    assert script.batches <= 3


def test_a_row_is_sent_again_while_models_are_away_and_no_longer() -> None:
    seen: list[str] = []

    def answer(row: Row) -> Answer:
        seen.append(row["text"])
        often = {"1": 2, "2": 99}.get(row["text"], 0)
        return ServerUnavailableError("it restarts") if seen.count(row["text"]) <= often else by_text(row)

    with v1_server(Script(answer=answer)) as url, Client(url, retries=NO_PAUSE) as client:
        assert shown(list(client.analyze_batch(NAMES[:4]))) == ["0", "1", "ServerUnavailableError", "3"]
    assert seen.count("2") == 3


def test_a_server_without_batches_is_told_apart() -> None:
    words = r"needs a server with /v1.*update the server, or use analyze_many"
    with (
        v1_server(Script(), old=True) as url,
        Client(url) as client,
        pytest.raises(UnexpectedResponseError, match=words),
    ):
        list(client.analyze_batch(NAMES))


@pytest.mark.parametrize(
    "garbage",
    [
        b"<html>\n",
        b"[]\n",
        b'{"index": 99}\n',
        b'{"index": "0"}\n',
        b'{"index": 0, "summary": {"text": 7}}\n',
        b'{"index": 99, "error": {}}\n',
        b'{"index": 0, "category": {"label": "x", "probability": 1, "probabilities": {"y": 1}}}\n',
    ],
)
def test_nonsense_is_no_answer(garbage: bytes) -> None:
    with v1_server(Script(garbage=garbage)) as url, Client(url) as client:
        results = client.analyze_batch(NAMES[:2])
        with pytest.raises(UnexpectedResponseError, match=url):
            list(results)


def test_a_proxy_that_keeps_a_request_until_it_has_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infolens._many.stream.IDLE_S", 0.05)
    script = Script(whole_body=True)
    with v1_server(script) as url, Client(url) as client:
        assert shown(list(client.analyze_batch(NAMES, in_flight=10))) == NAMES
    assert script.batches == 4


def test_a_server_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infolens._many.stream._GRACE_S", 0.0)
    hold = threading.Event()

    async def silent(row: Row) -> Answer:
        if row["text"] != "0":
            await asyncio.to_thread(hold.wait, 10)
        return by_text(row)

    with v1_server(Script(answer=silent)) as url, Client(url) as client:
        results = list(client.analyze_batch(NAMES[:3], timeout_s=0.2))
        hold.set()
    assert shown(results) == ["0", "RequestTimeoutError", "RequestTimeoutError"]
    assert isinstance(results[1].error, RequestTimeoutError)


def test_closing_the_client_ends_a_batch() -> None:
    hold = threading.Event()

    async def first_at_once(row: Row) -> Answer:
        if row["text"] != "0":
            await asyncio.to_thread(hold.wait, 10)
        return by_text(row)

    with v1_server(Script(answer=first_at_once)) as url:
        client = Client(url)
        results = client.analyze_batch(NAMES)
        assert shown([next(results)]) == ["0"]
        client.close()
        with pytest.raises(ClientClosedError, match="closed"):
            next(results)
        with pytest.raises(ClientClosedError, match="make a new one"):
            client.analyze_batch(NAMES)
        hold.set()


async def test_under_tls_with_a_key(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    files = ["-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*command.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    script = Script(key="il_secret")
    with v1_server(script, tls=context) as url:
        with Client(url, api_key="il_secret", root_certificates=certificate) as client:
            assert shown(list(client.analyze_batch(NAMES))) == NAMES
        async with AsyncClient(url, api_key="il_secret", root_certificates=certificate) as async_client:
            assert shown(await everything(async_client.analyze_batch(NAMES))) == NAMES
        with Client(url, api_key="il_secret", retries=RetryPolicy(attempts=1)) as stranger:
            results = list(stranger.analyze_batch(["x"]))
    assert shown(results) == ["ServerUnavailableError"], "a certificate that nobody vouches for is refused"
    assert "CERTIFICATE" in str(results[0].error).upper()
