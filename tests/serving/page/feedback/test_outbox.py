"""The outbox: what is said reaches the server exactly once, over cuts, reloads and tabs; what it refuses is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serving.keys.records import Role
from tests.serving.gateway.access.keyed import made
from tests.serving.page.feedback.watched import Watched, analyzed, thanked, use_key
from tests.serving.page.line import Line
from tests.serving.page.things import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.system
LOCKS = "navigator.locks.query().then(({ held, pending }) => [held.length, pending.length])"
"""How many tabs send, and how many wait to."""
Opens = Callable[..., tuple["Page", Watched]]


def star(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).check(force=True)


def test_a_rating_waits_while_the_server_is_away_and_is_seen_to(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    watched.away = True
    star(page, "4 stars")
    page.get_by_text("1 rating waits for the server").wait_for()
    page.get_by_text("Kept in this browser").wait_for()
    watched.away = False
    thanked(page)
    assert page.get_by_text("waits for the server").count() == 0
    assert len(watched.counted) == 1


def test_an_acknowledgement_that_was_lost_counts_nothing_twice(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    watched.lose = 2
    star(page, "5 stars")
    thanked(page)
    assert len(watched.ratings) == 3
    assert len(watched.tokens) == len(watched.counted) == 1


def test_it_outlives_a_reload_and_a_tab(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    watched.away = True
    star(page, "4 stars")
    page.get_by_text("1 rating waits for the server").wait_for()
    page.reload()
    page.get_by_text("1 rating waits for the server").wait_for()
    other = page.context.new_page()
    page.close()
    watched.away = False
    other.goto(watched.url)
    until(other, lambda: len(watched.counted) == 1)
    until(other, lambda: other.get_by_text("waits for the server").count() == 0)
    other.reload()
    other.get_by_text("Server ready").wait_for()
    assert len(watched.tokens) == 1


def test_of_several_tabs_one_sends(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    tabs = [page, *(page.context.new_page() for _ in range(3))]
    for tab in tabs[1:]:
        tab.goto(watched.url)
        tab.get_by_text("Server ready").wait_for()
    watched.away = True
    star(page, "4 stars")
    page.locator(".card.category").get_by_role("radio", name="Right").check(force=True)
    for tab in tabs:
        tab.get_by_text("2 ratings wait for the server").wait_for()
    watched.away, watched.holding = False, True
    for tab in tabs:
        tab.evaluate("() => { window.dispatchEvent(new Event('online')) }")
    # One is at it, and the others wait until it is done.
    until(page, lambda: page.evaluate(LOCKS) == [1, 3])
    assert len({one.token for one in watched.ratings}) == len(watched.ratings) == 1
    watched.release()
    until(page, lambda: len(watched.counted) == 2)
    for tab in tabs:
        until(tab, lambda tab=tab: tab.get_by_text("for the server.").count() == 0)  # type: ignore[misc]
    assert len(watched.ratings) == 2


def test_a_change_of_mind_before_it_was_sent_sends_one(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    star(page, "1 star:")
    star(page, "5 stars")
    thanked(page)
    assert [one.body["ratings"]["summary"]["stars"] for one in watched.ratings] == [5]


@pytest.mark.parametrize("status", [404, 422])
def test_what_the_server_refuses_is_told_and_not_sent_again(opened: Opens, status: int) -> None:
    page, watched = opened()
    analyzed(page)
    watched.refuses = (status, "there is no such prediction")
    star(page, "4 stars")
    page.locator(".card.summary .bad").get_by_text("there is no such prediction").wait_for()
    watched.refuses = None
    page.locator(".card.category").get_by_role("radio", name="Right").check(force=True)
    until(page, lambda: len(watched.counted) == 1)
    assert len(watched.ratings) == 2


def test_a_refusal_is_told_even_when_its_article_is_gone(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    watched.away = True
    star(page, "4 stars")
    page.get_by_text("1 rating waits for the server").wait_for()
    page.get_by_role("button", name="New article").click()
    watched.refuses, watched.away = (404, "there is no such prediction"), False
    notice = page.locator(".notice.bad")
    notice.get_by_text("there is no such prediction").wait_for()
    page.reload()
    notice.get_by_role("button", name="Dismiss").click()
    until(page, lambda: notice.count() == 0)
    page.reload()
    page.get_by_text("Server ready").wait_for()
    assert notice.count() == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_full_spool_and_a_busy_server_are_waited_for(opened: Opens, status: int) -> None:
    page, watched = opened()
    analyzed(page)
    watched.refuses = (status, "the spool is full")
    star(page, "4 stars")
    page.get_by_text("1 rating waits for the server").wait_for()
    watched.refuses = None
    thanked(page)
    assert len(watched.counted) == len(watched.tokens) == 1


def test_forgetting_takes_back_what_still_waits(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    star(page, "4 stars")
    card = page.locator(".card.summary")
    card.get_by_label("More about this answer").click()
    card.get_by_role("button", name="Forget this answer").click()
    card.get_by_text("The server has forgotten").wait_for()
    assert watched.ratings == []
    assert len(watched.erased) == 1


def test_a_page_of_a_strange_network_is_no_acknowledgement(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    watched.refuses = (200, "<html>Welcome to the hotel</html>")
    star(page, "4 stars")
    page.get_by_text("1 rating waits for the server").wait_for()
    watched.refuses = None
    thanked(page)
    assert len(watched.counted) == 1


def test_a_rating_is_sent_with_the_key_that_its_answer_was_asked_with(opened: Opens, tmp_path: Path) -> None:
    key = made(tmp_path)[0].create("desk", Role.READ)[0]
    page, watched = opened(key=key)
    analyzed(page)
    watched.away = True
    star(page, "4 stars")
    page.get_by_text("1 rating waits for the server").wait_for()
    other = page.context.new_page()
    page.close()
    watched.away = False
    other.goto(watched.url)
    other.get_by_label("API key").wait_for()  # it has none, and cannot send what was said with one
    assert other.get_by_text("waits for the server").count() == 0
    use_key(other, key)
    until(other, lambda: len(watched.counted) == 1)
    assert len(watched.tokens) == 1
    stored = other.evaluate("indexedDB.databases().then((all) => JSON.stringify([all, {...localStorage}]))")
    assert key not in stored


def test_a_real_server_that_was_cut_off_has_it_once(page: Page, line: Line) -> None:
    with page.expect_response(lambda one: '"tasks":["summary"]' in (one.request.post_data or "")) as asked:
        analyzed(page)
    prediction = asked.value.json()["prediction"]
    line.cut()
    star(page, "4 stars")
    page.get_by_text("1 rating waits for the server").wait_for()
    line.mend()
    thanked(page)
    found = page.request.get(f"{line.url}/v1/predictions/{prediction}").json()
    assert [one["ratings"]["summary"]["stars"] for one in found["feedback"]] == [4]


def test_without_locks_two_tabs_count_once(opened: Opens) -> None:
    page, watched = opened(script="Object.defineProperty(navigator, 'locks', { value: undefined })")
    analyzed(page)
    other = page.context.new_page()
    other.goto(watched.url)
    other.get_by_text("Server ready").wait_for()
    watched.away = True
    star(page, "4 stars")
    page.get_by_text("1 rating waits for the server").wait_for()
    watched.away = False
    thanked(page)
    until(other, lambda: other.get_by_text("waits for the server").count() == 0)
    assert len(watched.counted) == len(watched.tokens) == 1


def test_a_browser_that_keeps_nothing_rates_all_the_same(opened: Opens) -> None:
    page, watched = opened(script="Object.defineProperty(window, 'indexedDB', { value: undefined })")
    analyzed(page)
    watched.lose = 1
    star(page, "4 stars")
    thanked(page)
    assert len(watched.counted) == len(watched.tokens) == 1


def test_who_leaves_at_once_has_said_it(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))  # what waits for a second thought waits for ever
    star(page, "4 stars")
    page.get_by_text("Sending").wait_for()
    page.evaluate("() => { Object.defineProperty(document, 'hidden', { value: true }) }")
    page.evaluate("() => { document.dispatchEvent(new Event('visibilitychange')) }")
    until(page, lambda: len(watched.counted) == 1)
