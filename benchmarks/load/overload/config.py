"""What `overload` sends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OverloadConfig:
    """What is sent, and for how long."""

    times: float = 3.0
    """The overload, as a multiple of the answers a second that the server can give."""
    seconds: float = 30.0
    """Length of the overload."""
    calm_s: float = 15.0
    """Length of the calm before and after it, at half of what the server can answer."""
    warmup_s: float = 3.0
    peak_s: float = 10.0
    """How long the server's own pace is measured first, with 16 requests under way."""
    timeout_s: float = 1.0
    """Time-out of each request."""
    leaving: float = 0.1
    """Share of the callers who go away during the overload after ``leaves_s``."""
    leaves_s: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("seconds", "calm_s", "peak_s", "timeout_s", "leaves_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is a number above 0, not {getattr(self, name)}")
        if self.times <= 1:
            raise ValueError(f"times is above 1 (an overload), not {self.times}")
        if not 0 <= self.leaving < 1:
            raise ValueError(f"leaving is a share from 0 to below 1, not {self.leaving}")
