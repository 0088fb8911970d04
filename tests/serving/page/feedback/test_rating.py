"""Ratings on the page: stars, right and wrong, words of one's own, consent, a change of mind, and forgetting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.serving.page.feedback.watched import Watched, analyzed, thanked
from tests.serving.page.things import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.system
Opens = Callable[..., tuple["Page", Watched]]


def test_stars_reach_the_server_and_the_latest_counts(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    page.get_by_role("radio", name="2 stars").check(force=True)
    thanked(page)
    page.get_by_role("radio", name="4 stars").check(force=True)
    until(page, lambda: len(watched.ratings) == 2)
    first, second = (one.body for one in watched.ratings)
    assert (first["ratings"], second["ratings"]) == ({"summary": {"stars": 2}}, {"summary": {"stars": 4}})
    assert first["prediction"] == second["prediction"]
    assert first["rater"] == second["rater"]
    assert first["rater"].startswith("page-")
    assert len(watched.tokens) == 2


def test_whoever_goes_over_the_stars_with_the_keyboard_says_one_thing(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    page.get_by_role("radio", name="1 star:").focus()
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    thanked(page)
    assert [one.body["ratings"] for one in watched.ratings] == [{"summary": {"stars": 5}}]
    assert page.get_by_role("group", name="How good is this summary?").is_visible()


def test_a_better_summary_and_a_note_go_with_the_stars(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    page.get_by_role("radio", name="3 stars").check(force=True)
    thanked(page)
    page.get_by_text("Write a better one").click()
    box = page.get_by_label("A better summary")
    assert box.input_value() == page.locator(".summary-text").inner_text()
    box.fill("It is closed. ")
    page.get_by_label("Note").fill("too long")
    page.reload()  # what was being written is not lost
    page.get_by_text("Write a better one").click()
    page.get_by_role("button", name="Send").click()
    until(page, lambda: len(watched.ratings) == 2)
    body = watched.ratings[1].body
    assert body["ratings"] == {"summary": {"stars": 3, "better": "It is closed."}}
    assert body["note"] == "too long"


def test_a_label_is_right_or_another_one_is(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    card = page.locator(".card.category")
    card.get_by_role("radio", name="Right").check(force=True)
    thanked(page)
    card.get_by_role("radio", name="Wrong").check(force=True)
    card.get_by_role("radio", name="Travel", exact=True).check(force=True)
    until(page, lambda: len(watched.ratings) == 2)
    assert card.get_by_role("radio", name="Business", exact=True).count() == 0  # what was just called wrong
    assert [one.body["ratings"] for one in watched.ratings] == [
        {"category": {"right": True}},
        {"category": {"right": False, "label": "Travel"}},
    ]


def test_where_no_label_was_shown_the_reader_says_his_own(opened: Opens) -> None:
    page, watched = opened(unsure=True)
    analyzed(page)
    card = page.locator(".card.veracity")
    assert card.get_by_role("radio", name="Wrong").count() == 0
    card.get_by_role("radio", name="like the fake ones").check(force=True)
    until(page, lambda: len(watched.ratings) == 1)
    assert watched.ratings[0].body["ratings"] == {"veracity": {"label": "fake"}}


def test_consent_is_asked_for_only_where_texts_are_kept(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    page.get_by_role("radio", name="4 stars").check(force=True)
    thanked(page)
    assert page.get_by_role("checkbox", name="training").count() == 0
    assert "consent" not in watched.ratings[0].body


def test_consent_is_given_and_taken_back(opened: Opens) -> None:
    page, watched = opened(texts=True)
    analyzed(page)
    page.get_by_role("radio", name="4 stars").check(force=True)
    thanked(page)
    box = page.get_by_role("checkbox", name="training")
    assert not box.is_checked()
    for number, given in ((1, True), (2, False)):
        box.set_checked(given)
        until(page, lambda number=number: len(watched.ratings) > number)  # type: ignore[misc]
        thanked(page)
    assert [one.body.get("consent", False) for one in watched.ratings] == [False, True, False]


def test_an_answer_is_forgotten_with_all_that_was_said(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    card = page.locator(".card.summary")
    page.get_by_role("radio", name="4 stars").check(force=True)
    thanked(page)
    card.get_by_label("More about this answer").click()
    page.keyboard.press("Escape")
    assert not card.get_by_role("button", name="Forget this answer").is_visible()
    card.get_by_label("More about this answer").click()
    card.get_by_role("button", name="Forget this answer").click()
    card.get_by_text("The server has forgotten").wait_for()
    assert watched.erased == [watched.ratings[0].body["prediction"]]
    page.reload()
    card.get_by_text("The server has forgotten").wait_for()


def test_a_server_that_keeps_nothing_is_not_rated(opened: Opens) -> None:
    page, _ = opened(keeps=False)
    analyzed(page, rated=False)
    assert page.locator(".rating, .audit").count() == 0
    assert "The server keeps none of it" in page.locator("footer").inner_text()


def test_what_is_kept_is_said(opened: Opens) -> None:
    page, _ = opened(texts=True)
    words = page.locator("footer").inner_text()
    assert "90 days" in words
    assert ", with the article" in words
    assert "keeps none" not in words


def test_a_row_of_a_table_is_rated_beside_its_text(opened: Opens) -> None:
    page, watched = opened()
    page.get_by_role("link", name="Many articles").click()
    page.get_by_text("Open a table").wait_for()
    data = {"name": "desk.csv", "mimeType": "", "buffer": b"headline,body\r\nBridge,The bridge will close in June.\r\n"}
    page.locator("input[type=file]").set_input_files(data)  # type: ignore[arg-type]
    page.get_by_role("button", name="Analyze all").click()
    page.locator(".progress").get_by_text("All done.").wait_for()
    page.get_by_role("button", name="Bridge", exact=True).click()
    page.get_by_role("button", name="Open beside its text").click()
    page.get_by_role("radio", name="4 stars").check(force=True)
    until(page, lambda: len(watched.ratings) == 1)
    assert watched.ratings[0].body["ratings"] == {"summary": {"stars": 4}}
