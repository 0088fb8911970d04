"""The page before a real door, whose models are made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from serving.feedback.options import FeedbackOptions
from serving.gateway.kserve.datatypes import join_strings
from tests.serving.gateway.access.keyed import made
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import fake_door
from tests.serving.page.conftest import WIDE
from tests.serving.page.feedback.watched import Watched, use_key
from tests.serving.page.things import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 30_000


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., tuple[Page, Watched]]]:
    """Opens the page of a door of its own, with options of its feedback; no script of the page may fail."""
    failures: list[str] = []
    with ExitStack() as stack:

        def opens(
            *,
            unsure: bool = False,
            keeps: bool = True,
            audit_share: float = 0.0,
            script: str = "",
            key: str = "",
            **more: Any,
        ) -> tuple[Page, Watched]:
            triton = make_fake()
            if unsure:
                triton.values["veracity_signal"] = join_strings([b"no clear signal"])
            url = f"sqlite:///{tmp_path / 'feedback.sqlite'}"
            feedback = FeedbackOptions(
                keeps=keeps, url=url, spool=str(tmp_path / "spool"), audit_share=audit_share, why_not="the test", **more
            )
            keys = {"keys": True, "keys_url": made(tmp_path)[1]} if key else {}
            door = stack.enter_context(fake_door(tmp_path, triton, feedback=feedback, **keys))
            context = stack.enter_context(browser.new_context(viewport=WIDE, locale="en-GB"))  # type: ignore[arg-type]
            stack.callback(context.unroute_all, behavior="ignoreErrors")  # what a test does not wait for
            context.set_default_timeout(PATIENCE_MS)
            context.on("weberror", lambda one: failures.append(str(one.error)))
            context.on("dialog", lambda one: one.accept())
            if script:
                context.add_init_script(script)
            watched = Watched(url=door.url, key=key)
            watched.watch(context)
            page = context.new_page()
            page.goto(door.url)
            if key:
                use_key(page, key)
            page.locator("footer").get_by_text(re.compile("keeps (answers|none)")).wait_for()  # it knows what is kept
            until(page, lambda: not keeps or bool(door.parts.feedback.salt))  # without it nobody is audited
            return page, watched

        yield opens
    assert failures == []
