"""People in a hurry: another article or table before the last is done, a reload in between, odd names and addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serving.page.line import Line
from tests.serving.page.site import SENTENCES, Site
from tests.serving.page.things import TEXT, TITLE, answered, paste, until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.system


def hold(page: Page, address: str, words: str = "") -> list[Route]:
    """Keep requests to an address from going on, those alone that say some words."""
    held: list[Route] = []

    def take(route: Route) -> None:
        if words in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route(address, take)
    return held


def upload(page: Page, name: str, data: str, *, opener: str = "Open a table") -> None:
    page.get_by_text(opener).wait_for()
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "", "buffer": data.encode()})


def test_an_address_that_names_no_view_shows_the_article(page: Page, line: Line) -> None:
    page.goto(f"{line.url}/#toString")
    page.reload()
    page.get_by_label("Article text").wait_for()


def test_numbers_stay_as_they_are_typed(page: Page) -> None:
    page.get_by_text("Exact settings").click()
    for name, typed in (("Length penalty", "1.05"), ("Temperature", "0.05")):
        page.get_by_label(name).press_sequentially(typed)
        assert page.get_by_label(name).input_value() == typed
    with page.expect_request("**/v1/analyze") as asked:
        paste(page, TEXT)
    assert asked.value.post_data_json["summary"] == {"length_penalty": 1.05, "temperature": 0.05}


def test_a_server_that_is_well_but_for_one_address_is_not_stormed(page: Page) -> None:
    page.route("**/v1/models", lambda route: route.fulfill(status=502, body=""))
    page.reload()
    page.get_by_text("Next try in").wait_for()


def test_a_reload_while_a_report_is_kept_leaves_nothing_stuck(page: Page) -> None:
    paste(page, TEXT, TITLE)
    answered(page)
    held = hold(page, "**/v1/analyze", '"keep":true')
    page.get_by_role("button", name="Keep and share").click()
    until(page, lambda: bool(held))
    page.reload()
    answered(page)
    until(page, page.get_by_role("button", name="Keep and share").is_enabled)


def test_a_report_of_an_article_that_was_left_is_neither_shown_nor_kept(page: Page) -> None:
    paste(page, TEXT, TITLE)
    answered(page)
    held = hold(page, "**/v1/analyze", '"keep":true')
    page.get_by_role("button", name="Keep and share").click()
    until(page, lambda: bool(held))
    page.get_by_role("button", name="New article").click()
    paste(page, " ".join(SENTENCES))
    answered(page)
    with page.expect_request(lambda request: request.method == "DELETE"):
        held[0].continue_()
    assert page.locator(".shared").count() == 0


def test_a_new_article_ends_the_reading_of_a_file(page: Page) -> None:
    held = hold(page, "**/v1/extract?*")
    upload(
        page, "\N{GRINNING FACE}" * 70 + "a.txt", TEXT, opener="Open a file"
    )  # a name that is cut in the middle of a character
    until(page, lambda: bool(held))
    page.get_by_role("button", name="Try an example").click()
    answered(page)
    assert page.locator(".busy").count() == 0
    assert "bridge over the harbour" in page.locator(".paper .text").inner_text()


def test_answers_to_the_table_before_never_come_into_the_next(page: Page) -> None:
    page.get_by_role("link", name="Many articles").click()
    upload(page, "old.csv", f'headline,body\r\nold,"{SENTENCES[0]}"\r\n')
    page.get_by_text("1 article in old.csv").wait_for()
    batches = hold(page, "**/v1/analyze/batch?*")
    reads = hold(page, "**/v1/tables/read?*")
    upload(page, "new.csv", f'headline,body\r\nnew,"{SENTENCES[1]}"\r\n')
    until(page, lambda: bool(reads))
    page.get_by_role("button", name="Analyze all").click()
    until(page, lambda: bool(batches))
    reads[0].continue_()
    page.get_by_text("1 article in new.csv").wait_for()
    assert page.get_by_role("button", name="Analyze all").is_visible()  # and no run of the old one goes on


def test_failed_rows_are_asked_again_even_after_a_reload(page: Page) -> None:
    page.get_by_role("link", name="Many articles").click()
    upload(page, "desk.csv", "headline,body\r\nbad,1 2 3 4 5\r\n")
    page.get_by_role("button", name="Analyze all").click()
    retry = page.get_by_role("button", name="Retry 1 failed row")
    retry.wait_for()
    held = hold(page, "**/v1/analyze/batch?*")
    retry.click()
    until(page, lambda: bool(held))
    page.reload()
    until(page, lambda: len(held) == 2)


def test_a_file_is_made_without_the_texts_behind_links(page: Page, site: Site) -> None:
    page.get_by_role("link", name="Many articles").click()
    upload(page, "links.csv", f"url\r\n{site.article}\r\n")
    page.get_by_role("button", name="Analyze all").click()
    page.locator(".progress").get_by_text("All done.").wait_for()
    with page.expect_request("**/v1/tables/write?*") as asked, page.expect_download():
        page.get_by_role("button", name="CSV", exact=True).click()
    assert set(asked.value.post_data_json["article"]) == {"title", "url"}


def test_long_names_do_not_widen_the_page(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    page.get_by_role("link", name="Many articles").click()
    name = "n" * 110 + ".csv"
    upload(page, name, f'headline,body\r\n{"W" * 110},"{TEXT}"\r\n')
    page.get_by_text(f"1 article in {name}").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
