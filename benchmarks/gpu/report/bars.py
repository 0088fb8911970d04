"""Bars: the kernels of a step, and ways to train."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.common.charts import GOOD, INK, PALE, style
from benchmarks.gpu.context import Cell

from .drawing import WIDTH, Rows, groups, name_of, new_axes, set_title, telling

_KERNELS: Final = 14
"""Maximum kernels in a picture."""
_NAME_CHARACTERS: Final = 52


def kernels(rows: Rows, about: str) -> Figure | None:
    """The kernels of a step, the longest first."""
    if not rows:
        return None
    others = [column for column in rows[0] if column not in ("kernel", "calls", "us", "share")]
    values, first = next(iter(groups(rows, others).items()))
    # A part may have summed up the shortest ones already.
    single = [row for row in first if not str(row.get("kernel")).endswith(" others")]
    shown = sorted(single, key=lambda row: -row["us"])[:_KERNELS]
    rest_us = sum(row["us"] for row in first) - sum(row["us"] for row in shown)
    bars = [(_shortened(str(row.get("kernel", ""))), row["us"], row.get("calls")) for row in shown]
    if len(shown) < len(first):
        bars.append(("all others", rest_us, None))
    which = ", ".join(f"{column} {value}" for column, value in zip(others, values, strict=True))
    title = "Where the time of a step goes, by kernel" + (f" ({which})" if which else "")
    figure, axes = new_axes(title, about, 1.7 + 0.34 * len(bars))
    whole = sum(us for _, us, _ in bars) or 1.0
    _bars(
        axes,
        [name for name, _, _ in bars],
        [us for _, us, _ in bars],
        [_time(us, us / whole, calls) for _, us, calls in bars],
        [GOOD] * len(shown) + [PALE],
    )
    axes.set_xlabel("microseconds")
    return figure


def _time(us: float, share: float, calls: Cell) -> str:
    words = f"{us:,.0f} µs" if us >= 100 else f"{us:.3g} µs"
    return f"{words}, {share:.0%}" + (f", {calls:g} calls" if isinstance(calls, int | float) else "")


def _shortened(name: str) -> str:
    """A kernel's name without what many have in common; of a long one the beginning and the end."""
    short = re.sub(r"^void |at::native::|c10::|\(anonymous namespace\)::", "", name)
    if len(short) <= _NAME_CHARACTERS:
        return short
    return f"{short[: _NAME_CHARACTERS * 2 // 3]}…{short[-_NAME_CHARACTERS // 3 :]}"


_BARS: Final = {
    "method": "{}", "precision": "{}", "checkpointing": "checkpointing: {}", "optimizer": "{}",
    "tokens_in": "{} tokens in", "tokens_out": "{} tokens out", "way": "{}",
}  # fmt: skip
"""What a bar of training can be named by, and how; its batch is the best one."""


def training(rows: Rows, about: str) -> Figure | None:
    """Samples a second of each way to train at its best batch, a panel for each model."""
    models = groups(rows, ("model",))
    if not models:
        return None
    panels = {
        str(model or ""): [
            max(way, key=lambda row: row["samples_per_s"]) for way in groups(group, list(_BARS)).values()
        ]
        for (model,), group in models.items()
    }
    counts = [len(panel) for panel in panels.values()]
    figure, found = plt.subplots(
        len(panels), 1, figsize=(WIDTH, 1.0 + 0.6 * len(panels) + 0.3 * sum(counts)), layout="constrained",
        squeeze=False, height_ratios=counts,
    )  # fmt: skip
    for axes, (model, panel) in zip(found.flat, panels.items(), strict=True):
        style(axes)
        columns = [*telling(panel, _BARS), "batch"]
        named = [[_plain(row.get(column)) for column in columns] for row in panel]
        rates: list[Any] = [row["samples_per_s"] for row in panel]
        words = [_rate(rate, row.get("memory_gb")) for rate, row in zip(rates, panel, strict=True)]
        _bars(axes, [name_of(columns, cells, {**_BARS, "batch": "batch {}"}) for cells in named], rates, words, [GOOD])
        axes.set_title(model, fontsize=10, color=INK, loc="left")
    found[-1][0].set_xlabel("samples a second")
    set_title(figure, "Training: samples a second, each at its best batch", about)
    return figure


def _rate(per_s: float, memory_gb: Cell) -> str:
    words = f"{per_s:,.0f}/s" if per_s >= 100 else f"{per_s:.3g}/s"
    return words + (f", {memory_gb:.1f} GB" if isinstance(memory_gb, float) else "")


def _bars(axes: Any, names: Sequence[str], values: Sequence[Any], words: Sequence[str], colours: Sequence[str]) -> None:
    """Bars that lie, the first one on top, each with words at its end."""
    places = range(len(values))
    axes.barh(places, values, color=colours)
    for place, value, word in zip(places, values, words, strict=True):
        axes.annotate(
            word, (value, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9, color=INK
        )
    axes.set_yticks(places, names, fontsize=8.5)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.4 * max(values) or 1.0)


def _plain(value: Cell) -> Cell:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
