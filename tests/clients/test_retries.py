"""Which failures are tried again, and how long everything may take."""

from __future__ import annotations

from typing import Any

import pytest

from infolens import (
    AsyncClient,
    Client,
    InferenceFailedError,
    InfoLensError,
    InvalidSettingError,
    ModelUnavailableError,
    Report,
    RequestRejectedError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
    UnexpectedResponseError,
)
from infolens.testing import FakeTransport, fake_report
from tests.clients.conftest import Clock

NO_PAUSE = RetryPolicy(attempts=3, backoff_s=0)


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


def test_a_server_that_stays_busy_is_asked_again_until_the_articles_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("infolens.client.time", clock)
    monkeypatch.setattr("infolens._transports.retry.time", clock)
    fake = FakeTransport(ServerOverloadedError("x"))
    retries = RetryPolicy(attempts=1, backoff_s=1, max_backoff_s=1)  # pauses of half a second to a whole one
    with Client(transport=fake, retries=retries, timeout_s=10) as client:
        (result,) = client.analyze_many(["One."])
    assert isinstance(result, ServerOverloadedError)
    assert 10 <= len(fake.requests) <= 20
    assert 9 <= clock.now_s < 10


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
