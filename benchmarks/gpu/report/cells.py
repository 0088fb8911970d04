"""Rows as tables of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.gpu.context import Cell

_TITLES: Final = {
    "what": "", "value": "", "gb_per_s": "GB/s", "moved_gb": "GB moved", "tera_operations_per_s": "tera operations/s",
    "p50_ms": "ms (p50)", "p99_ms": "ms (p99)", "median_ms": "ms (median)", "least_ms": "ms (least)", "us": "µs",
    "sm_mhz": "multiprocessors MHz", "temperature_c": "°C", "power_w": "W", "times_floor": "times the floor",
}  # fmt: skip
"""Titles of columns whose name says too little, or too much."""
_UNITS: Final = {
    "_per_s": "/s", "_ms": " ms", "_us": " µs", "_s": " s", "_gb": " GB", "_mb": " MB", "_mhz": " MHz", "_w": " W",
}  # fmt: skip
"""By the end of a column's name."""


def table(rows: Sequence[Mapping[str, Cell]]) -> list[str]:
    """The lines of a table: all columns that a row has, with titles that say the unit."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    right = [all(_is_number(row.get(column)) for row in rows) for column in columns]
    return [
        line([_title(column) for column in columns]),
        "|" + "|".join("---:" if is_right else "---" for is_right in right) + "|",
        *(line([_shown(column, row.get(column)) for column in columns]) for row in rows),
    ]


def _is_number(value: Cell) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _shown(column: str, value: Cell) -> Cell:
    return f"{value:.1%}" if column == "share" and isinstance(value, float) else value


def _title(column: str) -> str:
    if column in _TITLES:
        return _TITLES[column]
    ending = next((ending for ending in _UNITS if column.endswith(ending)), "")
    return column.removesuffix(ending).replace("_", " ") + _UNITS.get(ending, "")


def line(cells: Sequence[Cell]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cell(one) for one in cells) + " |"


def cell(value: Cell) -> str:
    """A value as it stands in a table: three digits of a fraction, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return " ".join(value.split()).replace("|", "\\|")
