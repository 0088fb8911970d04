"""How the pictures of all reports look, and how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from .machine import Machine

GOOD, BAD, INK, PALE, SECOND = "#1f7a5c", "#b3362b", "#26333d", "#c9d3da", "#d08a1d"


def style(axes: Any) -> None:
    """Draw no frame and a pale grid, so that the data is what is seen."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)


def save(figure: Any, path: Path, *, dpi: int = 130) -> Path:
    """Write a figure of matplotlib as a PNG, beside its place and then renamed, and close it.

    Args:
        figure: What is drawn.
        path: The file, which ends in ``.png``.
        dpi: Pixels for each inch of the figure.
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    figure.savefig(partial, dpi=dpi, metadata={"Software": None})
    plt.close(figure)
    partial.replace(path)
    return path


def where(machine: Machine) -> str:
    """The machine in a few words, such as ``2 cores of AMD EPYC``."""
    return f"{'1 core' if machine.cores == 1 else f'{machine.cores} cores'} of {machine.cpu}"
