"""A report that the server keeps: its link, what others see, what is printed, and its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.serving.page.things import TEXT, TITLE, answered, paste

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.system
ARTICLE = f"{TEXT} Nobody says who pays for it."
"""A summary has three sentences at most."""


@pytest.fixture
def link(page: Page) -> str:
    """The link of a report that the page has had kept."""
    paste(page, ARTICLE, TITLE)
    answered(page)
    page.get_by_role("button", name="Keep and share").click()
    box = page.get_by_label("Link to this report")
    box.wait_for()
    return box.input_value()


def test_others_see_the_answers_and_not_the_text(browser: Browser, link: str) -> None:
    with browser.new_context() as context:
        other = context.new_page()
        other.goto(link)
        report = other.locator(".report")
        report.wait_for()
        words = report.inner_text()
        assert TITLE in words
        assert "No clear signal" in words
        assert "Judged by wording, not checked" in words
        assert "is not kept on this server" in words
        summary = other.locator(".summary-text").inner_text()
        lost = [one for one in ARTICLE.split(". ") if one not in summary]
        assert lost
        assert not any(one in words for one in lost)


def test_it_can_be_printed(link: str, page: Page, tmp_path: Path) -> None:
    page.goto(link)
    page.locator(".report").wait_for()
    page.emulate_media(media="print")
    assert page.get_by_role("navigation").count() == 0
    assert page.locator(".report .summary-text").is_visible()
    assert page.pdf(path=tmp_path / "report.pdf").startswith(b"%PDF")


def test_it_can_be_removed(link: str, page: Page) -> None:
    page.get_by_role("button", name="Remove it").click()
    page.get_by_text("Removed.").wait_for()
    page.goto(link)
    page.locator(".paper .bad").wait_for()


def test_an_answer_is_saved_with_what_it_is_not(page: Page, tmp_path: Path) -> None:
    paste(page, TEXT, TITLE)
    answered(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as JSON").click()
    waiting.value.save_as(tmp_path / "answer.json")
    found = json.loads((tmp_path / "answer.json").read_text("utf-8"))
    assert "not checked" in found["note"]
    assert found["article"]["text"] == TEXT
    assert found["veracity"]["signal"] == "no clear signal"
    assert found["models"]["summary"]["revision"]
