"""What is asked of a deployment: articles a second, bounds, and what of its rate is kept free."""

from __future__ import annotations

from typing import Final

WANTED_PER_S: Final = (10.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
BOUNDS_MS: Final = (250.0, 500.0, 1000.0)
HEAD_ROOM: Final = 0.2
"""Share of a replica's highest rate that is kept free."""
