"""A whole evaluation: read the table, ask the server, score the answers, write the documents."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from infolens import Article, Client, InfoLensError, InvalidArticleError, ServerStatus, SummaryOptions, Task
from infolens.contract import CONTRACTS, AnswerKind
from training.data.policy import RowPolicy
from training.data.schema import schema_of
from training.errors import DataError, RunError, SettingError
from training.metrics.intervals import DRAWS, LEVEL
from training.runs.output import check_place

from . import labelled, texts
from .answers import Answered, Answers
from .baselines import baseline_chances
from .page import write_page
from .paired import beside
from .report import KIND, SCHEMA_VERSION, SCORES, read_report, write_document, write_scores
from .rows import Rows, file_of, hash_of, load_rows, require_columns, training_rows

logger = logging.getLogger(__name__)

ARTICLE: Final = "article"
SUMMARY: Final = "summary"
READINGS: Final = (ARTICLE, SUMMARY)
_STATUS_TIMEOUT_S: Final = 60.0
NO_BASELINE: Final = "none"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is to be measured."""

    task: Task
    data: tuple[str, ...]
    """Tables, whose rows are put together."""
    server: str
    """URL; the server's door says which revision of a model answers."""
    out: Path
    """Folder of the documents and of the answers that are kept."""
    split: str = ""
    """See `rows.load_rows`."""
    limit: int = 0
    """At most this many rows; 0 for all."""
    read: str = ARTICLE
    """What a classifier is given: the article, or title and served summary."""
    baseline: str = ""
    """A table whose training rows the baseline learns from; empty for the tables' own, `NO_BASELINE` for none."""
    by: tuple[str, ...] = ()
    """More columns of the table to group by."""
    options: SummaryOptions | None = None
    """How summaries are written; None leaves it to the server."""
    policy: RowPolicy = field(default_factory=lambda: RowPolicy(clean=False))
    """Columns, labels, encoding; texts go to the server as the table has them unless it cleans."""
    draws: int = DRAWS
    """Bootstrap draws."""
    compare: Path | None = None
    """Another evaluation, to compare with row by row."""
    command: str = ""
    """How it was called, for the document."""

    def __post_init__(self) -> None:
        if self.read == SUMMARY and CONTRACTS[self.task].answers is AnswerKind.TEXT:
            raise SettingError(f"--read {SUMMARY} is for classifiers; {self.task.value} writes the summary itself")


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What the server answered."""

    rows: Rows
    """All rows that it was asked about."""
    frame: pd.DataFrame
    """Those that it did not refuse."""
    answers: Sequence[Answered]
    """One for each of these."""
    names: Sequence[str]
    """The labels that its model gives; none for summaries."""


def evaluate(wanted: Evaluation) -> dict[str, Any]:
    """Measure a served model; returns the document that was written.

    Raises:
        DataError: The table does not fit the task or the served model's labels.
        SettingError: Settings do not fit together.
        RunError: The server cannot be asked; the answers that it gave are kept.
        StorageError: The folder cannot be written to.
    """
    check_place(wanted.out)
    other = read_report(wanted.compare) if wanted.compare else None
    rows = load_rows(wanted.data, wanted.task, wanted.policy, split=wanted.split, limit=wanted.limit)
    require_columns(rows.frame, wanted.by)
    wanted.out.mkdir(parents=True, exist_ok=True)
    try:
        with Client(wanted.server, timeout_s=_STATUS_TIMEOUT_S) as client:
            status = client.status()
            _warn_of_unknown(status, wanted)
            names = _labels(status, wanted.task, rows)
            answers = _ask(wanted, rows.frame, Answers(wanted.out, client, status, wanted.options))
    except InfoLensError as error:
        raise RunError(f"{wanted.server}: {error}") from error
    kept = [index for index, answer in enumerate(answers) if not answer.refused]
    if not kept:
        raise DataError(f"the server refused all {len(answers)} rows, the first since {answers[0].refused}")
    frame = rows.frame.iloc[kept].reset_index(drop=True)
    told = _Told(rows=rows, frame=frame, answers=[answers[index] for index in kept], names=names)
    scores, figures = _MEASURES[CONTRACTS[wanted.task].answers](wanted, told)
    document = {
        **_about(wanted, status, rows),
        "rows": {
            "asked": len(answers),
            "scored": len(kept),
            "refused": len(answers) - len(kept),
            "repeated": rows.repeated,
            "articles": int(frame["group"].nunique()),
        },
        "labels": list(names),
        "figures": figures,
        "compared": beside(scores, names, wanted.task, other, draws=wanted.draws) if other else {},
    }
    write_scores(wanted.out, scores)
    write_document(wanted.out, document)
    write_page(wanted.out, document)
    return document


def _warn_of_unknown(status: ServerStatus, wanted: Evaluation) -> None:
    if wanted.task.value not in status.tasks:
        logger.warning(
            "%s does not say which revision of the model answers, so nothing is known of it later and no answer is "
            "used again; name the address of a server that 'make serve' starts, not of Triton itself",
            wanted.server,
        )


def _about(wanted: Evaluation, status: ServerStatus, rows: Rows) -> dict[str, Any]:
    served = status.tasks.get(wanted.task.value)
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "task": wanted.task.value,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": wanted.command,
        "server": {
            "version": status.version,
            "models": {
                name: {"model": one.model, "version": one.version, "revision": one.revision}
                for name, one in status.tasks.items()
            },
        },
        "served": {"model": served.model if served else "", "revision": served.revision if served else ""},
        "settings": dict(wanted.options.given()) if wanted.options else {},
        "read": wanted.read,
        "cleaned": wanted.policy.clean,
        "data": list(rows.files),
        "split": rows.split,
        "baseline": file_of(wanted.baseline) if wanted.baseline not in ("", NO_BASELINE) else {},
        "bootstrap": {"draws": wanted.draws, "level": LEVEL, "seed": 0, "unit": "article"},
        "scores": SCORES,
    }


def _labels(status: ServerStatus, task: Task, rows: Rows) -> tuple[str, ...]:
    """The labels of the served model; none for summaries.

    Raises:
        DataError: The table has others.
        RunError: The server does not say them.
    """
    if CONTRACTS[task].answers is AnswerKind.TEXT:
        return ()
    names = status.labels.get(task.value, ())
    if not names:
        raise RunError(f"the server does not say which labels its model for {task.value} gives; is it served there?")
    labelled.require_labels(rows.frame, names)
    return names


def _ask(wanted: Evaluation, frame: pd.DataFrame, answers: Answers) -> list[Answered]:
    """The answer for each row; rows of one article are asked about once."""
    titles, bodies = _titles(frame), frame[schema_of(wanted.task).body].tolist()
    if wanted.read == ARTICLE:
        return _answers(wanted.task, titles, bodies, answers)
    summaries = _answers(Task.SUMMARY, titles, bodies, answers)
    read = [one.answer.get("text", body) for one, body in zip(summaries, bodies, strict=True)]
    found = _answers(wanted.task, titles, read, answers)
    return [summary if summary.refused else one for summary, one in zip(summaries, found, strict=True)]


def _answers(task: Task, titles: Sequence[str], bodies: Sequence[str], answers: Answers) -> list[Answered]:
    keys = [hash_of(title, body) for title, body in zip(titles, bodies, strict=True)]
    found = answers.of(task, {key: _article(*parts) for key, *parts in zip(keys, titles, bodies, strict=True)})
    return [found[key] for key in keys]


def _article(title: str, text: str) -> Article | InvalidArticleError:
    try:
        return Article(text=text, title=title or None)
    except InvalidArticleError as error:
        return error


def _titles(frame: pd.DataFrame) -> list[str]:
    return [str(title) for title in frame["title"]] if "title" in frame else [""] * len(frame)


def _measure_labels(wanted: Evaluation, told: _Told) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    scores = _with_columns(labelled.scores_of(told.frame, told.answers, told.names), told.frame, wanted.by)
    if wanted.baseline != NO_BASELINE:
        train = told.rows.train
        if wanted.baseline:
            train = training_rows(wanted.baseline, wanted.task, wanted.policy, told.rows.frame)
        scores = pd.concat([scores, baseline_chances(train, told.frame, told.names, wanted.out)], axis=1)
    return scores, labelled.figures_of(scores, told.names, wanted.by, wanted.draws)


def _measure_texts(wanted: Evaluation, told: _Told) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    scores = _with_columns(texts.scores_of(told.frame, told.answers), told.frame, wanted.by)
    return scores, texts.figures_of(scores, wanted.by, wanted.draws)


def _with_columns(scores: pd.DataFrame, frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return scores.assign(**{name: frame[name].astype(str).to_numpy() for name in names if name not in scores})


_MEASURES: Final = {AnswerKind.LABELS: _measure_labels, AnswerKind.TEXT: _measure_texts}
