"""The page is for everybody: axe finds nothing on any view, light or dark, wide or narrow; nginx may be before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from benchmarks.common.server import Started
from tests.serving.edge.authority import write
from tests.serving.gateway.edge.proxied import before
from tests.serving.page.site import HEADLINE, SENTENCES
from tests.serving.page.test_many import table, upload
from tests.serving.page.things import TEXT, TITLE, answered, paste

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.system
NARROW = {"width": 390, "height": 800}


def nothing_found(page: Page) -> None:
    """Whether axe finds nothing, in both colour schemes."""
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        # It runs in the page itself, past the policy, as a browser's extension does.
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, "the page is wider than the screen"


@pytest.mark.parametrize("narrow", [False, True])
def test_the_form_and_the_answers(page: Page, narrow: bool) -> None:
    if narrow:
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.get_by_text("Exact settings").click()
    nothing_found(page)
    page.get_by_label("Also show the sentences").check()
    paste(page, "\n\n".join([" ".join(SENTENCES)] * 6), HEADLINE)
    answered(page)
    page.locator(".veracity").get_by_text("What moved it most").click()
    page.get_by_text("All 10 labels").click()
    nothing_found(page)


@pytest.mark.parametrize("narrow", [False, True])
def test_the_table(page: Page, narrow: bool) -> None:
    if narrow:
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.get_by_role("link", name="Many articles").click()
    page.get_by_role("heading", name="Many articles").wait_for()
    nothing_found(page)
    upload(page, "desk.csv", table(60) + b'bad,Numbers,"1 2 3 4 5"\r\n')
    nothing_found(page)
    page.get_by_role("button", name="Analyze all").click()
    page.get_by_role("button", name="Retry 1 failed row").wait_for()
    page.get_by_role("button", name="Bridge and ferry, part 3", exact=True).click()
    nothing_found(page)


def test_the_report_and_the_words_for_programs(page: Page) -> None:
    page.get_by_role("link", name="For programs").click()
    page.get_by_role("heading", name="For programs").wait_for()
    nothing_found(page)
    page.get_by_role("link", name="One article").click()
    paste(page, TEXT, TITLE)
    answered(page)
    page.get_by_role("button", name="Keep and share").click()
    nothing_found(page)
    page.goto(page.get_by_label("Link to this report").input_value())
    page.locator(".report").wait_for()
    nothing_found(page)
    page.goto("/?report=AAAAAAAAAAAAAAAAAAAAAA")
    page.locator(".paper .bad").wait_for()
    nothing_found(page)


def test_a_server_that_is_away(page: Page, line: object) -> None:
    line.cut()  # type: ignore[attr-defined]
    paste(page, TEXT, TITLE)
    page.get_by_text("The server cannot be reached").wait_for()
    nothing_found(page)


def test_every_view_works_below_a_path_of_nginx(
    browser: Browser, server: Started, authority: trustme.CA, tmp_path: Path
) -> None:
    files = write(tmp_path, authority)
    ports = {name: int(url.rpartition(":")[2]) for name, url in _addresses(server).items()}
    lost: list[str] = []
    with (
        before("nginx", tmp_path, files, ports) as port,
        browser.new_context(ignore_https_errors=True) as context,
    ):
        page = context.new_page()
        page.on("response", lambda one: lost.append(one.url) if one.status >= 400 or "/lens/" not in one.url else None)
        page.goto(f"https://127.0.0.1:{port}/lens/")
        paste(page, TEXT, TITLE)
        answered(page)
        page.get_by_role("button", name="Keep and share").click()
        link = page.get_by_label("Link to this report").input_value()
        page.get_by_role("link", name="Many articles").click()
        page.get_by_text("Open a table").wait_for()
        upload(page, "desk.csv", table(3))
        page.get_by_role("button", name="Analyze all").click()
        page.locator(".progress").get_by_text("All done.").wait_for()
        page.get_by_role("link", name="For programs").click()
        for one in page.locator("main li a").all():
            assert page.request.get(one.evaluate("link => link.href")).ok
        page.goto(link)
        page.locator(".report").wait_for()
        page.get_by_role("link", name="Read another article").click()
        page.locator(".columns .text").wait_for()  # what this tab had asked before
    assert lost == []


def _addresses(server: Started) -> dict[str, str]:
    return {"http_port": server.http_url, "grpc_port": server.grpc_url}
