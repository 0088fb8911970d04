"""A day's load: articles a second, by the time of day."""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.common.server import BenchmarkError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DAY_S: Final = 86_400
USUAL: Final = Path(__file__).with_name("day.csv")
"""A news site's day, made up: a night, two ramps, a quiet afternoon, and a piece of news five times the usual rate."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """Straight lines between moments."""

    name: str
    at_s: tuple[float, ...]
    """Seconds since midnight, in ascending order."""
    rate_per_s: tuple[float, ...]

    @property
    def second_s(self) -> NDArray[np.int64]:
        """Every second of the day."""
        import numpy as np  # here and below, so that the help does not load it

        return np.arange(int(self.at_s[0]), int(self.at_s[-1]))

    @property
    def rates_per_s(self) -> NDArray[Any]:
        """The rate in each second."""
        import numpy as np

        return np.interp(self.second_s, self.at_s, self.rate_per_s)


def read_day(path: Path = USUAL) -> Day:
    """Read a table with the columns ``time`` (``HH:MM`` or ``HH:MM:SS``) and ``articles_per_s``.

    Raises:
        BenchmarkError: It is no such table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [(_seconds(row["time"]), float(row["articles_per_s"])) for row in csv.DictReader(lines)]
        at_s, rates = zip(*rows, strict=True)
        if len(rows) < 2 or any(later <= earlier for earlier, later in itertools.pairwise(at_s)):
            raise ValueError("its times ascend, and are two at least")
        if not all(0 <= rate < float("inf") for rate in rates):
            raise ValueError("a rate is a number from 0")
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(
            f"{path} is no day ({type(error).__name__}: {error}); write a CSV with the columns time (HH:MM or "
            "HH:MM:SS) and articles_per_s, as benchmarks/capacity/autoscale/day.csv"
        ) from error
    return Day(name=path.name, at_s=at_s, rate_per_s=rates)


def _seconds(clock: str) -> float:
    parts = [int(part) for part in clock.split(":")]
    if len(parts) not in (2, 3) or min(parts) < 0:
        raise ValueError(f"a time is HH:MM or HH:MM:SS, not {clock!r}")
    return float(parts[0] * 3600 + parts[1] * 60 + (parts[2] if len(parts) == 3 else 0))


def clock(second: float) -> str:
    """Such as ``14:30``."""
    return f"{int(second) // 3600:02d}:{int(second) % 3600 // 60:02d}"
