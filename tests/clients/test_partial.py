"""Partial answers: what the client asks for, and what it makes of a task that failed."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from infolens import (
    AsyncClient,
    Client,
    InferenceFailedError,
    InfoLensError,
    Report,
    RequestTimeoutError,
    RetryPolicy,
    ServerUnavailableError,
    Task,
    UnexpectedResponseError,
)
from infolens._transports.answering import pack_report
from infolens._transports.wire import unpack
from infolens.testing import FakeTransport, fake_report
from tests.clients.loopback import grpc_server, http_server

REASON = "Request timeout expired"
NO_SUMMARY = fake_report(failed={Task.SUMMARY: REASON})
SERVERS = pytest.mark.parametrize("serve", [grpc_server, http_server], ids=["grpc", "http"])


def check(report: object) -> None:
    assert isinstance(report, Report)
    assert report.failed == {Task.SUMMARY: REASON}
    assert report.summary is None
    assert list(report.answers) == [Task.CATEGORY, Task.VERACITY]


def test_one_failed_task_fails_the_whole_unless_partial_answers_are_asked_for() -> None:
    fake = FakeTransport(NO_SUMMARY)
    with Client(transport=fake) as client:
        with pytest.raises(InferenceFailedError, match=REASON):
            client.analyze("A text.")
        check(client.analyze("A text.", partial=True))
        (whole,) = client.analyze_many(["A text."])
        (part,) = client.analyze_many(["A text."], partial=True)
    assert isinstance(whole, InferenceFailedError)
    check(part)
    assert ["failed" in request.outputs for request in fake.requests] == [False, True, False, True]
    assert [dict(request.parameters) for request in fake.requests] == [{}, {"partial": True}] * 2


async def test_the_async_client_too() -> None:
    async with AsyncClient(transport=FakeTransport(NO_SUMMARY)) as client:
        with pytest.raises(InferenceFailedError, match=REASON):
            await client.analyze("A text.")
        check(await client.analyze("A text.", partial=True))
        async for result in client.analyze_many(["A text.", "Another."], partial=True):
            check(result)


REFUSED = fake_report(failed={Task.SUMMARY: "Exceeds maximum queue size"})
AT_ONCE = RetryPolicy(backoff_s=0)


class Busy(FakeTransport):
    """Refuses the summary a number of times, then answers everything."""

    def __init__(self, times: int, then: Report | InfoLensError | None = None) -> None:
        self.left, self.then = times, then or fake_report()
        super().__init__(lambda _: self._next())

    def _next(self) -> Report | InfoLensError:
        self.left -= 1
        return REFUSED if self.left >= 0 else self.then


async def test_many_partial_answers_go_at_the_pace_of_a_busy_server() -> None:
    with Client(transport=Busy(5), retries=AT_ONCE) as client:
        reports = list(client.analyze_many(["One.", "Two."], partial=True, in_flight=1))
    async with AsyncClient(transport=Busy(5), retries=AT_ONCE) as async_client:
        reports += [report async for report in async_client.analyze_many(["One.", "Two."], partial=True, in_flight=1)]
    assert [report.failed for report in reports if isinstance(report, Report)] == [{}] * 4


async def test_one_partial_answer_is_asked_for_again_where_the_policy_says_so() -> None:
    twice = RetryPolicy(backoff_s=0, attempts=2, on_overload=True)
    for policy, times, failed in ((AT_ONCE, 1, True), (twice, 1, False), (twice, 2, True)):
        with Client(transport=Busy(times), retries=policy) as client:
            assert bool(client.analyze("One.", partial=True).failed) is failed
        async with AsyncClient(transport=Busy(times), retries=policy) as async_client:
            assert bool((await async_client.analyze("One.", partial=True)).failed) is failed


async def test_what_was_answered_is_kept_when_the_next_attempt_fails() -> None:
    broken = RequestTimeoutError("no answer")
    with Client(transport=Busy(1, broken), retries=AT_ONCE) as client:
        (report,) = client.analyze_many(["One."], partial=True)
    async with AsyncClient(transport=Busy(1, broken), retries=AT_ONCE) as async_client:
        (again,) = [report async for report in async_client.analyze_many(["One."], partial=True)]
    assert report == again
    assert isinstance(report, Report)
    assert report.failed == REFUSED.failed
    assert report.category is not None


async def test_a_policy_counts_every_attempt_whatever_failed() -> None:
    policy = RetryPolicy(backoff_s=0, attempts=3, on_overload=True)
    gone = ServerUnavailableError("nobody listens")
    fake, async_fake = Busy(1, gone), Busy(1, gone)
    with Client(transport=fake, retries=policy) as client:
        assert client.analyze("One.", partial=True).failed
    async with AsyncClient(transport=async_fake, retries=policy) as async_client:
        assert (await async_client.analyze("One.", partial=True)).failed
    assert len(fake.requests) == len(async_fake.requests) == policy.attempts


def test_an_error_stays_an_error_where_nothing_was_answered() -> None:
    fake = FakeTransport(NO_SUMMARY)
    with Client(transport=fake) as client, pytest.raises(InferenceFailedError):
        client.analyze("A text.", tasks="summary", partial=True)
    assert dict(fake.requests[0].parameters) == {}
    everything = FakeTransport(fake_report(failed=dict.fromkeys(Task, REASON)))
    with Client(transport=everything) as client, pytest.raises(InferenceFailedError):
        client.analyze("A text.", partial=True)


def test_a_task_that_was_not_asked_for_cannot_fail() -> None:
    with Client(transport=FakeTransport(NO_SUMMARY)) as client:
        report = client.analyze("A text.", tasks=["category", "veracity"], partial=True)
    assert report.failed == {}
    assert len(report.answers) == 2


@SERVERS
async def test_over_both_protocols(serve: Any) -> None:
    with serve(FakeTransport(NO_SUMMARY)) as url:
        with Client(url) as client:
            check(client.analyze("A text.", partial=True))
        async with AsyncClient(url) as async_client:
            check(await async_client.analyze("A text.", partial=True))


def test_the_report_says_what_failed_and_only_then() -> None:
    assert "failed" not in fake_report().to_dict()
    document = json.loads(json.dumps(NO_SUMMARY.to_dict()))
    assert document["failed"] == {"summary": REASON}
    assert "summary" not in document
    assert pickle.loads(pickle.dumps(NO_SUMMARY)) == NO_SUMMARY != fake_report()
    assert pickle.loads(pickle.dumps(NO_SUMMARY)).failed == {Task.SUMMARY: REASON}
    with pytest.raises(TypeError):
        NO_SUMMARY.failed[Task.CATEGORY] = "no"  # type: ignore[index]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "7",
        '{"summary": 7}',
        '{"mood": "unknown"}',
        '{"summary": "a", "category": "b", "veracity": "c"}',
    ],
)
def test_what_the_server_may_not_say_of_failures(text: str) -> None:
    arrays = {**pack_report(fake_report()), "failed": np.array([[text.encode()]], dtype=object)}
    with pytest.raises(UnexpectedResponseError, match="failed must be a JSON object from some of summary, category"):
        unpack(arrays, tuple(Task))
