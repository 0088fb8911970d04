"""What is asked of readers is for everybody: axe finds nothing, light or dark, wide or narrow; paper has none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.serving.page.feedback.watched import Watched, analyzed, thanked
from tests.serving.page.test_everybody import NARROW, nothing_found
from tests.serving.page.things import TEXT, TITLE, paste

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.system
Opens = Callable[..., tuple["Page", Watched]]


@pytest.mark.parametrize("narrow", [False, True])
def test_ratings(opened: Opens, narrow: bool) -> None:
    page, watched = opened(texts=True, unsure=True)
    if narrow:
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    analyzed(page)
    nothing_found(page)
    page.get_by_role("radio", name="3 stars").check(force=True)
    page.locator(".card.category").get_by_role("radio", name="Wrong").check(force=True)
    thanked(page)
    page.get_by_text("Write a better one").click()
    page.locator(".card.category").get_by_label("More about this answer").click()
    nothing_found(page)
    watched.refuses = (404, "there is no such prediction")
    page.get_by_role("radio", name="1 star:").check(force=True)
    page.locator(".rating .bad").wait_for()
    watched.away = True
    page.locator(".card.category").get_by_role("radio", name="Right").check(force=True)
    page.get_by_text("1 rating waits for the server").wait_for()
    nothing_found(page)


@pytest.mark.parametrize("narrow", [False, True])
def test_a_blind_audit(opened: Opens, narrow: bool) -> None:
    page, _ = opened(texts=True, audit_share=1.0)
    if narrow:
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    paste(page, TEXT, TITLE)
    page.locator(".audit").wait_for()
    page.locator(".rating").first.wait_for()
    nothing_found(page)
    page.locator(".choices button").last.click()
    page.locator(".compared").wait_for()
    nothing_found(page)


def test_the_keyboard_is_enough_and_paper_has_none_of_it(opened: Opens) -> None:
    page, watched = opened()
    analyzed(page)
    names = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        names.add(page.evaluate("document.activeElement.name || document.activeElement.ariaLabel"))
    assert {"stars-summary", "right-category", "right-veracity", "More about this answer"} <= names
    page.locator(".card.summary").get_by_label("More about this answer").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".card.summary").get_by_text("has forgotten").wait_for()
    assert len(watched.erased) == 1
    page.emulate_media(media="print")
    assert not any(one.is_visible() for one in page.locator(".rating").all())
    assert page.locator(".summary-text").is_visible()
