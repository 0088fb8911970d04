"""A panel and a dashboard as data, before Grafana's words for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DOOR = 'job="infolens-door",instance=~"$instance"'
TRITON = 'job="infolens-triton",instance=~"$instance"'
ASKING = f'{DOOR},route=~"infer|generate|analyze"'


def per_second(by: str, metric: str, labels: str) -> str:
    """How much of a counter comes each second, summed over all but some labels."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def quantiles(bucket: str) -> tuple[tuple[str, str], ...]:
    """Half, 95 and 99 of a hundred observations of a histogram are below these; with their legends."""
    return tuple(
        (f"histogram_quantile({share}, sum by (le) (rate({bucket}[$__rate_interval])))", f"p{round(100 * share)}")
        for share in (0.5, 0.95, 0.99)
    )


class Kind(StrEnum):
    """How a panel draws."""

    LINES = "lines"
    STAT = "stat"
    HEATMAP = "heatmap"
    TIMELINE = "timeline"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    why: str
    """What it tells, and what to look for."""
    queries: tuple[tuple[str, str], ...]
    """PromQL, which Prometheus 2.42 and 3 read alike, and the legend of its series."""
    unit: str = "short"
    kind: Kind = Kind.LINES
    width: int = 8
    """How many of 24 columns it takes."""
    stacked: bool = False
    only_gpu: bool = False
    """Whether a machine without a GPU has nothing to show here."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard: rows of panels."""

    uid: str
    title: str
    why: str
    instances: str
    """The metric whose label ``instance`` can be chosen."""
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels."""
        return tuple(panel for _, panels in self.rows for panel in panels)
