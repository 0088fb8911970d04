"""Quality for Prometheus: of each task the revision that serves and the one before, so that series stay few."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.errors import FeedbackError
from serving.gateway.refusals import RefusedError

from .computing import Computed, Quality

DAYS: Final = 30
"""The metrics are of so many days."""
EVERY_S: Final = 60.0
"""How often they are made anew."""
FIRST_S: Final = 5.0
"""When they are made first: a door that starts has better things to do than to load a database's library."""
_OF: Final = ("task", "model", "revision", "serving")
_BOUNDS: Final = ("value", "low", "high")
_P: Final = "infolens_quality"


class Gauges(Collector):
    """Shows the last document of `DAYS` days; nothing until there is one.

    Args:
        quality: Computes it.
    """

    def __init__(self, quality: Quality) -> None:
        self._quality = quality
        self._last: Computed | None = None

    async def refresh(self) -> None:
        """Have the document made anew, again and again, until the task is cancelled."""
        await asyncio.sleep(FIRST_S)
        while True:
            with contextlib.suppress(FeedbackError, RefusedError):  # the age tells of it
                self._last = await self._quality.computed(DAYS)
            await asyncio.sleep(EVERY_S)

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        stars = GaugeMetricFamily(
            f"{_P}_satisfaction_stars", "Mean of the stars that texts got, and its 95 % bounds.", labels=[*_OF, "bound"]
        )
        accuracy = GaugeMetricFamily(
            f"{_P}_accuracy",
            "Share of labels that people call right, and its 95 % bounds; by source, volunteered or audit.",
            labels=[*_OF, "source", "bound"],
        )
        coverage = GaugeMetricFamily(f"{_P}_coverage", "Share of answers whose label was shown.", labels=_OF)
        ratings = GaugeMetricFamily(f"{_P}_ratings", "Ratings that count.", labels=[*_OF, "source"])
        predictions = GaugeMetricFamily(f"{_P}_predictions", "Answers that were kept.", labels=_OF)
        psi = GaugeMetricFamily(
            f"{_P}_psi", "Population stability index of the articles, by what is compared.", labels=[*_OF, "what"]
        )
        p = GaugeMetricFamily(f"{_P}_psi_p", "How often chance moves articles as far.", labels=[*_OF, "what"])
        age = GaugeMetricFamily(f"{_P}_age_seconds", "How old these figures are.")
        bar = GaugeMetricFamily(f"{_P}_trust_bar", "What the accuracy in blind audits must reach.")
        document: Mapping[str, Any] = self._last.document if self._last else {"models": ()}
        if self._last:
            age.add_metric([], round(time.monotonic() - self._last.at_s, 1))
            bar.add_metric([], document["trust_bar"])
        for one in _told(document["models"]):
            names = [one["task"], one["model"], one["revision"], "1" if one["serving"] else "0"]
            predictions.add_metric(names, one["predictions"])
            _bounds(stars, names, one["satisfaction"])
            for source, figure in (("volunteered", one["accuracy"]), ("audit", one["audit"])):
                _bounds(accuracy, [*names, source], figure)
                rated = figure or (one["satisfaction"] if source == "volunteered" else None)
                ratings.add_metric([*names, source], rated["ratings"] if rated else 0)
            if one["shown"]["coverage"]:
                coverage.add_metric(names, one["shown"]["coverage"]["value"])
            for what, moved in (one["drift"] or {}).items():
                psi.add_metric([*names, what], moved["psi"])
                p.add_metric([*names, what], moved["p"])
        yield from (stars, accuracy, coverage, ratings, predictions, psi, p, age, bar)


def _told(models: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """For each task what serves, and the first of the others, which was used last."""
    before: set[str] = set()
    for one in models:
        if one["serving"]:
            yield one
        elif one["task"] not in before:
            before.add(one["task"])
            yield one


def _bounds(family: GaugeMetricFamily, names: list[str], figure: Mapping[str, Any] | None) -> None:
    for bound in _BOUNDS if figure else ():
        family.add_metric([*names, bound], (figure or {})[bound])
