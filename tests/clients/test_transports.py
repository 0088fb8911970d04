from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from infolens import (
    Article,
    AsyncClient,
    AuthenticationError,
    Client,
    InferenceFailedError,
    InfoLensError,
    InvalidSettingError,
    ModelUnavailableError,
    PermissionDeniedError,
    RateLimitedError,
    Report,
    RequestRejectedError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
    SummaryOptions,
    UnexpectedResponseError,
    WrongServerError,
)
from infolens._transports.failures import to_error
from infolens._transports.url import parse_url
from infolens.testing import FakeTransport, fake_report
from tests.clients.loopback import free_port, grpc_server, http_server

Serve = Callable[..., AbstractContextManager[str]]
NO_PAUSE = RetryPolicy(attempts=3, backoff_s=0)
SERVERS = pytest.mark.parametrize("serve", [grpc_server, http_server], ids=["grpc", "http"])


def by_text(article: Article) -> Report | InfoLensError:
    if "reject" in article.text:
        return RequestRejectedError("the text is not to the server's taste")
    return fake_report(summary=article.text)


def texts(results: list[Report | InfoLensError]) -> list[str]:
    return [r.summary.text if isinstance(r, Report) and r.summary else type(r).__name__ for r in results]


# The two protocols, over loopback


@SERVERS
def test_blocking_transport(serve: Serve) -> None:
    fake = FakeTransport(by_text)
    with serve(fake) as url, Client(url) as client:
        options = SummaryOptions(num_beams=2, length_penalty=0.5)
        report = client.analyze("Grüße\x00!", title="Titel", options=options, timeout_s=7)
        assert report.summary is not None
        assert report.summary.text == "Grüße\x00!"
        assert fake.articles == [Article(text="Grüße\x00!", title="Titel")]
        assert fake.requests[0].inputs["num_beams"].tolist() == [[2]]
        assert 5 < fake.timeouts_s[0] <= 7, "the server must know the deadline"
        names = [f"article {number}" for number in range(40)]
        assert texts(list(client.analyze_many(names, in_flight=8))) == names
        status = client.status()
        assert (status.version, status.ready) == ("triton 9.9", True)
        with pytest.raises(RequestRejectedError, match=r"refused the request: the text is not") as caught:
            client.analyze("reject")
        assert url in str(caught.value)


@SERVERS
async def test_async_transport(serve: Serve) -> None:
    fake = FakeTransport(by_text)
    with serve(fake) as url:
        async with AsyncClient(url) as client:
            report = await client.analyze("Grüße\x00!", title="Titel", tasks=["summary", "category"], timeout_s=7)
            assert report.summary is not None
            assert report.summary.text == "Grüße\x00!"
            assert 5 < fake.timeouts_s[0] <= 7
            names = [f"article {number}" for number in range(40)]
            assert texts([r async for r in client.analyze_many(names, in_flight=8)]) == names
            status = await client.status()
            assert (status.version, status.ready) == ("triton 9.9", True)
            with pytest.raises(RequestRejectedError, match="the text is not"):
                await client.analyze("reject")


@SERVERS
async def test_deadline(serve: Serve) -> None:
    hold = threading.Event()
    with serve(FakeTransport(), hold=hold) as url:
        with Client(url) as client, pytest.raises(RequestTimeoutError, match=r"within 0\.[12]"):
            client.analyze("A text.", timeout_s=0.2)
        async with AsyncClient(url) as async_client:
            with pytest.raises(RequestTimeoutError, match=r"within 0\.[12]"):
                await async_client.analyze("A text.", timeout_s=0.2)


@SERVERS
def test_overload(serve: Serve) -> None:
    fake = FakeTransport(ServerOverloadedError("full"))
    with serve(fake) as url, Client(url) as client, pytest.raises(ServerOverloadedError, match="fewer requests"):
        client.analyze("A text.")


def test_a_call_that_begins_as_its_client_is_closed_fails_as_one_that_is_under_way() -> None:
    with grpc_server(FakeTransport()) as url:
        client = Client(url, retries=RetryPolicy(attempts=1))
        client._transport.close()
        with pytest.raises(InfoLensError, match="closed"):
            client.analyze("A text.", timeout_s=30)


@SERVERS
def test_closing_wakes_who_waits(serve: Serve) -> None:
    entered, hold = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    with serve(FakeTransport(), hold=hold) as url:
        client = Client(url, retries=RetryPolicy(attempts=1))

        def work() -> None:
            entered.set()
            try:
                client.analyze("A text.", timeout_s=30)
            except InfoLensError as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        entered.wait(10)
        while thread.is_alive() and not failures:
            client._transport.close()
            thread.join(0.05)
        assert not hold.is_set()
        assert len(failures) == 1


@pytest.mark.parametrize("scheme", ["grpc", "http"])
async def test_nobody_listens(scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}"
    with Client(url, retries=NO_PAUSE) as client:
        assert client.is_ready() is False
        with pytest.raises(ServerUnavailableError, match=r"cannot reach .*; start the server"):
            client.analyze("A text.")
    async with AsyncClient(url, retries=NO_PAUSE) as async_client:
        assert await async_client.is_ready() is False
        with pytest.raises(ServerUnavailableError, match="cannot reach"):
            await async_client.analyze("A text.")


def test_a_kept_connection_that_the_server_closed_is_no_failure() -> None:
    with http_server(FakeTransport(), drop=True) as url, Client(url, retries=RetryPolicy(attempts=1)) as client:
        for _ in range(3):
            assert client.analyze("A text.").summary is not None


def test_a_server_that_restarts_is_found_again() -> None:
    retries = RetryPolicy(attempts=50, backoff_s=0.05, max_backoff_s=0.1)
    with grpc_server(FakeTransport()) as url:
        client = Client(url, retries=retries)
        client.analyze("A text.")
    with client:
        assert client.is_ready() is False
        with grpc_server(FakeTransport(), address=url.removeprefix("grpc://")):
            assert client.analyze("A text.").summary is not None


def test_one_protocol_does_not_load_the_other() -> None:
    code = (
        "import sys, infolens;"
        "assert not {m for m in sys.modules if m.startswith(('tritonclient', 'grpc', 'aiohttp'))};"
        "infolens.Client('http://127.0.0.1:1').close();"
        "assert 'grpc' not in sys.modules and 'aiohttp' not in sys.modules;"
        "infolens.Client('grpc://127.0.0.1:1').close();"
        "assert not {'torch', 'transformers', 'aiohttp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# Status codes and URLs


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses", ServerUnavailableError),
        ("CANCELLED", "Cancelling all calls", ServerUnavailableError),  # by a server that ends
        ("UNAVAILABLE", "in ensemble 'info_lens', Exceeds maximum queue size", ServerOverloadedError),
        ("503", "Exceeds maximum queue size", ServerOverloadedError),
        ("429", "the server is busy: try again later", ServerOverloadedError),
        ("429", "", RateLimitedError),
        ("RESOURCE_EXHAUSTED", "10 requests a minute", RateLimitedError),
        ("401", "who are you?", AuthenticationError),
        ("UNAUTHENTICATED", "who are you?", AuthenticationError),
        ("403", "not with this key", PermissionDeniedError),
        ("PERMISSION_DENIED", "not with this key", PermissionDeniedError),
        ("UNAVAILABLE", "Request timeout expired", RequestTimeoutError),
        ("503", "in ensemble 'verify', Request timeout expired", RequestTimeoutError),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", RequestTimeoutError),
        ("NOT_FOUND", "Request for unknown model: 'x' is not found", ModelUnavailableError),
        ("404", "Request for unknown model: 'x' is not found", ModelUnavailableError),
        ("UNAVAILABLE", "Request for unknown model: 'x' has no available versions", ModelUnavailableError),
        ("INVALID_ARGUMENT", "unexpected inference output 'failed' for model 'info_lens'", RequestRejectedError),
        ("INVALID_ARGUMENT", "unexpected inference output 'mood' for model 'info_lens'", ModelUnavailableError),
        ("404", "<html>", WrongServerError),
        ("502", "Bad Gateway", ServerUnavailableError),
        ("INVALID_ARGUMENT", "the text is blank", RequestRejectedError),
        ("400", "the text is blank", RequestRejectedError),
        ("403", "This protocol is restricted", RequestRejectedError),
        ("INTERNAL", "boom", InferenceFailedError),
        ("500", "boom", InferenceFailedError),
        ("418", "teapot", UnexpectedResponseError),
    ],
)
def test_status_codes(code: str, message: str, error: type[ServerError]) -> None:
    found = to_error(code=code, message=message, server="grpc://h:1", timeout_s=3)
    assert type(found) is error
    assert "grpc://h:1" in str(found)
    assert "in ensemble" not in str(found)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("grpc://host:9", "grpc://host:9"),
        ("host:9", "grpc://host:9"),
        ("localhost", "grpc://localhost:8001"),
        ("http://host", "http://host:8000"),
        ("https://host/triton/", "https://host:443/triton"),
        ("grpcs://host", "grpcs://host:443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        (None, "grpc://127.0.0.1:8001"),
    ],
)
def test_urls(url: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFOLENS_URL", raising=False)
    assert str(parse_url(url)) == expected


def test_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOLENS_URL", "http://there")
    assert str(parse_url()) == "http://there:8000"
    assert str(parse_url("grpc://here:1")) == "grpc://here:1"


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://host", "grpc://", "http://host:port", "http://host:99999", "grpc://host/x", "http://u:p@host", ""),
        *("http://a..b", f"http://{'a' * 64}", "grpc://host:0"),
    ],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(InvalidSettingError, match="URL"):
        Client(url)


def test_certificates_that_cannot_be_read() -> None:
    for url in ("grpcs://host", "https://host"):
        with pytest.raises(InvalidSettingError, match="root_certificates"):
            Client(url, root_certificates="/no/such.pem")
