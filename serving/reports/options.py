"""Whether reports are kept, and for how long."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

MAX_DAYS: Final = 3650
"""No report is kept for longer."""


@dataclass(frozen=True, kw_only=True)
class ReportsOptions:
    """What the door is told of kept reports."""

    keeps: bool | None = None
    """Whether reports are kept where a request asks for it; None where they can be, which `check_reports` finds out."""
    url: str = field(default="", repr=False)
    """Where they are kept, as a URL; empty for a file in the cache."""
    texts: bool = False
    """Whether the texts of articles are kept too."""
    days: int = 30
    """How long a report is kept."""
    why_not: str = ""
    """Why none is kept, in words for callers."""

    def document(self) -> dict[str, Any]:
        """These options as JSON has them."""
        return dataclasses.asdict(self)
