"""How feedback is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FeedbackConfig:
    """How large the store is, and how often each thing is measured."""

    predictions: int = 1_000_000
    """Made-up predictions that the store holds before anything is measured."""
    ratings: int = 100_000
    """Made-up ratings of them."""
    rounds: int = 20
    """Turns of both servers, and loads of the page."""
    requests: int = 20
    """Answers of each server in a turn."""

    def __post_init__(self) -> None:
        for name in ("predictions", "ratings", "rounds", "requests"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
