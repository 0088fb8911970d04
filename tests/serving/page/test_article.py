"""One article on the page: pasted, fetched, dropped; its answers and the sentences that they rest on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.serving.page.line import Line
from tests.serving.page.site import HEADLINE, SENTENCES, Site
from tests.serving.page.things import TEXT, TITLE, a_pdf, answered, drop, paste, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.system


def test_an_article_that_is_pasted_gets_three_answers(page: Page) -> None:
    paste(page, TEXT, TITLE)
    answered(page)
    assert page.locator(".category .verdict").inner_text() == "World News"
    assert len(page.locator(".category .bars").first.locator("li").all()) == 3
    verdict = page.locator(".veracity .verdict").inner_text()
    assert verdict == "No clear signal"
    caveat = page.locator(".veracity .caveat").inner_text()
    assert re.search(r"not checked.*right about \d+% .*and \d+% of those .*never seen", caveat, re.DOTALL)


def test_nobody_is_told_that_an_article_is_true_or_fake(page: Page) -> None:
    paste(page, TEXT, TITLE)
    answered(page)
    words = page.locator(".veracity").inner_text()
    assert not re.search(r"\b(true|TRUE|REAL|FAKE|false|Fake|Real)\b", words.replace("a true report", ""))
    fill = page.locator(".veracity .fill")
    colours = {one.evaluate("bar => getComputedStyle(bar).fill") for one in fill.all()}
    assert len(colours) == 1  # neither red nor green: one colour for both


def test_sentences_of_the_summary_lead_into_the_article_and_back(page: Page) -> None:
    paste(page, TEXT, TITLE)
    answered(page)
    quote = page.locator(".summary-text a.quote").first
    sentence = page.locator(".text #sentence-0")
    assert quote.inner_text().strip() == sentence.inner_text().strip()
    quote.hover()
    page.locator(".text #sentence-0.active").wait_for()
    page.locator("h2.headline").hover()
    assert page.locator(".text .active").count() == 0
    sentence.hover()
    page.locator(".summary-text .active").wait_for()
    quote.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "sentence-0"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "summary-0"


def test_a_longer_summary_is_asked_for_alone(page: Page) -> None:
    paste(page, " ".join(SENTENCES), HEADLINE)
    answered(page)
    before = page.locator(".summary-text").inner_text()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    page.locator(".card.summary").get_by_role("radio", name="Long").check()
    summary = page.locator(".summary-text")
    until(page, lambda: summary.count() > 0 and len(summary.inner_text()) > len(before))
    assert [("summary" in one, "veracity" in one) for one in asked if "tasks" in one] == [(True, False)]


def test_what_was_not_read_is_greyed_out_and_said(page: Page) -> None:
    paste(page, "\n\n".join([" ".join(SENTENCES)] * 6))
    answered(page)
    assert page.locator(".text .unread").count() > 0
    words = page.locator(".unread-words").inner_text()
    assert re.search(r"reads the beginning only.*\d+% of its tokens were not read", words, re.DOTALL)
    first = page.locator(".text").inner_text()
    assert first.startswith(SENTENCES[0])
    page.locator(".unread-words select").select_option(label="Wording")
    page.get_by_text("up to 512 tokens").wait_for()


def test_what_moved_an_answer_is_shown_when_it_is_asked_for(page: Page) -> None:
    page.get_by_text("Exact settings").click()
    page.get_by_label("Also show the sentences").check()
    paste(page, TEXT, TITLE)
    answered(page)
    page.locator(".veracity").get_by_text("What moved it most").click()
    page.locator(".text .evidence").first.wait_for()
    assert "falls by" in page.locator(".veracity .evidence-list").inner_text()


def test_a_link_is_fetched_shown_and_edited_before_it_is_judged(page: Page, site: Site) -> None:
    page.get_by_label("Link to an article").fill(site.article)
    page.get_by_role("button", name="Fetch").click()
    found = page.locator(".found")
    found.wait_for()
    assert page.get_by_label("Headline").input_value() == HEADLINE
    text = page.get_by_label("Article text").input_value()
    assert SENTENCES[0] in text
    assert "newsletter" not in text
    for words in ("Bay News", "Ada Quay", "3 April 2026", "Checked by others", "The ferries run on diesel", "Wrong"):
        assert words in found.inner_text()
    assert page.locator(".summary-text").count() == 0  # nothing was judged yet
    page.get_by_label("Article text").fill(text.replace("Two ferries", "Two new ferries"))
    page.get_by_role("button", name="Analyze").click()
    answered(page)
    assert "Two new ferries" in page.locator(".paper .text").inner_text()


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://127.0.0.1:1/", "nonsense"]
)
def test_a_link_that_may_not_be_fetched_says_why(page: Page, url: str) -> None:
    page.get_by_label("Link to an article").fill(url)
    page.get_by_role("button", name="Fetch").click()
    words = page.locator(".notice.bad")
    words.wait_for()
    assert len(words.inner_text()) > 40
    assert page.get_by_label("Article text").input_value() == ""


def test_a_pdf_is_dropped(page: Page) -> None:
    drop(page, "ferries.pdf", a_pdf(HEADLINE, SENTENCES), "application/pdf")
    page.locator(".found").wait_for()
    assert SENTENCES[1] in " ".join(page.get_by_label("Article text").input_value().split())
    page.get_by_role("button", name="Analyze").click()
    answered(page)


def test_a_file_that_holds_no_article_says_what_to_do(page: Page) -> None:
    drop(page, "photo.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png")
    words = page.locator(".notice.bad")
    words.wait_for()
    assert "image" in words.inner_text()


def test_everything_survives_a_reload(page: Page) -> None:
    paste(page, TEXT, TITLE)
    answered(page)
    summary = page.locator(".summary-text").inner_text()
    page.reload()
    answered(page)
    assert page.locator(".summary-text").inner_text() == summary
    page.get_by_role("button", name="Edit the text").click()
    assert page.get_by_label("Article text").input_value() == TEXT


def test_a_server_that_goes_and_comes_is_waited_for(page: Page, line: Line) -> None:
    line.cut()
    paste(page, TEXT, TITLE)
    page.get_by_text("The server cannot be reached").wait_for()
    assert page.locator(".card .busy").count() == 3
    line.mend()
    answered(page)
    page.get_by_text("Server ready").wait_for()


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_label("Article text").focus()
    page.keyboard.insert_text(TEXT)
    page.keyboard.press("Control+Enter")
    answered(page)
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.innerText || document.activeElement.name"
            )
        )
    assert {"Edit the text", "sentence-0", "summary-0", "Copy"} <= seen


def test_an_empty_form_and_a_text_that_is_too_long_are_told(page: Page) -> None:
    page.get_by_role("button", name="Analyze").click()
    page.get_by_text("Paste the text of an article first").wait_for()
    page.get_by_label("Article text").fill("word " * 60_000)
    page.get_by_role("button", name="Analyze").click()
    page.get_by_text("the server reads at most 262.1").wait_for()


def test_text_from_right_to_left_is_shown_so(page: Page) -> None:
    page.get_by_label("Article text").fill("אבג " * 20)
    box = page.get_by_label("Article text")
    assert box.evaluate("box => getComputedStyle(box).direction") == "rtl"
    page.get_by_role("button", name="Analyze").click()
    page.locator(".card .bad").first.wait_for()
    assert "Hebrew" in page.locator(".card.summary").inner_text()
    assert page.locator(".paper .text").evaluate("text => getComputedStyle(text).direction") == "rtl"


def test_a_headline_in_the_first_line_is_one(page: Page) -> None:
    paste(page, f"{TITLE}\n\n{TEXT}")
    answered(page)
    assert page.locator("h2.headline").inner_text() == TITLE
    assert page.locator(".paper .text").inner_text() == TEXT


def test_a_table_that_is_dropped_here_is_opened_where_tables_are(page: Page) -> None:
    drop(page, "desk.csv", f'headline,body\r\n{TITLE},"{TEXT}"\r\n'.encode(), "text/csv")
    page.get_by_text("1 article in desk.csv").wait_for()
    assert page.get_by_role("heading", name="Many articles").is_visible()
