"""The picture of one traced request."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.common.charts import save
from infolens.contract import AnswerKind

from .timeline import Part, Timeline, Visit, gaps

_WAITING, _COPYING, _COMPUTING, _HELPING, _IDLE = "#e3b23c", "#8d99a6", "#1f6f8b", "#8cc0ce", "#f8e4df"
_DOES: Final = {AnswerKind.TEXT: "writes the", AnswerKind.LABELS: "finds the"}
"""What an ONNX model does, by what its answers are made of; the task follows."""


def _roles(timeline: Timeline) -> dict[str, str]:
    """What each model below the ensembles does, in words."""
    found: dict[str, str] = {}
    for task, model in timeline.served.items():
        does = ("text into numbers", f"{_DOES[model.answers]} {task}", "numbers into words")
        found |= dict(zip(model.chain, does, strict=True))
    return found


def draw_timeline(timeline: Timeline, path: Path, *, title: str, caption: str) -> None:
    """Draw one request as ``path`` (PNG): a row for each model, shaded where none of the ONNX models computes."""
    roles = _roles(timeline)
    rows = [visit for model, visit in timeline.visits.items() if model in roles]
    figure = Figure(figsize=(10.0, 2.1 + 0.42 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for gap in gaps(timeline):
        axis.axvspan(gap.start_ms, gap.end_ms, color=_IDLE, linewidth=0, zorder=0)
        if gap.length_ms >= 0.02 * timeline.total_ms:
            middle_ms = (gap.start_ms + gap.end_ms) / 2
            axis.text(middle_ms, -0.75, f"{gap.length_ms:.1f} ms", ha="center", fontsize=9, color="#a2371f")
    for row, visit in enumerate(rows):
        _draw(axis, row, visit, timeline)
    axis.set_yticks(range(len(rows)), [f"{visit.model}\n{roles[visit.model]}" for visit in rows], fontsize=8.5)
    axis.set_ylim(len(rows) - 0.45, -1.1)
    axis.set_xlim(0, timeline.total_ms)
    axis.set_xlabel("milliseconds after the request came to the server")
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    legend = {
        "a model computes": _COMPUTING,
        "a helper computes": _HELPING,
        "data is copied": _COPYING,
        "waiting": _WAITING,
        "no model computes": _IDLE,
    }
    handles = [Patch(color=colour, label=label) for label, colour in legend.items()]
    axis.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=12.5)
    figure.supxlabel(caption, fontsize=9.5, color="#444444")
    save(figure, path, dpi=150)


def _draw(axis: Any, row: int, visit: Visit, timeline: Timeline) -> None:
    total_ms = timeline.total_ms
    computing = _COMPUTING if visit.model in timeline.models else _HELPING
    colours = {Part.QUEUE: _WAITING, Part.INPUT: _COPYING, Part.COMPUTE: computing, Part.OUTPUT: _COPYING}
    for part, one in visit.parts.items():
        axis.barh(row, one.length_ms, left=one.start_ms, height=0.62, color=colours[part])
    busy_ms, waiting_ms = visit.part_ms(Part.INPUT, Part.COMPUTE, Part.OUTPUT), visit.part_ms(Part.QUEUE)
    words = f"{busy_ms:.1f} ms" + (f", after {waiting_ms:.1f} of waiting" if waiting_ms >= 0.05 else "")
    look = {"va": "center", "fontsize": 9, "color": "#222222"}
    room_ms = 0.01 * total_ms
    if busy_ms > 0.5 * total_ms:
        axis.text(
            visit.whole.start_ms + visit.whole.length_ms / 2, row, words, ha="center", **{**look, "color": "white"}
        )
    elif visit.whole.start_ms > 0.6 * total_ms:
        axis.text(visit.whole.start_ms - room_ms, row, words, ha="right", **look)
    else:
        axis.text(visit.whole.end_ms + room_ms, row, words, ha="left", **look)
