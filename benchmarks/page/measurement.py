"""Loads the page and asks it in a real browser, in turn with the same questions to the API without a browser."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.common.machine import chromium
from benchmarks.common.server import BenchmarkError
from infolens import Article

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TASKS: Final = ("summary", "category", "veracity")
_SHOWN: Final = {"summary": ".summary-text", "category": ".category .bars", "veracity": ".veracity .bars"}
_PAINTED: Final = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_BYTES: Final = "performance.getEntriesByType('resource').reduce((sum, one) => sum + one.encodedBodySize, 0)"
_ASK: Final = """async (shown) => {
  const began = performance.now();
  const found = {};
  const look = () => {
    for (const [task, selector] of Object.entries(shown)) {
      if (!(task in found) && document.querySelector(selector)) found[task] = performance.now() - began;
    }
    return Object.keys(found).length === Object.keys(shown).length;
  };
  document.querySelector("form button.first").click();
  await new Promise((resolve) => {
    const observer = new MutationObserver(() => look() && (observer.disconnect(), resolve()));
    observer.observe(document.body, { subtree: true, childList: true });
  });
  return found;
}"""

_FETCH: Final = """async ([article, tasks]) => {
  const began = performance.now();
  const ask = async (task) => {
    const body = JSON.stringify({ ...article, tasks: [task] });
    await (await fetch("v1/analyze", { method: "POST", body, headers: { "Content-Type": "application/json" } })).json();
    return [task, performance.now() - began];
  };
  return Object.fromEntries(await Promise.all(tasks.map(ask)));
}"""


@dataclass(frozen=True, kw_only=True)
class Timings:
    """What was measured, a value each time, in milliseconds."""

    painted_ms: Sequence[float]
    """From the start of loading to the first paint with content, in a browser without a cache."""
    page_ms: Mapping[str, Sequence[float]]
    """From the click to the answer on the page, by task, and ``first`` and ``all`` of them."""
    browser_ms: Mapping[str, Sequence[float]]
    """The same three questions at the same time from a script in that page that draws nothing: the browser's share."""
    api_ms: Mapping[str, Sequence[float]]
    """The same three questions at the same time without a browser."""
    transferred_bytes: int
    """All that the page loaded, as it came over the network."""


def measure(url: str, article: Article, *, rounds: int) -> Timings:
    """Measure a server's page.

    Args:
        url: The server's HTTP address.
        article: What is asked.
        rounds: How often each is measured, after one that does not count.

    Raises:
        BenchmarkError: There is no browser.
    """
    from playwright.sync_api import sync_playwright

    program = chromium()
    if program is None:
        raise BenchmarkError("the page is measured in Chromium, which is not installed: apt-get install chromium")
    painted: list[float] = []
    page_ms: dict[str, list[float]] = {}
    browser_ms: dict[str, list[float]] = {}
    api_ms: dict[str, list[float]] = {}
    size = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for turn in range(rounds + 1):
            first_ms, size, found, fetched = _on_the_page(browser, url, article)
            asked = _over_the_api(url, article)
            if turn:
                painted.append(first_ms)
                for kept, one in ((page_ms, found), (browser_ms, fetched), (api_ms, asked)):
                    for name, value in one.items():
                        kept.setdefault(name, []).append(value)
        browser.close()
    return Timings(painted_ms=painted, page_ms=page_ms, browser_ms=browser_ms, api_ms=api_ms, transferred_bytes=size)


def _on_the_page(browser: Browser, url: str, article: Article) -> tuple[float, int, dict[str, float], dict[str, float]]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        page.get_by_text("Server ready").wait_for()
        painted_ms = float(page.evaluate(_PAINTED))
        size = int(page.evaluate(_BYTES))
        _fill(page, article)
        found = _with_ends(page.evaluate(_ASK, _SHOWN))
        asked = {"text": article.text, "title": article.title}
        return painted_ms, size, found, _with_ends(page.evaluate(_FETCH, [asked, list(TASKS)]))


def _fill(page: Page, article: Article) -> None:
    page.get_by_label("Headline").fill(article.title or "")
    page.get_by_label("Article text").fill(article.text)


def _over_the_api(url: str, article: Article) -> dict[str, float]:
    began_s = time.perf_counter()

    def ask(task: str) -> float:
        document = {"text": article.text, "title": article.title, "tasks": [task]}
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/v1/analyze", json.dumps(document).encode(), headers)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the server that is measured
            answer.read()
        return 1e3 * (time.perf_counter() - began_s)

    with ThreadPoolExecutor(len(TASKS)) as pool:
        return _with_ends(dict(zip(TASKS, pool.map(ask, TASKS), strict=True)))


def _with_ends(found: Mapping[str, float]) -> dict[str, float]:
    return {**found, "first": min(found.values()), "all": max(found.values())}


def report(timings: Timings) -> tuple[str, dict[str, Any]]:
    """A table for people and a document for programs; all figures are medians."""
    columns = {"page": timings.page_ms, "browser": timings.browser_ms, "API": timings.api_ms}
    rows = [f"{'answer':<12}" + "".join(f"{f'{name}, ms':>13}" for name in columns), "-" * 51]
    rows += [
        f"{name:<12}" + "".join(f"{median(one[name]):>13.1f}" for one in columns.values())
        for name in ("first", *TASKS, "all")
    ]
    painted_ms = median(timings.painted_ms)
    rows += ["", f"first paint {painted_ms:.0f} ms, {timings.transferred_bytes / 1e3:.0f} kB over the network"]
    document = {
        "rounds": len(timings.painted_ms),
        "painted_ms": round(painted_ms, 1),
        "transferred_bytes": timings.transferred_bytes,
        **{
            f"{column.lower()}_ms": {name: round(median(values), 1) for name, values in one.items()}
            for column, one in columns.items()
        },
    }
    return "\n".join(rows), document
