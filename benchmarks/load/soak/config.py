"""How long a soak takes, and what it asks of a server."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SoakConfig:
    """How long, and with how much."""

    seconds: float = 3600.0
    """The whole time under load, the warm-up among it."""
    warmup_s: float = 300.0
    """Not compared with the end; at most a quarter of ``seconds`` counts."""
    window_s: float = 60.0
    """Length of a window; at most a sixtieth of ``seconds`` counts, but at least a second."""
    users: int = 8
    """Requests under way at any time."""
    timeout_s: float = 30.0
    """Time-out of each request."""
    articles: int = 41
    """How many different articles are asked about; a prime number, so that each meets each question."""
    seed: int = 0
    least_throughput: float = 0.95
    """Articles a second of the end, as a share of those of the beginning: not less than this."""
    most_growth: float = 0.02
    """Growth of the memory from the beginning to the end: less than this share."""

    def __post_init__(self) -> None:
        for name in ("seconds", "window_s", "timeout_s", "users", "articles"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} is a number above 0, not {getattr(self, name)}")
        if not self.warmup_s >= 0:
            raise ValueError(f"warmup_s is a number from 0 on, not {self.warmup_s}")

    @property
    def warm_s(self) -> float:
        """When the warm-up is over."""
        return min(self.warmup_s, self.seconds / 4)

    @property
    def every_s(self) -> float:
        """Length of a window."""
        return min(self.window_s, max(1.0, self.seconds / 60), self.seconds)
