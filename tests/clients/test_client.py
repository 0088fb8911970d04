from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from infolens import (
    Article,
    AsyncClient,
    Client,
    ClientClosedError,
    InferenceFailedError,
    InfoLensError,
    InvalidArticleError,
    InvalidSettingError,
    ModelUnavailableError,
    Report,
    RequestRejectedError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
    SummaryOptions,
    UnexpectedResponseError,
)
from infolens.testing import FakeTransport, fake_report

NO_PAUSE = RetryPolicy(attempts=3, backoff_s=0)


def by_text(article: Article) -> Report | InfoLensError:
    if "reject" in article.text:
        return RequestRejectedError("the text is not to the server's taste")
    return fake_report(summary=article.text)


def texts(results: list[Report | InfoLensError]) -> list[str]:
    return [r.summary.text if isinstance(r, Report) and r.summary else type(r).__name__ for r in results]


# One article


def test_analyze_gives_all_three_answers_in_one_request() -> None:
    fake = FakeTransport(fake_report(category="Sports"))
    with Client(transport=fake) as client:
        report = client.analyze("A text.", title="A title")
    assert report.summary is not None
    assert report.category is not None
    assert report.category.label == "Sports"
    assert report.veracity is not None
    assert [request.model for request in fake.requests] == ["info_lens"]
    assert fake.articles == [Article(text="A text.", title="A title")]
    assert fake.closed


def test_subset_asks_only_for_what_is_needed() -> None:
    fake = FakeTransport()
    with Client(transport=fake) as client:
        report = client.analyze("A text.", tasks=["veracity", "summary"])
        client.summarize("A text.", options=SummaryOptions(num_beams=1))
        client.classify("A text.")
        client.verify("A text.")
    assert (report.category, [r.model for r in fake.requests]) == (
        None,
        ["summarize", "verify", "summarize", "classify", "verify"],
    )


async def test_async_client_has_the_same_methods() -> None:
    fake = FakeTransport(fake_report(category="Travel", veracity="fake", summary="S."))
    async with AsyncClient(transport=fake) as client:
        report = await client.analyze("A text.", tasks=["summary", "veracity"])
        assert report.veracity is not None
        assert report.category is None
        assert (await client.summarize("A text.")).text == "S."
        assert (await client.classify("A text.")).label == "Travel"
        assert (await client.verify("A text.")).label == "fake"
        assert await client.is_ready()
        assert (await client.status()).models["info_lens"] is True
    assert fake.closed
    names = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    assert names <= set(vars(AsyncClient))


async def test_async_subset_raises_the_error_itself() -> None:
    async with AsyncClient(transport=FakeTransport(RequestRejectedError("no"))) as client:
        with pytest.raises(RequestRejectedError, match="no"):
            await client.analyze("A text.", tasks=["summary", "veracity"])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"article": " "}, InvalidArticleError),
        ({"article": b"bytes"}, InvalidArticleError),
        ({"article": Article(text="x"), "title": "twice"}, InvalidArticleError),
        ({"article": "x", "tasks": ["mood"]}, InvalidSettingError),
        ({"article": "x", "options": {"num_beams": 2}}, InvalidSettingError),
        ({"article": "x", "timeout_s": 0}, InvalidSettingError),
        ({"article": "x", "timeout_s": float("nan")}, InvalidSettingError),
    ],
)
def test_bad_arguments_never_reach_the_server(arguments: dict[str, Any], error: type[InfoLensError]) -> None:
    fake = FakeTransport()
    with Client(transport=fake) as client, pytest.raises(error):
        client.analyze(**arguments)
    assert fake.requests == []


def test_a_closed_client_says_so() -> None:
    client = Client(transport=FakeTransport())
    client.close()
    client.close()
    with pytest.raises(ClientClosedError, match="make a new one"):
        client.analyze("A text.")


# Retries and time-outs


class Failing(FakeTransport):
    """Fails with one error a given number of times, then answers."""

    def __init__(self, error: ServerError, times: int) -> None:
        self.left = times
        super().__init__(lambda _: self._next(error))

    def _next(self, error: ServerError) -> Report | InfoLensError:
        self.left -= 1
        return error if self.left >= 0 else fake_report()


@pytest.mark.parametrize(
    ("error", "policy", "attempts"),
    [
        (ServerUnavailableError("x"), NO_PAUSE, 3),
        (ServerUnavailableError("x"), RetryPolicy(attempts=1), 1),
        (ModelUnavailableError("x"), NO_PAUSE, 1),
        (RequestTimeoutError("x"), NO_PAUSE, 1),
        (RequestRejectedError("x"), NO_PAUSE, 1),
        (InferenceFailedError("x"), NO_PAUSE, 1),
        (UnexpectedResponseError("x"), NO_PAUSE, 1),
        (ServerOverloadedError("x"), NO_PAUSE, 1),
        (ServerOverloadedError("x"), RetryPolicy(backoff_s=0, on_overload=True), 3),
    ],
)
async def test_only_unreachable_servers_are_tried_again(error: ServerError, policy: RetryPolicy, attempts: int) -> None:
    fake, async_fake = Failing(error, 99), Failing(error, 99)
    with Client(transport=fake, retries=policy) as client, pytest.raises(type(error)):
        client.analyze("A text.")
    async with AsyncClient(transport=async_fake, retries=policy) as async_client:
        with pytest.raises(type(error)):
            await async_client.analyze("A text.")
    assert len(fake.requests) == len(async_fake.requests) == attempts


async def test_many_articles_go_at_the_pace_of_a_busy_server() -> None:
    policy = RetryPolicy(attempts=1, backoff_s=0)
    busy = ServerOverloadedError("x")
    with Client(transport=Failing(busy, 5), retries=policy) as client:
        assert all(isinstance(result, Report) for result in client.analyze_many(["One.", "Two."], in_flight=1))
    async with AsyncClient(transport=Failing(busy, 5), retries=policy) as async_client:
        results = [result async for result in async_client.analyze_many(["One.", "Two."], in_flight=1)]
    assert all(isinstance(result, Report) for result in results)
    with Client(transport=Failing(busy, 10**9), retries=RetryPolicy(backoff_s=0.01), timeout_s=0.1) as client:
        (result,) = client.analyze_many(["One."])
    assert isinstance(result, ServerOverloadedError | RequestTimeoutError)


def test_a_server_that_comes_back_in_time_is_enough() -> None:
    with Client(transport=Failing(ServerUnavailableError("x"), 2), retries=NO_PAUSE) as client:
        assert client.analyze("A text.").summary is not None


def test_no_pause_goes_past_the_deadline() -> None:
    fake = FakeTransport(ServerUnavailableError("x"))
    retries = RetryPolicy(backoff_s=60, max_backoff_s=60)
    with Client(transport=fake, retries=retries) as client, pytest.raises(ServerUnavailableError):
        client.analyze("A text.", timeout_s=5)
    assert len(fake.requests) == 1
    assert 0 < fake.timeouts_s[0] <= 5


def test_pauses_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=9, backoff_s=1, max_backoff_s=3)
    for attempt, longest_s in [(1, 1), (2, 2), (3, 3), (8, 3)]:
        pause_s = policy.pause_s(ServerUnavailableError("x"), attempt)
        assert pause_s is not None
        assert longest_s / 2 <= pause_s <= longest_s
    assert policy.pause_s(ServerUnavailableError("x"), 9) is None


@pytest.mark.parametrize("values", [{"attempts": 0}, {"backoff_s": -1}, {"max_backoff_s": float("inf")}])
def test_retry_settings_are_checked(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingError):
        RetryPolicy(**values)


# Many articles

ITEMS = ["one", "  ", "reject", InvalidArticleError("unreadable"), Article(text="two"), 7, "three"]
RESULTS = [
    "one",
    "InvalidArticleError",
    "RequestRejectedError",
    "InvalidArticleError",
    "two",
    "InvalidArticleError",
    "three",
]


def test_one_bad_article_does_not_lose_the_others() -> None:
    with Client(transport=FakeTransport(by_text)) as client:
        assert texts(list(client.analyze_many(ITEMS, in_flight=2))) == RESULTS  # type: ignore[arg-type]
        assert list(client.analyze_many([])) == []


async def test_one_bad_article_does_not_lose_the_others_async() -> None:
    async def stream() -> AsyncIterator[Any]:
        for item in ITEMS:
            yield item

    async with AsyncClient(transport=FakeTransport(by_text)) as client:
        for source in (ITEMS, stream()):
            assert texts([r async for r in client.analyze_many(source, in_flight=2)]) == RESULTS  # type: ignore[arg-type]


def test_in_flight_is_reached_and_bounded_and_order_is_kept() -> None:
    lock, now, most = threading.Lock(), 0, 0
    together = threading.Barrier(4)  # breaks, and fails the test, unless four requests are under way at once

    def answer(article: Article) -> Report:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(10)
        with lock:
            now -= 1
        return fake_report(summary=article.text)

    names = [str(number) for number in range(12)]
    with Client(transport=FakeTransport(answer)) as client:
        assert texts(list(client.analyze_many(names, in_flight=4))) == names
    assert most == 4


async def test_in_flight_is_bounded_async() -> None:
    now = most = 0

    class Slow(FakeTransport):
        async def ainfer(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            return await super().ainfer(*args, **kwargs)

    names = [str(number) for number in range(20)]
    async with AsyncClient(transport=Slow(by_text)) as client:
        assert texts([r async for r in client.analyze_many(names, in_flight=4)]) == names
    assert most == 4


async def test_articles_are_taken_as_they_are_needed() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"article {taken}"

    with Client(transport=FakeTransport(by_text)) as client:
        results = client.analyze_many(endless(), in_flight=3)
        assert taken == 0
        assert texts([next(results)]) == ["article 1"]
        assert taken == 6
        results.close()
    taken = 0
    async with AsyncClient(transport=FakeTransport(by_text)) as async_client:
        async_results = async_client.analyze_many(endless(), in_flight=3)
        assert texts([await anext(async_results)]) == ["article 1"]
        assert taken == 6
        await async_results.aclose()


def test_a_failing_iterable_loses_nothing_that_came_before() -> None:
    def broken() -> Iterator[str]:
        yield "one"
        raise OSError("the disk went away")

    with Client(transport=FakeTransport(by_text)) as client:
        results = client.analyze_many(broken())
        assert texts([next(results)]) == ["one"]
        with pytest.raises(OSError, match="went away"):
            next(results)


@pytest.mark.parametrize("in_flight", [0, True, 2.5])
def test_in_flight_is_checked_at_once(in_flight: Any) -> None:
    with Client(transport=FakeTransport()) as client, pytest.raises(InvalidSettingError, match="in_flight"):
        client.analyze_many(["x"], in_flight=in_flight)
