"""What a soak measures: windows of time, and the two stretches of them that are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from .asking import LOST, Result
from .config import SoakConfig
from .looks import ServerLook


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of time of a soak."""

    begin_s: float
    """From the start of the load."""
    end_s: float
    warm_up: bool
    articles: int
    """Those that were answered, and rightly."""
    results: dict[Result, int]
    reasons: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    """Requests by the name of the question."""
    p50_ms: float
    p99_ms: float
    server: ServerLook | None = None
    """At the end of the window; None for a server whose processes cannot be seen."""
    cpu_s: float | None = None
    """CPU time of the server in the window."""
    door: dict[str, int] | None = None
    """The door's counters since the start of the load, as `read_door` of `benchmarks.common.metrics` names them; None
    where they cannot be read."""
    own_cpu_s: float = 0.0
    """CPU time of the load generator in the window."""
    steal_share: float = 0.0
    load_1m: float = 0.0
    """The machine's load average over a minute."""
    calibration_ms: float = 0.0
    """See `looks.calibrate_ms`."""

    @property
    def articles_per_s(self) -> float:
        """Articles that were answered rightly, a second."""
        return self.articles / (self.end_s - self.begin_s)

    @property
    def lost(self) -> int:
        """Requests without an answer."""
        return sum(self.results.get(result, 0) for result in LOST)


@dataclass(frozen=True)
class Stretch:
    """Several windows, one after the other."""

    windows: tuple[Window, ...]

    @property
    def seconds(self) -> float:
        """Their length together."""
        return sum(one.end_s - one.begin_s for one in self.windows)

    @property
    def articles_per_s(self) -> float:
        """Articles that were answered rightly, a second."""
        return sum(one.articles for one in self.windows) / self.seconds

    @property
    def requests_per_s(self) -> float:
        """Requests of all kinds, a second."""
        return sum(sum(one.results.values()) for one in self.windows) / self.seconds

    @property
    def cpu_ms(self) -> float | None:
        """CPU time of the server for an article, in milliseconds; None where it is not known."""
        used = [one.cpu_s for one in self.windows if one.cpu_s is not None]
        articles = sum(one.articles for one in self.windows if one.cpu_s is not None)
        return 1e3 * sum(used) / articles if articles else None

    def median(self, value: Callable[[Window], float]) -> float:
        """The median of a value over the windows."""
        return float(median(value(one) for one in self.windows))

    def of_server(self, value: Callable[[ServerLook], float]) -> float | None:
        """The median of a value of the server's processes; None where they were not seen."""
        seen = [value(one.server) for one in self.windows if one.server is not None]
        return float(median(seen)) if seen else None

    def of_process(self, name: str, value: str) -> float:
        """The median of one field of the processes of a name; 0 where there were none."""
        return self.of_server(lambda look: look.total(name, value)) or 0.0


@dataclass(frozen=True, kw_only=True)
class Soak:
    """What was measured so far."""

    config: SoakConfig
    windows: tuple[Window, ...]
    ended: str = ""
    """Why it ended before its time; empty where it did not."""

    @property
    def first_and_last(self) -> tuple[Stretch, Stretch] | None:
        """The first and the last sixth of the time, the warm-up left out of the first; None before there are two.

        A sixth of the whole time, ten minutes of an hour.
        """
        measured = [one for one in self.windows if not one.warm_up]
        if len(measured) < 2:
            return None
        begin_s, end_s = measured[0].begin_s, measured[-1].end_s
        length_s = min(end_s / 6, (end_s - begin_s) / 2)
        half = len(measured) // 2
        # By their middles, so that a window counts where most of it lies.
        first = [one for one in measured[:half] if (one.begin_s + one.end_s) / 2 <= begin_s + length_s]
        last = [one for one in measured[half:] if (one.begin_s + one.end_s) / 2 >= end_s - length_s]
        return Stretch(tuple(first or measured[:1])), Stretch(tuple(last or measured[-1:]))

    def count(self, *results: Result) -> int:
        """Requests with one of these results, those of the warm-up among them."""
        return sum(one.results.get(result, 0) for one in self.windows for result in results)

    @property
    def reasons(self) -> dict[str, int]:
        """Why requests were not answered rightly, the most frequent first."""
        return _sums(one.reasons for one in self.windows)

    @property
    def asked(self) -> dict[str, int]:
        """Requests by the name of the question, the most frequent first."""
        return _sums(one.asked for one in self.windows)

    @property
    def latest_look(self) -> ServerLook | None:
        """The latest look at the server's processes; None where there was none."""
        return next((one.server for one in reversed(self.windows) if one.server is not None), None)


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in counts:
        found.update(one)
    return dict(found.most_common())
