"""The blind audit: the reader's label first, then ours beside it; over reloads, cuts, and with nothing said."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.serving.page.feedback.watched import Watched
from tests.serving.page.things import TEXT, TITLE, paste, until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.system
Opens = Callable[..., tuple["Page", Watched]]


def asked(page: Page) -> Locator:
    """Ask about an article, and be asked; returns the card with the question."""
    paste(page, TEXT, TITLE)
    page.locator(".audit").wait_for()
    page.locator(".summary-text").wait_for()
    page.locator(".bars").first.wait_for()  # of one article one label is asked for
    return page.locator(f".card.{'category' if page.locator('.card.category .audit').count() else 'veracity'}")


def test_ours_is_shown_once_theirs_is_said(opened: Opens) -> None:
    page, watched = opened(audit_share=1.0)
    card = asked(page)
    assert card.locator(".bars").count() == 0
    first, *_, last = card.locator(".choices button").all()
    ours, own = first.inner_text(), last.inner_text()
    last.click()
    compared = card.locator(".compared")
    compared.wait_for()
    assert f"You said\n{own}" in compared.inner_text()
    assert f"Ours\n{ours}" in compared.inner_text()
    assert card.locator(".bars").first.is_visible()
    until(page, lambda: bool(page.evaluate("document.activeElement.className === 'compared'")))
    (one,) = watched.audits
    assert list(one.body["labels"].values()) == [{"like the fake ones": "fake"}.get(own, own)]
    assert one.body["rater"].startswith("page-")
    assert card.get_by_role("radio", name="Right").count() == 0  # it was said already
    page.reload()
    compared.wait_for()


def test_whoever_passes_sees_ours_and_may_rate_it(opened: Opens) -> None:
    page, watched = opened(audit_share=1.0)
    card = asked(page)
    card.get_by_role("button", name="I would rather not say").click()
    card.locator(".bars").first.wait_for()
    assert watched.audits[0].body["labels"] == {}
    assert card.locator(".compared").count() == 0


def test_the_form_outlives_a_reload_and_shows_nothing_meanwhile(opened: Opens) -> None:
    page, watched = opened(audit_share=1.0)
    asked(page)
    before = len(watched.asked)
    page.reload()
    page.locator(".audit").wait_for()
    assert len(watched.asked) == before
    assert page.get_by_role("button", name="Save as JSON").is_disabled()  # it would hold ours


def test_what_was_said_is_sent_with_the_same_key_after_a_cut_and_a_reload(opened: Opens) -> None:
    page, watched = opened(audit_share=1.0)
    card = asked(page)
    watched.away = True
    card.locator(".choices button").last.click()
    card.get_by_text("Waiting for the server").wait_for()
    page.reload()
    card.get_by_text("Waiting for the server").wait_for()
    watched.lose = 1
    watched.away = False
    card.locator(".compared").wait_for()
    assert len({one.token for one in watched.audits}) == 1


def test_an_audit_that_the_server_knows_no_more_ends_with_an_ordinary_answer(opened: Opens) -> None:
    page, watched = opened(audit_share=1.0)
    card = asked(page)
    watched.refuses = (404, "there is no such prediction")
    card.locator(".choices button").last.click()
    card.locator(".bars").first.wait_for()
    assert card.locator(".compared").count() == 0
    assert "audit" not in watched.asked[-1]


def test_the_sentences_that_moved_an_answer_are_not_withheld(opened: Opens) -> None:
    page, watched = opened(audit_share=1.0)
    page.get_by_text("Exact settings").click()
    page.get_by_label("Also show the sentences").check()
    paste(page, TEXT, TITLE)
    page.locator(".card.category .bars").first.wait_for()
    assert not any(one.get("audit") for one in watched.asked)
