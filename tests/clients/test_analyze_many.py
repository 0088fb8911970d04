"""Many articles at once: order, bounds, and failures that touch one article only."""

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
    InfoLensError,
    InvalidArticleError,
    InvalidSettingError,
    Report,
    RequestRejectedError,
)
from infolens.testing import FakeTransport, fake_report


def by_text(article: Article) -> Report | InfoLensError:
    if "reject" in article.text:
        return RequestRejectedError("the text is not to the server's taste")
    return fake_report(summary=article.text)


def texts(results: list[Report | InfoLensError]) -> list[str]:
    return [r.summary.text if isinstance(r, Report) and r.summary else type(r).__name__ for r in results]


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
    lock, now, maximum = threading.Lock(), 0, 0
    together = threading.Barrier(4)  # breaks, and fails the test, unless four requests are under way at once

    def answer(article: Article) -> Report:
        nonlocal now, maximum
        with lock:
            now += 1
            maximum = max(maximum, now)
        together.wait(10)
        with lock:
            now -= 1
        return fake_report(summary=article.text)

    names = [str(number) for number in range(12)]
    with Client(transport=FakeTransport(answer)) as client:
        assert texts(list(client.analyze_many(names, in_flight=4))) == names
    assert maximum == 4


async def test_in_flight_is_bounded_async() -> None:
    now = maximum = 0

    class Slow(FakeTransport):
        async def ainfer(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal now, maximum
            now += 1
            maximum = max(maximum, now)
            await asyncio.sleep(0)
            now -= 1
            return await super().ainfer(*args, **kwargs)

    names = [str(number) for number in range(20)]
    async with AsyncClient(transport=Slow(by_text)) as client:
        assert texts([r async for r in client.analyze_many(names, in_flight=4)]) == names
    assert maximum == 4


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


@pytest.mark.parametrize("wrong", [{"in_flight": 0}, {"in_flight": True}, {"in_flight": 2.5}, {"partial": 1}])
def test_arguments_are_checked_at_once(wrong: dict[str, Any]) -> None:
    with Client(transport=FakeTransport()) as client, pytest.raises(InvalidSettingError, match=next(iter(wrong))):
        client.analyze_many(["x"], **wrong)
