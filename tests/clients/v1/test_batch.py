"""Many articles through one HTTP request, against a small server on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from infolens import (
    Article,
    AsyncClient,
    BatchResult,
    Client,
    InferenceFailedError,
    InvalidArticleError,
    InvalidSettingError,
    Report,
    RequestRejectedError,
    SummaryOptions,
    Task,
)
from infolens.testing import FakeTransport, fake_report
from tests.clients.loopback import grpc_server
from tests.clients.v1.server import Answer, Row, Script, by_text, v1_server


def shown(results: list[BatchResult]) -> list[str]:
    """The summary of each result, or what kind of error it is."""
    return [r.report.summary.text if r.report and r.report.summary else type(r.error).__name__ for r in results]


def picky(row: Row) -> Answer:
    return RequestRejectedError("not to our taste") if "reject" in row["text"] else by_text(row)


ITEMS: list[Any] = [
    Article(text="one", title="T", id="a"),
    "  ",
    Article(text="reject", id="b"),
    InvalidArticleError("unreadable"),
    Article(text="zwei — Grüße\x00\u2028"),
    7,
    "three",
]
SHOWN = [
    "one",
    "InvalidArticleError",
    "RequestRejectedError",
    "InvalidArticleError",
    "zwei — Grüße\x00\u2028",
    "InvalidArticleError",
    "three",
]


async def everything(results: AsyncIterator[BatchResult]) -> list[BatchResult]:
    return [result async for result in results]


async def test_one_bad_article_does_not_lose_the_others() -> None:
    script = Script(answer=picky)
    with v1_server(script) as url:
        with Client(url) as client:
            results = list(client.analyze_batch(ITEMS))
            assert list(client.analyze_batch([])) == []
        async with AsyncClient(url) as async_client:
            assert shown(await everything(async_client.analyze_batch(ITEMS))) == SHOWN
    assert shown(results) == SHOWN
    assert [result.index for result in results] == list(range(7))
    assert [result.id for result in results] == ["a", None, "b", None, None, None, None]
    assert url in str(results[2].error)
    assert "not to our taste" in str(results[2].error)
    assert script.batches == 2, "a batch of nothing needs no server"


def test_what_is_asked_reaches_the_server_and_partial_answers_come_back() -> None:
    script = Script(answer=lambda row: fake_report(category="Sports", failed={Task.SUMMARY: "it broke"}))
    options = SummaryOptions(num_beams=2, length_penalty=0.5)
    with v1_server(script) as url, Client(url) as client:
        article = Article(text="x", title="T", id="a")
        (result,) = client.analyze_batch([article], options=options, partial=True, timeout_s=7)
        (other,) = client.analyze_batch(["y"], tasks="category", options=options)
    assert script.rows[0] == {
        "text": "x",
        "title": "T",
        "id": "a",
        "tasks": ["summary", "category", "veracity"],
        "summary": {"num_beams": 2, "length_penalty": 0.5},
        "deadline_ms": 7000,
        "partial": True,
    }
    assert script.rows[1] == {"text": "y", "tasks": ["category"], "deadline_ms": 30_000}
    assert result.report == fake_report(category="Sports", failed={Task.SUMMARY: "it broke"})
    assert other.report is not None
    assert list(other.report.answers) == [Task.CATEGORY]


@pytest.mark.parametrize("ordered", [True, False])
async def test_many_go_through_one_connection_and_no_more_than_agreed_are_open(ordered: bool) -> None:
    names = [str(number) for number in range(500)]
    script = Script()
    with v1_server(script) as url:
        with Client(url) as client:
            results = list(client.analyze_batch(names, ordered=ordered, in_flight=16))
        async with AsyncClient(url) as async_client:
            more = await everything(async_client.analyze_batch(iter(names), ordered=ordered, in_flight=16))
    for found in (results, more):
        assert sorted(result.index for result in found) == list(range(500))
        assert [names[result.index] for result in found] == shown(found)
        assert not ordered or shown(found) == names
    assert script.batches == 2
    assert 1 <= script.most_unanswered <= 16


def test_results_come_as_they_are_finished_where_the_order_does_not_matter() -> None:
    async def slow_first(row: Row) -> Answer:
        if row["text"] == "0":
            await asyncio.to_thread(released.wait, 10)
        return by_text(row)

    released = threading.Event()
    names = [str(number) for number in range(20)]
    with v1_server(Script(answer=slow_first)) as url, Client(url) as client:
        results = client.analyze_batch(names, ordered=False)
        found = [next(results) for _ in range(19)]
        assert "0" not in shown(found)
        released.set()
        assert shown(list(results)) == ["0"]


async def test_answers_come_back_while_articles_are_still_sent() -> None:
    answered = asyncio.Event()

    async def waits_for_the_first() -> AsyncIterator[Any]:
        yield "one"
        await answered.wait()
        yield "two"

    script = Script()
    with v1_server(script) as url:
        async with AsyncClient(url) as client:
            results = client.analyze_batch(waits_for_the_first())
            assert shown([await anext(results)]) == ["one"]
            answered.set()
            assert shown(await everything(results)) == ["two"]
    assert script.batches == 1


def test_articles_are_taken_as_they_are_needed_and_in_the_callers_thread() -> None:
    taken, threads = 0, set()

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            threads.add(threading.get_ident())
            yield f"article {taken}"

    script = Script()
    with v1_server(script) as url, Client(url) as client:
        results = client.analyze_batch(endless(), in_flight=3)
        assert taken == 0
        assert shown([next(results) for _ in range(10)])[9] == "article 10"
        assert taken <= 10 + 2 * 3
        results.close()
        assert threads == {threading.get_ident()}
        assert not [thread for thread in threading.enumerate() if thread.name == "infolens-batch"]


async def test_a_caller_who_leaves_ends_the_request() -> None:
    hold = threading.Event()

    async def never(row: Row) -> Answer:
        await asyncio.to_thread(hold.wait, 10)
        return by_text(row)

    async def first_at_once(row: Row) -> Answer:
        return by_text(row) if row["text"] == "0" else await never(row)

    names = [str(number) for number in range(20)]
    script = Script(answer=first_at_once)
    with v1_server(script) as url:
        with Client(url) as client:
            results = client.analyze_batch(names)
            assert shown([next(results)]) == ["0"]
            results.close()
            assert script.left.wait(10)
        script.left.clear()
        async with AsyncClient(url) as async_client:
            async_results = async_client.analyze_batch(names)
            assert shown([await anext(async_results)]) == ["0"]
            await async_results.aclose()
            assert await asyncio.to_thread(script.left.wait, 10)
        hold.set()


async def test_a_failing_iterable_loses_nothing_that_came_before() -> None:
    def broken() -> Iterator[str]:
        yield "one"
        yield "two"
        raise OSError("the disk went away")

    with v1_server(Script()) as url:
        with Client(url) as client:
            results = client.analyze_batch(broken())
            assert shown([next(results), next(results)]) == ["one", "two"]
            with pytest.raises(OSError, match="went away"):
                next(results)
        async with AsyncClient(url) as async_client:
            async_results = async_client.analyze_batch(broken())
            assert shown([await anext(async_results), await anext(async_results)]) == ["one", "two"]
            with pytest.raises(OSError, match="went away"):
                await anext(async_results)


async def test_over_grpc_and_other_transports_the_articles_go_as_in_analyze_many() -> None:
    fake = FakeTransport(lambda article: fake_report(summary=article.text))
    items = ["one", " ", Article(text="two", id="b")]
    wanted = ["one", "InvalidArticleError", "two"]
    with grpc_server(fake) as url:
        for client in (Client(url), Client(transport=fake)):
            with client:
                results = list(client.analyze_batch(items, ordered=False))
                assert shown(results) == wanted
                assert [(result.index, result.id) for result in results] == [(0, None), (1, None), (2, "b")]
        async with AsyncClient(url) as async_client:
            assert shown(await everything(async_client.analyze_batch(items))) == wanted


@pytest.mark.parametrize(
    "wrong", [{"in_flight": 0}, {"partial": 1}, {"tasks": "mood"}, {"timeout_s": 0}, {"options": {"num_beams": 2}}]
)
def test_arguments_are_checked_at_once(wrong: dict[str, Any]) -> None:
    with Client("http://127.0.0.1:1") as client, Client(transport=FakeTransport()) as other:
        for one in (client, other, AsyncClient("http://127.0.0.1:1")):
            with pytest.raises(InvalidSettingError):
                one.analyze_batch(["x"], **wrong)


def test_an_article_whose_tasks_all_failed_is_an_error() -> None:
    with v1_server(Script(answer=lambda _: InferenceFailedError("boom"))) as url, Client(url) as client:
        (result,) = client.analyze_batch([Article(text="x", id="a")])
    assert (result.index, result.id, result.report) == (0, "a", None)
    assert isinstance(result.error, InferenceFailedError)
    assert not isinstance(result.result, Report)
