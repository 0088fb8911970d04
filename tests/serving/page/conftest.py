"""A real browser before a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from benchmarks.common.server import Started, started_server
from tests.serving.page.line import Line, line_to
from tests.serving.page.site import Site, running_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 60_000
WIDE = {"width": 1280, "height": 900}


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window. Playwright holds the thread's event loop, so it ends with these tests."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def authority() -> trustme.CA:
    """Signs nginx's certificate."""
    return trustme.CA()


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """A news site of this machine."""
    with running_site() as site:
        yield site


@pytest.fixture(scope="package")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The whole server, which may fetch from the site of this machine."""
    folder: Path = tmp_path_factory.mktemp("server")
    reports = f"sqlite:///{folder / 'reports.sqlite'}"
    feedback = ["--feedback-url", f"sqlite:///{folder / 'feedback.sqlite'}", "--audit-share", "0"]
    more = ["--fetch-allow", f"127.0.0.1:{site.port}", "--reports-url", reports, *feedback]
    with started_server(["--log-file", str(folder / "triton.log"), *more]) as server:
        yield server


@pytest.fixture
def line(server: Started) -> Iterator[Line]:
    """The way to the server, which a test may cut."""
    with line_to(server.http_url) as line:
        yield line


@pytest.fixture
def page(browser: Browser, line: Line) -> Iterator[Page]:
    """The page, open and fresh; at the end no script of it may have failed."""
    context = browser.new_context(viewport=WIDE, locale="en-GB", timezone_id="Europe/London", base_url=line.url)
    context.set_default_timeout(PATIENCE_MS)
    failures: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: failures.append(str(error)))
    # What the browser itself says of a line that was cut is no fault.
    page.on("console", lambda one: failures.append(one.text) if _is_fault(one.type, one.text) else None)
    page.on("dialog", lambda one: one.accept())
    page.goto("/")
    page.get_by_text("Server ready").wait_for()
    yield page
    context.close()
    assert failures == []


def _is_fault(kind: str, text: str) -> bool:
    return kind in ("error", "warning") and "Failed to load resource" not in text
