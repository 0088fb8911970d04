"""What a search leaves for people: ``best.toml``, ``trials.md`` and ``tuning.png``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from infolens.contract import Task
from training.recipes.recipe import Recipe
from training.recipes.settings import to_toml
from training.runs.output import write_whole
from training.runs.pages.text import escaped

from .board import TUNED, Board, State, Trial, figure

BEST: Final = "best.toml"
TABLE: Final = "trials.md"
PICTURE: Final = "tuning.png"
_BLUE, _GREY, _RED = "#1f5fa8", "#b3b8bf", "#c0392b"
_HEADS: Final = {
    "learning_rate": "learning rate",
    "per_device_train_batch_size": "batch",
    "optim": "optimizer",
    "warmup_ratio": "warm-up",
    "weight_decay": "weight decay",
}


def write_best(board: Board, task: Task, recipe: Recipe, trial: Trial) -> Recipe:
    """Write ``best.toml``: the search's recipe with the settings of a trial; returns that recipe."""
    found = replace(recipe, **{name: trial.settings[name] for name in TUNED})
    write_whole(board.folder / BEST, to_toml(found, task))
    return found


def write_report(board: Board) -> None:
    """Write ``trials.json``, the table and the picture of the trials."""
    board.write()
    write_whole(board.folder / TABLE, table(board))
    picture = board.folder / PICTURE
    partial = picture.with_name(f"partial-{picture.name}")
    _drawn(board).savefig(partial, dpi=120)
    partial.replace(picture)


def table(board: Board, *, limit: int | None = None) -> str:
    """The trials as a table in Markdown, the best first.

    Args:
        board: The trials.
        limit: Rows at most; None shows all.
    """
    trials = board.ranked()
    heads = ["trial", board.score, *(_HEADS[name] for name in TUNED), "measured", "minutes", "ended"]
    lines = [f"{board.told()}.", "", _row(heads), _row(["---"] * len(heads))]
    for trial in trials[:limit]:
        score = "" if trial.score is None else f"{trial.score:.4f}"
        settings = [figure(trial.settings[name]) for name in TUNED]
        how = f"{trial.state.value}: {trial.error}" if trial.error else trial.state.value
        cells = [str(trial.number), score, *settings, str(len(trial.points)), f"{trial.train_s / 60:.1f}", how]
        lines.append(_row([escaped(cell) for cell in cells]))
    if limit is not None and len(trials) > limit:
        lines += ["", f"And {len(trials) - limit} more, in {TABLE}."]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _drawn(board: Board) -> Any:
    """Each trial's score over its steps, the best one in colour."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7, 4.2), layout="constrained")
    axes = drawing.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    best = board.best()
    styles = {State.FINISHED: ("o", "trained to the end"), State.STOPPED_EARLY: ("x", "stopped early")}
    named = set()
    places: dict[tuple[int, float], list[int]] = {}
    for trial in reversed(board.ranked()):  # the best one on top
        if not trial.points or trial is best:
            continue
        marker, label = styles.get(trial.state, ("s", "failed or unfinished"))
        steps, scores = zip(*((point.step, point.score) for point in trial.points), strict=True)
        axes.plot(steps, scores, color=_GREY, linewidth=1)
        axes.plot(
            steps[-1], scores[-1], color=_RED if marker == "s" else _GREY, marker=marker, linestyle="",
            label="_" if label in named else label,
        )  # fmt: skip
        named.add(label)
        places.setdefault((steps[-1], round(scores[-1], 3)), []).append(trial.number)
    for (step, score), numbers in places.items():
        text = ", ".join(str(number) for number in sorted(numbers)[:8]) + (", ..." if len(numbers) > 8 else "")
        axes.annotate(text, (step, score), (5, 0), textcoords="offset points", va="center", fontsize=8, color="#6b7077")
    if best is not None and best.score is not None:
        steps, scores = zip(*((point.step, point.score) for point in best.points), strict=True)
        label = f"the best: trial {best.number}, {best.score:.4g}"
        axes.plot(steps, scores, color=_BLUE, linewidth=2.2, marker="o", label=label)
    axes.set(
        xlabel="optimizer step", ylabel=f"validation {board.score}", title="The trials' scores; numbers name trials"
    )
    axes.margins(x=0.08)
    axes.legend(frameon=False, loc="best")
    return drawing
