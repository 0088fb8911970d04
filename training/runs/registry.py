"""The model registry: which version of a task's model is the champion, and when the challenger takes its place."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.data.tables import load_splits
from training.errors import TrackingError
from training.metrics.summarization import evaluate as evaluate_summaries
from training.models.architectures import architecture_of, load_prepared
from training.tasks import classifier
from training.tracking.client import Tracking, first_line, open_client
from training.tracking.recording import CHALLENGER, CHAMPION

from .evaluation import recorded
from .evaluation.gate import Judgement, judge, require_task
from .evaluation.report import Report, read_report

logger = logging.getLogger(__name__)

SCORES: Final = {AnswerKind.LABELS: "macro_f1", AnswerKind.TEXT: "rougeLsum"}
"""The test figure that decides, by what the answers are made of."""
MARGINS: Final = {AnswerKind.LABELS: 0.002, AnswerKind.TEXT: 0.2}
"""How much better a challenger has to be, unless the user says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a comparison."""

    promoted: bool
    text: str


def promote(
    task: Task,
    tracking: Tracking,
    *,
    margin: float | None = None,
    data: str = "",
    evaluation: Path | None = None,
    against: Path | None = None,
) -> Verdict:
    """Make the challenger the champion if it beats it by ``margin`` on the same test articles.

    With an ``evaluation`` it must also be no worse than the champion as both are served (see `evaluation.gate`); it is
    then kept with the new champion's run, where the next promotion finds it.

    Args:
        task: Whose registered model.
        tracking: Where the registry is.
        margin: In the units of the task's score; None takes `MARGINS`.
        data: Measure both anew on the test split of this data.
        evaluation: The challenger's served evaluation: its folder, or its JSON document.
        against: The champion's; None takes what is kept with its run.

    Raises:
        TrackingError: There is no challenger, or the two were tested on different articles and ``data`` is empty; no
            evaluation is kept with the champion and ``against`` is None.
        SettingError: An evaluation cannot be read, or the two do not compare.
        DataError: The data does not fit.
    """
    served = read_report(evaluation) if evaluation else None
    if served is not None:
        require_task(served, task)
    client = open_client(tracking)
    answers = CONTRACTS[task].answers
    minimum_gain = MARGINS[answers] if margin is None else margin
    challenger = _version(client, task, CHALLENGER)
    if challenger is None:
        raise TrackingError(
            f"{tracking.resolved}: there is no model {task.value!r} with the alias {CHALLENGER!r}; 'fit' gives it to "
            "every model that it records"
        )
    champion = _version(client, task, CHAMPION)
    if champion is not None and champion.version == challenger.version:
        return Verdict(promoted=False, text=f"{task.value}: version {champion.version} is the champion already")
    name = SCORES[answers]
    if data:
        frame = load_splits(data, task)["test"]
        scores = [_measure(task, tracking, model, frame) for model in (challenger, champion) if model is not None]
    else:
        _require_same_articles(task, challenger, champion)
        scores = [float(model.tags[f"test_{name}"]) for model in (challenger, champion) if model is not None]
    if champion is None:
        text = f"{task.value}: version {challenger.version} is the first champion ({name} {scores[0]:.4f})"
    else:
        gain = scores[0] - scores[1]
        figures = (
            f"version {challenger.version} has {name} {scores[0]:.4f}, the champion, version {champion.version}, "
            f"{scores[1]:.4f}"
        )
        if gain < minimum_gain:
            short = f"{figures}: a gain of {gain:+.4f}, and {minimum_gain:g} is asked for"
            return Verdict(promoted=False, text=f"{task.value}: not promoted. {short}")
        text = f"{task.value}: promoted. {figures}: a gain of {gain:+.4f}"
        if served is not None:
            judgement = _judged(client, served, champion, against)
            if not judgement.passed:
                return Verdict(promoted=False, text=f"{task.value}: not promoted. {figures}; {judgement.text}")
            text = f"{text}; {judgement.text}"
    if served is not None:
        recorded.keep(client, challenger, served)
    client.set_registered_model_alias(task.value, CHAMPION, challenger.version)
    return Verdict(promoted=True, text=text)


def _judged(client: Any, newcomer: Report, champion: Any, against: Path | None) -> Judgement:
    if against is not None:
        return judge(newcomer, read_report(against))
    with recorded.kept(client, champion) as report:
        return judge(newcomer, report)


def _version(client: Any, task: Task, alias: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(task.value, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise TrackingError(f"the registry refuses: {first_line(error)}") from error


def _require_same_articles(task: Task, challenger: Any, champion: Any) -> None:
    if champion is not None and challenger.tags.get("test_hash") != champion.tags.get("test_hash"):
        raise TrackingError(
            f"{task.value}: versions {challenger.version} and {champion.version} were tested on different articles, so "
            "their figures say nothing about each other: name the frozen test set with --data PATH"
        )


def _measure(task: Task, tracking: Tracking, version: Any, frame: pd.DataFrame) -> float:
    """The score of a registered version of a model on a table of test articles."""
    import mlflow

    logger.info("measuring version %s on %d test articles", version.version, len(frame))
    uri = f"models:/{task.value}/{version.version}"
    with tempfile.TemporaryDirectory() as place:
        try:
            found = mlflow.artifacts.download_artifacts(uri, dst_path=place, tracking_uri=tracking.resolved)
        except Exception as error:  # MLflow raises what its stores raise
            raise TrackingError(f"{uri}: cannot be fetched: {first_line(error)}") from error
        # MLflow's flavour keeps the tokenizer apart from the model.
        model, tokenizer = load_prepared(
            task, Path(found) / "model", tokenizer=Path(found) / "components" / "tokenizer"
        )
        answers = CONTRACTS[task].answers
        return float(_FIGURES[answers](model, tokenizer, frame)[SCORES[answers]])


def _summary_figures(model: Any, tokenizer: Any, frame: pd.DataFrame) -> dict[str, Any]:
    limit = architecture_of(model.config.model_type).limit(model.config)
    figures: dict[str, Any] = evaluate_summaries(
        model, tokenizer, frame, max_tokens=min(tokenizer.model_max_length, limit or tokenizer.model_max_length)
    )["test"]
    return figures


_FIGURES: Final[dict[AnswerKind, Callable[[Any, Any, pd.DataFrame], dict[str, Any]]]] = {
    AnswerKind.TEXT: _summary_figures,
    AnswerKind.LABELS: classifier.figures_on,
}
