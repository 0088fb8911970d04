"""Two servers in turn, one that keeps feedback and one that does not; and quality over the store of the first."""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.common.machine import chromium
from benchmarks.common.server import ROOT, BenchmarkError, started_server
from infolens import Article

from .config import FeedbackConfig

QUESTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "category": ("category",),
    "all three": ("summary", "category", "veracity"),
}
"""What is asked; the category alone costs least, so that whatever is added shows most."""
_DAYS: Final = 90
"""The made-up ratings are of so many days."""
_FIRST_CHART: Final = ".uplot canvas"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What was measured, in milliseconds."""

    with_ms: Mapping[str, Sequence[float]]
    """By question, the median of each turn, of the server that keeps feedback..."""
    without_ms: Mapping[str, Sequence[float]]
    """...and of the other one, in the same order."""
    computed_ms: Sequence[float]
    """``/v1/quality`` with days that nobody has asked about before, so that it is computed."""
    kept_ms: Sequence[float]
    """``/v1/quality`` of an answer that the server has just given."""
    page_ms: Sequence[float]
    """From the start of loading to the first chart, in a browser without a cache; empty where there is no browser."""
    store_bytes: int


def measure(article: Article, config: FeedbackConfig) -> Costs:
    """Fill a store, start both servers, and measure them.

    Raises:
        BenchmarkError: The store cannot be filled, or a server does not start or answer.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "feedback.sqlite3"
        options = ["--feedback", "--feedback-url", f"sqlite:///{file}", "--audit-share", "0"]
        kept = stack.enter_context(started_server(options))
        _fill(file, kept.http_url, config)
        size_bytes = sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))  # with its log
        other = stack.enter_context(started_server(["--no-feedback"]))
        log.info("measuring answers, %d turns", config.rounds)
        with_ms, without_ms = _in_turn(kept.http_url, other.http_url, article, config)
        log.info("measuring quality")
        days = itertools.count(_DAYS + 1)
        computed_ms = [_time(lambda: _quality(kept.http_url, next(days))) for _ in range(min(config.rounds, 30))]
        _quality(kept.http_url, _DAYS)
        kept_ms = [_time(lambda: _quality(kept.http_url, _DAYS)) for _ in range(config.rounds)]
        page_ms = _page(f"{kept.http_url}/quality", config.rounds)
    return Costs(
        with_ms=with_ms,
        without_ms=without_ms,
        computed_ms=computed_ms,
        kept_ms=kept_ms,
        page_ms=page_ms,
        store_bytes=size_bytes,
    )


def _fill(file: Path, server: str, config: FeedbackConfig) -> None:
    command = ["serving", "feedback", "demo", "--feedback-url", f"sqlite:///{file}", "--days", str(_DAYS)]
    command += ["--server", server]
    command += ["--predictions", str(config.predictions), "--ratings", str(config.ratings)]
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise BenchmarkError(
            f"the store could not be filled: python -m {' '.join(command)} ended with {done.returncode}"
        )


def _in_turn(
    kept: str, other: str, article: Article, config: FeedbackConfig
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {url: {name: [] for name in QUESTIONS} for url in (kept, other)}
    for turn in range(config.rounds + 1):
        for name, tasks in QUESTIONS.items():
            # Whoever comes second has the warmer caches: each is so every other time.
            for url in (kept, other)[:: 1 if turn % 2 else -1]:
                times_ms = [_time(_asks(url, article, tasks)) for _ in range(config.requests)]
                if turn:
                    found[url][name].append(median(times_ms))
    return found[kept], found[other]


def _asks(url: str, article: Article, tasks: Sequence[str]) -> Callable[[], None]:
    body = json.dumps({"text": article.text, "title": article.title, "tasks": list(tasks)}).encode()
    headers = {"Content-Type": "application/json"}

    def ask() -> None:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/analyze", body, headers)) as answer:  # noqa: S310
            answer.read()

    return ask


def _quality(url: str, days: int) -> None:
    with urllib.request.urlopen(f"{url}/v1/quality?days={days}") as answer:  # noqa: S310 - the server that is measured
        document = json.load(answer)
    if not document["models"]:
        raise BenchmarkError(f"{url}/v1/quality tells of no model, although the store was filled")


def _time(call: Callable[[], None]) -> float:
    began_s = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began_s)


def _page(url: str, rounds: int) -> list[float]:
    program = chromium()
    if program is None:
        log.warning("the page is not measured: there is no Chromium (apt-get install chromium)")
        return []
    from playwright.sync_api import sync_playwright

    times_ms = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(rounds + 1):
            with browser.new_context() as context:
                page = context.new_page()
                began_s = time.perf_counter()
                page.goto(url)
                page.locator(_FIRST_CHART).first.wait_for()
                times_ms.append(1e3 * (time.perf_counter() - began_s))
        browser.close()
    return times_ms[1:]
