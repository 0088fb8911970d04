"""Ratings go to the server once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from infolens import (
    AsyncClient,
    Client,
    ClientClosedError,
    InferenceFailedError,
    InfoLensError,
    InvalidSettingError,
    PermissionDeniedError,
    PredictionNotFoundError,
    Rated,
    RequestRejectedError,
    RequestTimeoutError,
    RetryPolicy,
    ServerUnavailableError,
    UnexpectedResponseError,
)
from infolens.testing import FakeTransport, fake_report
from tests.clients.feedback.server import ID, Desk

both = pytest.mark.parametrize("kind", ["blocking", "asyncio"])


def call(kind: str, server: str, method: str, *args: Any, **more: Any) -> Any:
    """Call a method of the blocking or the asyncio client."""
    retries = RetryPolicy(backoff_s=0.0)
    if kind == "blocking":
        with Client(server, api_key="k", retries=retries) as client:
            return getattr(client, method)(*args, **more)

    async def called() -> Any:
        async with AsyncClient(server, api_key="k", retries=retries) as client:
            return await getattr(client, method)(*args, **more)

    return asyncio.run(called())


@both
def test_all_that_is_said_arrives(kind: str) -> None:
    desk = Desk()
    with desk.listening() as url:
        said = {"stars": 4, "better": "Shorter.", "category": "Politics", "veracity": False}
        rated = call(kind, url, "rate", ID, **said, note="a column", rater="desk-7", consent=True)
        call(kind, url, "rate", fake_report(prediction=ID), category=True)
    assert rated == Rated(id="r-1", prediction=ID, kept="database", repeated=False)
    assert ID not in repr(rated)
    first, second = desk.ratings.values()
    assert first == {
        "prediction": ID,
        "rater": "desk-7",
        "note": "a column",
        "consent": True,
        "ratings": {
            "summary": {"stars": 4, "better": "Shorter."},
            "category": {"label": "Politics"},
            "veracity": {"right": False},
        },
    }
    assert second == {"prediction": ID, "ratings": {"category": {"right": True}}}
    assert len(desk.ratings) == 2


@both
def test_a_rating_that_was_not_acknowledged_is_sent_again_and_counts_once(kind: str) -> None:
    desk = Desk(breaks=2)
    with desk.listening() as url:
        rated = call(kind, url, "rate", ID, stars=5)
    assert rated.repeated
    assert len(desk.asked) == 3
    assert len({token for _, _, token in desk.asked}) == len(desk.ratings) == 1


@both
def test_a_caller_may_bring_the_key(kind: str) -> None:
    desk = Desk()
    with desk.listening() as url:
        assert not call(kind, url, "rate", ID, stars=5, idempotency_key="mine-1").repeated
        assert call(kind, url, "rate", ID, stars=5, idempotency_key="mine-1").repeated
        with pytest.raises(RequestRejectedError, match="that of another rating"):
            call(kind, url, "rate", ID, stars=1, idempotency_key="mine-1")
    assert [*desk.ratings] == ["mine-1"]


@both
def test_after_a_time_out_the_caller_may_send_it_again(kind: str) -> None:
    desk = Desk(hold=threading.Event())
    with desk.listening() as url:
        with pytest.raises(RequestTimeoutError):
            call(kind, url, "rate", ID, stars=5, idempotency_key="mine-1", timeout_s=0.2)
        assert desk.has_kept.wait(10)
        assert desk.hold is not None
        desk.hold.set()
        assert call(kind, url, "rate", ID, stars=5, idempotency_key="mine-1").repeated
    assert len(desk.asked) == 2


@both
def test_a_full_spool_is_asked_again_as_the_policy_says(kind: str) -> None:
    away = ServerUnavailableError("the spool is full", retry_after_s=5)
    desk = Desk(refusals=[away, away])
    with desk.listening() as url:
        call(kind, url, "rate", ID, stars=5)
        desk.refusals = [away] * 3
        with pytest.raises(ServerUnavailableError, match="the spool is full") as caught:
            call(kind, url, "rate", ID, stars=5)
    assert caught.value.retry_after_s == 5


@both
@pytest.mark.parametrize("method", ["rate", "forget", "prediction"])
def test_what_is_not_there_is_said_so_without_its_id(kind: str, method: str) -> None:
    more = {"stars": 3} if method == "rate" else {}
    with Desk(known=set()).listening() as url, pytest.raises(PredictionNotFoundError, match="no such predic") as caught:
        call(kind, url, method, ID, **more)
    assert ID not in str(caught.value)


@both
@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        (PermissionDeniedError("this key made another"), PermissionDeniedError, "made another"),
        (RequestRejectedError("a label is one of Business, Sports"), RequestRejectedError, "one of Business, Sports"),
        ({"status": 404, "error": "Not Found"}, UnexpectedResponseError, "answers 404 there: update the server"),
        (
            {"type": "/v1/problems/not_found", "status": 404, "detail": "Not Found: this server offers a JSON API"},
            UnexpectedResponseError,
            "update the server",
        ),
        ({"status": 500, "error": "no more"}, InferenceFailedError, "no more"),
    ],
)
def test_refusals(kind: str, refusal: Any, error: type[InfoLensError], words: str) -> None:
    desk = Desk(refusals=[refusal])
    with desk.listening() as url, pytest.raises(error, match=words):
        call(kind, url, "rate", ID, stars=5)
    assert len(desk.asked) == 1


def test_a_server_that_keeps_no_feedback_says_why() -> None:
    none = {"type": "/v1/problems/not_found", "status": 404, "detail": "this server keeps no feedback: it may not"}
    desk = Desk(refusals=[none, none])
    with desk.listening() as url:
        with pytest.raises(RequestRejectedError, match="keeps no feedback: it may not") as caught:
            call("blocking", url, "quality")
        assert type(caught.value) is RequestRejectedError
        with pytest.raises(PredictionNotFoundError, match="keeps no feedback: it may not"):
            call("blocking", url, "rate", ID, stars=3)


@both
def test_what_is_no_answer_is_said_without_the_id(kind: str) -> None:
    with Desk(answers=lambda _: {"id": 7}).listening() as url:
        for method, more in (("rate", {"stars": 3}), ("forget", {}), ("prediction", {})):
            with pytest.raises(UnexpectedResponseError, match="must answer") as caught:
                call(kind, url, method, ID, **more)
            assert ID not in str(caught.value)
        with pytest.raises(UnexpectedResponseError, match="GET /v1/quality"):
            call(kind, url, "quality")


@both
def test_a_client_of_grpc_says_where_feedback_goes(kind: str) -> None:
    for method, more in (("rate", {"stars": 3}), ("forget", {}), ("prediction", {})):
        with pytest.raises(InvalidSettingError, match="give the client its HTTP address"):
            call(kind, "grpc://127.0.0.1:9", method, ID, **more)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "give stars, category, veracity or more"),
        ({"note": "good"}, "give stars, category, veracity or more"),
        ({"stars": 0}, "from 1 to 5, not 0"),
        ({"stars": True}, "from 1 to 5, not True"),
        ({"stars": 4.5}, "from 1 to 5"),
        ({"better": "Shorter."}, "give stars too"),
        ({"stars": 3, "better": " "}, "better is a text"),
        ({"stars": 3, "note": "\ud800"}, "note is a text in Unicode"),
        ({"category": "\ud800"}, "category is True where"),
        ({"category": ""}, "category is True where"),
        ({"category": 1}, "category is True where"),
        ({"more": {"summary": True}}, "a task with labels is one of category, veracity"),
        ({"more": {"mood": True}}, "a task with labels is one of"),
        ({"stars": 3, "consent": "yes"}, "consent is True or False"),
        ({"stars": 3, "rater": b"me"}, "rater is a text"),
        ({"stars": 3, "idempotency_key": "a b"}, "1 to 64 visible characters"),
        ({"stars": 3, "idempotency_key": "x" * 65}, "1 to 64 visible characters"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(wrong: dict[str, Any], words: str) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(InvalidSettingError, match=words):
        client.rate(ID, **wrong)


def test_what_is_no_id_is_not_sent() -> None:
    with Client("http://127.0.0.1:9") as client:
        for wrong in ("", ID[:-1], f"{ID}/", "../../../v1/predictions", None, 7):
            with pytest.raises(InvalidSettingError, match="22 letters, digits"):
                client.forget(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidSettingError, match="this report has no id"):
            client.rate(fake_report(), stars=3)
        for days in (0, 3651, True, 7.0):
            with pytest.raises(InvalidSettingError, match="from 1 to 3,650"):
                client.quality(days)  # type: ignore[arg-type]
    with pytest.raises(ClientClosedError):
        client.forget(ID)


def test_a_fake_keeps_what_programs_rate() -> None:
    transport = FakeTransport(fake_report(prediction=ID))
    with Client(transport=transport) as client:
        with pytest.raises(PredictionNotFoundError):
            client.rate(ID, stars=3)  # nothing was answered yet
        report = client.analyze("The home side won.")
        client.rate(report, stars=2, idempotency_key="k")
        assert client.rate(report, stars=2, idempotency_key="k").repeated
        with pytest.raises(RequestRejectedError):
            client.rate(report, stars=3, idempotency_key="k")
        assert transport.ratings == [{"prediction": ID, "ratings": {"summary": {"stars": 2}}}]
        assert [one["prediction"] for one in client.prediction(report).feedback] == [ID]
        assert client.quality().models == ()
        assert client.forget(report).done
        assert transport.ratings == []
        with pytest.raises(PredictionNotFoundError):
            client.forget(report)
    assert asyncio.run(AsyncClient(transport=transport).quality()).days == 30
