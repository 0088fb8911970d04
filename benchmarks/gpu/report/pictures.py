"""Pictures of a run on a GPU; each is drawn where its table has the rows and columns that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from benchmarks.common.charts import save

from .bars import kernels, training
from .drawing import Rows, numbered
from .lines import classifiers, sweep


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a table."""

    path: Path
    title: str


def draw(table: str, rows: Rows, about: str, stem: Path) -> Picture | None:
    """Draw a table of `PICTURES`; None where its rows do not suffice.

    Args:
        table: Its name.
        rows: Its rows.
        about: The card, in words.
        stem: Path of the files without their endings, such as ``<folder>/nvidia-h100-2026-11-26``.
    """
    drawn = PICTURES[table]
    figure = drawn.make(numbered(rows, drawn.needs), about)
    if figure is None:
        return None
    return Picture(path=save(figure, stem.with_name(f"{stem.name}-{table}.png")), title=drawn.title)


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """How a table is drawn."""

    make: Callable[[Rows, str], Figure | None]
    needs: tuple[str, ...]
    """Columns; rows without a number in each of them are left out."""
    title: str


PICTURES: Final = {
    "sweep": _Drawn(make=sweep, needs=("batch", "articles_per_s"), title="Summaries a second by batch"),
    "kernels": _Drawn(make=kernels, needs=("us",), title="Where the time of a step goes"),
    "classifiers": _Drawn(make=classifiers, needs=("batch", "p50_ms"), title="Category and veracity by batch"),
    "training": _Drawn(make=training, needs=("samples_per_s",), title="Training, samples a second"),
}
"""By table."""
