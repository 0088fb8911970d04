"""Where the time of a step goes: ONNX Runtime's profile of a session, by operator."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ENDING: Final = "_kernel_time"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A step of one side."""

    side: str
    rows: int
    us: Mapping[str, float]
    """Microseconds of a step by operator."""


def read_profile(path: Path, *, side: str, rows: int, belongs: Callable[[str], bool]) -> Profile:
    """Sum up the nodes of a profile: of each the median over all steps, since a step may be interrupted.

    Args:
        path: The file that ``end_profiling`` names.
        side: What was profiled.
        rows: Rows of a step.
        belongs: Whether the node of a name is part of a step.
    """
    times_us: dict[tuple[str, str], list[float]] = {}
    for event in json.loads(path.read_text(encoding="utf-8")):
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith(_ENDING) and belongs(name.removesuffix(_ENDING)):
            times_us.setdefault((event["args"]["op_name"], name), []).append(event["dur"])
    us: dict[str, float] = {}
    for (operator, _), times in times_us.items():
        us[operator] = us.get(operator, 0.0) + statistics.median(times)
    return Profile(side=side, rows=rows, us=us)
