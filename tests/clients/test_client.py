"""One article through the client, over a transport without a network."""

from __future__ import annotations

from typing import Any

import pytest

from infolens import (
    Article,
    AsyncClient,
    Client,
    ClientClosedError,
    InfoLensError,
    InvalidArticleError,
    InvalidSettingError,
    SummaryOptions,
    Task,
)
from infolens.testing import FakeTransport, fake_report


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


def test_several_tasks_are_one_request_and_a_single_one_asks_its_own_ensemble() -> None:
    fake = FakeTransport()
    with Client(transport=fake) as client:
        report = client.analyze("A text.", tasks=["veracity", "summary"])
        client.summarize("A text.", options=SummaryOptions(num_beams=1))
        client.classify("A text.")
        client.verify("A text.")
    assert list(report.answers) == [Task.SUMMARY, Task.VERACITY]
    assert [request.model for request in fake.requests] == ["info_lens", "summarize", "classify", "verify"]
    assert "category" not in fake.requests[0].outputs


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


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"article": " "}, InvalidArticleError),
        ({"article": b"bytes"}, InvalidArticleError),
        ({"article": Article(text="x"), "title": "twice"}, InvalidArticleError),
        ({"article": "x", "tasks": ["mood"]}, InvalidSettingError),
        ({"article": "x", "options": {"num_beams": 2}}, InvalidSettingError),
        ({"article": "x", "partial": "yes"}, InvalidSettingError),
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
