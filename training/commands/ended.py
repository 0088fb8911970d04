"""What a run that has ended says to whoever waited for it: how good, where, and what next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.runs.promotion.versions import SCORES, baseline_of
from training.tracking.client import Tracking


def told(task: Task, metrics: Mapping[str, Any], folder: Path, tracking: Tracking) -> str:
    """A few lines: the test figure beside its baseline's, the checkpoint, and the commands that come next.

    Args:
        task: What the model answers.
        metrics: What ``metrics.json`` holds.
        folder: The checkpoint.
        tracking: Where the run is recorded.
    """
    lines = [
        f"{task.value}: {_FIGURES[CONTRACTS[task].answers](metrics)}",
        f"checkpoint: {folder}, after {metrics['steps']} steps and {metrics['minutes']:.1f} min",
    ]
    promote = f"next: python -m training promote {task.value}{tracking.option}  # the best version becomes the champion"
    if _below(task, metrics):
        lines.append("below its baseline" + (": promote will refuse it" if tracking.enabled else ""))
    elif tracking.enabled:
        lines.append(promote)
    lines.append(f"next: python -m export {task.value} --checkpoint {shlex.quote(str(folder))}")
    return "\n".join(lines)


def _below(task: Task, metrics: Mapping[str, Any]) -> bool:
    """Whether a model's deciding figure is below its baseline's, by which ``promote`` judges."""
    baseline = baseline_of(metrics, task)
    return baseline is not None and metrics["test"][SCORES[CONTRACTS[task].answers]] < baseline


def _figures_of_labels(metrics: Mapping[str, Any]) -> str:
    test, baseline = metrics["test"], metrics["baseline"]["test"]
    return (
        f"macro-F1 {test['macro_f1']:.4f} and accuracy {test['accuracy']:.4f} on {test['articles']} test articles; "
        f"the baseline (TF-IDF) has {baseline['macro_f1']:.4f} and {baseline['accuracy']:.4f}"
    )


def _figures_of_texts(metrics: Mapping[str, Any]) -> str:
    leads = {count: metrics[f"lead_{count}"]["rougeLsum"] for count in (1, 2, 3)}
    best = max(leads, key=leads.__getitem__)
    sentences = "the first sentence" if best == 1 else f"the first {best} sentences"
    chosen = ""
    if choice := metrics.get("choice"):
        chosen = (
            f"; the sentences that its head chooses have {choice['rougeLsum']:.2f}, as many first words "
            f"{choice['lead_same_words']['rougeLsum']:.2f}"
        )
    return (
        f"ROUGE-Lsum {metrics['test']['rougeLsum']:.2f} on {metrics['rows']} test articles; the baseline ({sentences} "
        f"of each) has {leads[best]:.2f}{chosen}"
    )


_FIGURES: Final = {AnswerKind.TEXT: _figures_of_texts, AnswerKind.LABELS: _figures_of_labels}
