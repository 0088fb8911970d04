"""What backends count, as metrics: read from the files that they write every few seconds.

Backends have no metrics of their own: a counter that is raised from a thread of a backend hangs Triton 2.51.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

MAX_AGE_S: Final = 10.0
"""A file that is older is of a process that has ended."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What backends of one kind count: the name and the words of a metric by the key in the file."""

    gauges: Mapping[str, tuple[str, str]]
    counters: Mapping[str, tuple[str, str]]


_GAUGES: Final = {
    "slots": ("infolens_engine_slots", "Places for articles in the buffers that a summarizer has made."),
    "busy": ("infolens_engine_slots_busy", "Places that have an article."),
    "waiting": ("infolens_engine_waiting", "Articles that wait for a place."),
}
_COUNTERS: Final = {
    "steps": ("infolens_engine_steps", "Steps of a summarizer, each a token more for every article that has a place."),
    "slot_steps": ("infolens_engine_slot_steps", "Articles that these steps continued: by step, how full it is."),
    "joined": ("infolens_engine_joined", "Articles that got a place."),
    "answered": ("infolens_engine_answered", "Summaries."),
    "refused": ("infolens_engine_refused", "Articles that did not fit, or found too many waiting."),
    "cancelled": ("infolens_engine_cancelled", "Articles whose callers left before they were done."),
    "expired": ("infolens_engine_expired", "Articles whose time was up before they were done."),
    "failed": ("infolens_engine_failed", "Articles that a fault of the engine, or its end, left without an answer."),
}
ENGINE: Final = Kind(gauges=_GAUGES, counters=_COUNTERS)
"""Summarizers, with their slots."""
GRAPHS: Final = Kind(
    gauges={},
    counters={
        "graph_runs": ("infolens_graph_runs", "Batches of a model on a GPU that ran as a prepared CUDA graph."),
        "graph_misses": ("infolens_graph_misses", "Batches of a shape that none is prepared for: they ran plainly."),
        "graph_rows": ("infolens_graph_rows", "Inputs that ran as a CUDA graph."),
        "graph_padding": ("infolens_graph_padding", "Rows without an input that filled the graphs' batches."),
    },
)
"""Models with CUDA graphs."""


class Slots(Collector):
    """What backends of one kind count, read when it is asked for.

    Args:
        folder: Where the files are, one for each model.
        kind: What is read; files of another kind are left alone.
        now: The clock that all processes of the machine share, in seconds.
    """

    def __init__(self, folder: Path, kind: Kind = ENGINE, *, now: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._kind, self._now = folder, kind, now

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now: none of a model whose file is old or cannot be read."""
        found = {path.stem: counted for path in self._files() if (counted := self._read(path)) is not None}
        for key, (name, words) in self._kind.gauges.items():
            gauge = GaugeMetricFamily(name, words, labels=["model"])
            for model, counted in found.items():
                gauge.add_metric([model], counted[key])
            yield gauge
        for key, (name, words) in self._kind.counters.items():
            counter = CounterMetricFamily(name, words, labels=["model"])
            for model, counted in found.items():
                counter.add_metric([model], counted[key])
            yield counter

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except OSError:  # a server without a summarizer of this kind, or one that is being tidied up
            return []

    def _read(self, path: Path) -> Mapping[str, float] | None:
        try:
            document: Any = json.loads(path.read_bytes())
            if not 0 <= self._now() - document["written_s"] <= MAX_AGE_S:
                return None
            return {key: float(document["counted"][key]) for key in (*self._kind.gauges, *self._kind.counters)}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
