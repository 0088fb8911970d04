"""Whether feedback is kept, for how long, and how many articles are asked about blindly."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

MAX_DAYS: Final = 3650
"""No prediction is kept for longer."""
MAX_BATCH: Final = 10_000
"""No batch of the measure has more ratings."""

MIN_SPOOL_BYTES: Final = 2**16
MAX_SPOOL_BYTES: Final = 2**34
"""A spool has no more: it is read when a door starts."""


@dataclass(frozen=True, kw_only=True)
class FeedbackOptions:
    """What the door is told of feedback."""

    keeps: bool | None = None
    """Whether predictions and ratings are kept; None where they can be, which `check_feedback` finds out."""
    url: str = field(default="", repr=False)
    """Where they are kept, as a URL; empty for a file in the cache."""
    spool: str = ""
    """The folder of the spool, which holds what the database cannot take now; empty for one that `check_feedback`
    finds."""
    texts: bool = False
    """Whether the texts of articles are kept too: ratings become training data only where they are."""
    days: int = 90
    """How long a prediction and its ratings are kept."""
    spool_bytes: int = 64 * 2**20
    """The spool has no more bytes; what comes then is refused."""
    audit_share: float = 0.05
    """The share of articles for which the page asks for a label before it shows ours; 0 for none."""
    batch: int = 100
    """Ratings of a batch, over which satisfaction and accuracy are averaged."""
    trust: float = 0.75
    """A model is trusted where the lower bound of its accuracy in blind audits is at least this."""
    why_not: str = ""
    """Why nothing is kept, in words for callers."""

    @property
    def problem(self) -> str:
        """Which option is beyond its bounds, in words; empty where none is."""
        bounds: dict[str, tuple[float, float]] = {
            "days": (1, MAX_DAYS),
            "batch": (1, MAX_BATCH),
            "audit_share": (0, 1),
            "trust": (0, 1),
            "spool_bytes": (MIN_SPOOL_BYTES, MAX_SPOOL_BYTES),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                return f"{name} lies between {low} and {high}, not {value}"
        return ""

    def document(self) -> dict[str, Any]:
        """These options as JSON has them."""
        return dataclasses.asdict(self)
