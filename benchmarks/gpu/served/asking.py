"""What the server is asked: by one client, and at a rate of arrivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.common.server import ROOT, Started

from .programs import document

_WORDS: Final = 700
"""More than any model reads."""
_WARMUP: Final = 10
"""Requests of each kind that do not count."""
_TIMEOUT_S: Final = 4.0
"""Time-out of a request at a rate: far more than any bound, and not longer to wait for than needs be."""
_STARTS_S: Final = 15.0
"""About what a program needs beside what it measures, at most."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How the server is asked."""

    server: Started
    folder: Path
    """Gets logs and reports."""
    settings: Sequence[str]
    """How summaries are written, as ``NAME=VALUE``."""

    def one_client(self, requests: int, in_flight: int, load_requests: int, limit_s: float) -> dict[str, Any]:
        """Times of requests one after another, of all tasks together and each alone, and the rate with many in flight.

        Args:
            requests: Of each kind.
            in_flight: Clients of the rate.
            load_requests: Their requests.
            limit_s: How long it may take.

        Returns:
            The document of ``python -m benchmarks latency``.

        Raises:
            ProgramError: It failed.
        """
        article = self.folder / "articles" / "long.txt"
        article.parent.mkdir(exist_ok=True)
        article.write_text(_long(), encoding="utf-8")
        words = ["benchmarks", "latency", "--server", self.server.grpc_url, "--article", str(article)]
        words += ["--requests", str(requests), "--warmup-requests", str(min(requests, _WARMUP)), "--in-flight"]
        words += [str(in_flight), "--load-requests", str(load_requests)]
        return document([*words, *self._set()], self.folder, limit_s=limit_s)

    def at_rate(
        self, rate_per_s: float, seconds: float, warmup_s: float, p99_ms: float, limit_s: float, kind: str = "info_lens"
    ) -> dict[str, Any]:
        """Articles at random moments.

        Args:
            rate_per_s: How many a second.
            seconds: How long they are counted, after ``warmup_s``.
            warmup_s: How long they are not.
            p99_ms: The bound.
            limit_s: How long it may take.
            kind: What is asked: ``info_lens`` or a task.

        Returns:
            The one step of the document of ``python -m benchmarks load``, and under ``holds`` whether every request was
            answered and 99 of 100 within the bound.

        Raises:
            ProgramError: It failed.
        """
        words = ["benchmarks", "load", "--server", self.server.grpc_url, "--metrics-url", self.server.metrics_url]
        words += ["--pid", str(self.server.pid), "--rate", f"{rate_per_s:g}", "--seconds", f"{seconds:g}"]
        words += [
            "--timeout-s",
            f"{_TIMEOUT_S:g}",
            "--warmup-s",
            f"{warmup_s:g}",
            "--words",
            str(_WORDS),
            "--kind",
            kind,
        ]
        words += ["--out", str(self.folder / f"load-{kind}-{rate_per_s:g}")]
        asked = self._set() if kind in ("info_lens", "summary") else []
        limit_s = min(limit_s, seconds + warmup_s + _STARTS_S)
        step: dict[str, Any] = document([*words, *asked], self.folder, limit_s=limit_s)["steps"][0]
        step["holds"] = step["answered"] == step["sent"] > 0 and step["latency_ms"]["p99"] <= p99_ms
        return step

    def _set(self) -> list[str]:
        return [word for setting in self.settings for word in ("--set", setting)]


def _long() -> str:
    """A title, a blank line, and the texts of the committed articles, up to `_WORDS` words."""
    paths = sorted((ROOT / "tests" / "articles").glob("*.txt"))
    texts = [path.read_text(encoding="utf-8").partition("\n\n") for path in paths]
    words = " ".join(text for _, _, text in texts).split()
    return f"{texts[0][0]}\n\n{' '.join(words[:_WORDS])}\n"
