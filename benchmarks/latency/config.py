"""What `latency` measures, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class LatencyConfig:
    """What is measured, and how often."""

    requests: int = 200
    """Requests of each kind with one client, after the warm-up."""
    warmup_requests: int = 30
    in_flight: int = 16
    load_requests: int = 600
    """Sent with ``in_flight`` under way."""
    deadline_s: float = 30.0
    settings: Mapping[str, float] = field(default_factory=dict)
    """How the summary is written, by the names of the contract; a word by its index in the choices."""

    def __post_init__(self) -> None:
        for name in ("requests", "warmup_requests", "in_flight", "load_requests"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
