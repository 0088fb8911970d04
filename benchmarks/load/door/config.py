"""How long `door` compares what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DoorConfig:
    """How long what is compared."""

    rounds: int = 10
    """Turns at one client, and of the closed loop."""
    requests: int = 40
    """Requests of one client in a turn, for each way and kind."""
    warmup_requests: int = 40
    kinds: tuple[str, ...] = ("info_lens", "category")
    """What is asked, of `benchmarks.common.articles.kinds`; the first one in the other comparisons too."""
    in_flight: int = 16
    closed_s: float = 8.0
    """Length of a turn of the closed loop."""
    open_turns: int = 10
    """Turns of the open loop."""
    seconds: float = 15.0
    """Length of such a turn."""
    bound_ms: float = 1500.0
    """An answer that takes longer does not count in it; one may wait for 500 ms before it runs."""
    batch_turns: int = 3
    """Turns of many articles by one program."""
    batch_articles: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rounds", "requests"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        for name in ("open_turns", "batch_turns"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is a number from 0 on, not {getattr(self, name)}")
        if self.seconds < 1:
            raise ValueError(f"a turn of the open loop has at least 1 s, not {self.seconds:g}: raise --seconds")
