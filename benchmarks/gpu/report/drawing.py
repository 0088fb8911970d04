"""What the pictures of a run share: rows by what tells them apart, and axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.common.charts import INK, style
from benchmarks.gpu.context import Cell

Rows = Sequence[Mapping[str, Cell]]
WIDTH: Final = 9.5
"""Inches of a picture."""


def numbered(rows: Rows, columns: Sequence[str]) -> Rows:
    """The rows that have numbers in these columns."""
    return [row for row in rows if all(is_number(row.get(column)) for column in columns)]


def is_number(value: Cell) -> bool:
    """Whether it is one; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def groups(rows: Rows, columns: Sequence[str]) -> dict[tuple[Cell, ...], list[Any]]:
    """The rows by what they have in these columns, in the order of the first of each."""
    found: dict[tuple[Cell, ...], list[Any]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(column) for column in columns), []).append(row)
    return found


def telling(rows: Rows, columns: Mapping[str, str]) -> list[str]:
    """Those of the columns in which the rows differ: what a line must be named by."""
    return [column for column in columns if len({row.get(column) for row in rows}) > 1]


def name_of(columns: Sequence[str], values: Sequence[Cell], words: Mapping[str, str]) -> str:
    """The words for these values, each as the template of its column says it."""
    pairs = zip(columns, values, strict=True)
    return ", ".join(words[column].format(value) for column, value in pairs if value not in (None, ""))


def new_axes(title: str, about: str, height: float) -> tuple[Figure, Any]:
    """A figure with one pair of axes; its height is in inches."""
    figure, axes = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    style(axes)
    set_title(figure, title, about)
    return figure, axes


def set_title(figure: Figure, title: str, about: str) -> None:
    """Say what is shown, and of which card."""
    figure.suptitle(f"{title}\n{about}", x=0.01, ha="left", fontsize=11.5, color=INK)
