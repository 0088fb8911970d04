"""The page of a server that wants a key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.common.server import started_server
from serving.runtime import ROOT
from tests.serving.page.things import TEXT, TITLE, answered, paste

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.system


def test_the_key_is_asked_for_once_and_forgotten_when_told(browser: Browser, tmp_path: Path) -> None:
    keys = f"sqlite:///{tmp_path / 'keys.sqlite'}"
    command = [sys.executable, "-m", "serving", "keys", "create", "desk", "--role", "read", "--keys-url", keys]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    key = next(word for word in made.split() if word.startswith("il_"))
    with (
        started_server(["--keys", "--keys-url", keys, "--no-reports", "--no-feedback"]) as server,
        browser.new_context(base_url=server.http_url) as context,
    ):
        page = context.new_page()
        page.goto("/")
        box = page.get_by_label("API key")
        box.fill("il_" + "x" * 43)
        page.get_by_role("button", name="Use this key").click()
        box.wait_for()  # it is not known, and another is asked for
        box.fill(f"\u200b{key}\u2009")  # pasted, with blanks that are not seen
        page.get_by_role("button", name="Use this key").click()
        paste(page, TEXT, TITLE)
        answered(page)
        assert page.get_by_text("This server wants a key").count() == 0
        page.reload()
        answered(page)
        page.get_by_role("button", name="Forget the key").click()
        page.get_by_role("button", name="New article").click()
        paste(page, TEXT)
        page.get_by_role("heading", name="This server wants a key").wait_for()
        assert key not in page.content()
