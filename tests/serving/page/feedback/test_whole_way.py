"""From a reader's star to the editor's page, with a real server: nothing between them is made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.common.server import Started, started_server
from infolens import Client
from tests.serving.page.conftest import PATIENCE_MS, WIDE
from tests.serving.page.feedback.watched import analyzed, thanked
from tests.serving.page.line import Line, line_to
from tests.serving.page.things import TEXT, TITLE, paste, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.system
ENOUGH = 24
"""Ratings of others: below twenty the page says that there are too few to say."""


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A server that asks about each article blindly, where the page lets it."""
    folder = tmp_path_factory.mktemp("rated")
    feedback = ["--feedback-url", f"sqlite:///{folder / 'feedback.sqlite'}", "--audit-share", "1"]
    with started_server(["--log-file", str(folder / "triton.log"), *feedback]) as server:
        yield server


@pytest.fixture
def line(rated: Started) -> Iterator[Line]:
    with line_to(rated.http_url) as line:
        yield line


@pytest.fixture
def page(browser: Browser, line: Line) -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE, locale="en-GB", base_url=line.url)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto("/")
    page.get_by_text("Server ready").wait_for()
    yield page
    context.close()


def figure(page: Page, task: str) -> dict[str, Any]:
    """What the server says of the model of a task."""
    models = page.request.get("/v1/quality?days=7").json()["models"]
    return next((one for one in models if one["task"] == task), {})


def ratings(page: Page) -> int:
    return int((figure(page, "summary").get("satisfaction") or {"ratings": 0})["ratings"])


def test_a_rating_given_while_the_server_was_away_moves_the_editors_page(page: Page, line: Line) -> None:
    with Client(line.url) as client:
        for number in range(ENOUGH):
            report = client.analyze(f"{TEXT} It is notice number {number}.", tasks=["summary"])
            client.rate(report, stars=2, rater=f"desk-{number}")
    until(page, lambda: ratings(page) == ENOUGH)
    page.goto("/quality?days=7")
    card = page.locator(".cards > *").first
    card.get_by_text(f"from {ENOUGH} ratings").first.wait_for()
    before = figure(page, "summary")["satisfaction"]["value"]
    assert before == 2

    page.goto("/")
    paste(page, TEXT, TITLE)
    page.locator(".card.summary .rating").first.wait_for()
    line.cut()
    page.locator(".card.summary").get_by_role("radio", name="5 stars").check(force=True)
    page.get_by_text("1 rating waits for the server").wait_for()
    line.mend()
    thanked(page)

    until(page, lambda: ratings(page) == ENOUGH + 1)
    assert figure(page, "summary")["satisfaction"]["value"] == pytest.approx((2 * ENOUGH + 5) / (ENOUGH + 1), abs=0.01)
    page.goto("/quality?days=7")
    card.get_by_text(f"from {ENOUGH + 1} ratings").first.wait_for()


def test_ours_is_nowhere_in_the_page_before_theirs_is_said(page: Page, line: Line) -> None:
    text = f"{TEXT} Nobody has been asked about this notice."  # of one article one label is asked for, once
    with Client(line.url) as client:
        ours = client.analyze(text, title=TITLE, tasks=["category", "veracity"])
    heard: list[str] = []
    page.on("response", lambda one: heard.append(one.text()) if one.url.endswith("/v1/analyze") else None)
    paste(page, text, TITLE)
    page.locator(".audit").wait_for()
    page.locator(".bars").first.wait_for()
    task = "category" if page.locator(".card.category .audit").count() else "veracity"
    (answer,) = [one for one in map(json.loads, heard) if one.get("audit")]
    assert list(answer["audit"]["tasks"]) == [task]
    assert not {task, "readings"} & {name for name, value in answer.items() if value}
    probability = str(ours.to_dict()[task]["probability"])[:8]
    kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.documentElement.outerHTML])")
    everything = "".join(heard) + kept
    assert probability not in everything
    assert page.request.get(f"/v1/predictions/{answer['prediction']}").json()["answers"] == {}

    page.locator(f".card.{task} .choices button").last.click()
    page.locator(f".card.{task} .compared").wait_for()
    found = page.request.get(f"/v1/predictions/{answer['prediction']}").json()
    assert list(found["answers"]) == [task]
    assert [one["audit"] for one in found["feedback"]] == [True]
    until(page, lambda: (figure(page, task).get("audit") or {"ratings": 0})["ratings"] == 1)
    assert figure(page, task)["accuracy"] is None  # the volunteered ones are apart, and there are none


def test_without_an_audit_all_three_are_rated(page: Page) -> None:
    page.get_by_text("Exact settings").click()
    page.get_by_label("Also show the sentences").check()
    analyzed(page)
