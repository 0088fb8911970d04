"""Reads what is kept: one prediction and what was said of it, or all ratings that count, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select, tuple_

from serving.feedback.records import Answered, Prediction, Rating, Submission

from .counting import PASSED
from .schema import answers, erased, models, populations, predictions, ratings, submissions

MAX_SAID: Final = 200
"""So many submissions are read of one prediction: whoever has its id may have sent thousands."""
_PAGE: Final = 1000
"""Rows that are read at once."""
_MODEL: Final = (models.c.task, models.c.model, models.c.revision)


def read_prediction(connection: Connection, prediction_id: str) -> Prediction | None:
    """The prediction of an id, without its tallies."""
    row = connection.execute(select(predictions).where(predictions.c.id == prediction_id)).one_or_none()
    if row is None:
        return None
    joined = answers.join(models, answers.c.model == models.c.number)
    found = select(answers, models.c.task, models.c.model.label("name"), models.c.revision).select_from(joined)
    of = found.where(answers.c.prediction == row.number).order_by(answers.c.position)
    return Prediction(
        **{name: value for name, value in row._asdict().items() if name not in ("number", "timings")},
        timings=json.loads(row.timings),
        answers=tuple(map(_answered, connection.execute(of))),
    )


def _answered(row: Any) -> Answered:
    return Answered(
        task=row.task,
        model=row.name,
        version=row.version,
        revision=row.revision,
        label=row.label,
        signal=row.signal,
        probability=row.probability,
        output=json.loads(row.output),
    )


def read_submissions(connection: Connection, prediction_id: str) -> list[Submission]:
    """What was said of a prediction, in its order: the latest `MAX_SAID`, audits before others."""
    c = submissions.c
    number = select(predictions.c.number).where(predictions.c.id == prediction_id).scalar_subquery()
    mine = or_(c.prediction == number, c.awaited == prediction_id)
    latest = select(submissions).where(mine).order_by(c.audit.desc(), c.number.desc()).limit(MAX_SAID)
    rows = sorted(connection.execute(latest).all(), key=lambda row: row.number)
    said: dict[int, list[Rating]] = {row.number: [] for row in rows}
    of = (ratings.c.submission.in_(said), ratings.c.position < PASSED)
    order = (ratings.c.submission, ratings.c.position)
    for one in connection.execute(select(ratings).where(*of).order_by(*order)) if said else ():
        rating = Rating(task=one.task, stars=one.stars, better=one.better, right=one.said_right, label=one.said_label)
        said[one.submission].append(rating)
    names = ("id", "made_us", "token", "digest", "key", "rater", "note", "consent", "audit")
    return [
        Submission(
            **{name: getattr(row, name) for name in names},
            prediction=prediction_id,
            ratings=tuple(said[row.number]),
        )
        for row in rows
    ]


@dataclass(frozen=True, kw_only=True)
class ModelContents:
    """What is kept of one revision of a model."""

    task: str
    model: str
    revision: str
    predictions: int
    """Answers of it that were counted, those that were erased or forgotten since too."""
    ratings: int
    """Those that count and were volunteered..."""
    audits: int
    """...and those of audits."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """How much is kept."""

    predictions: int = 0
    with_texts: int = 0
    """How many of them are kept with the text of the article."""
    submissions: int = 0
    waiting: int = 0
    """Submissions that wait for their predictions, of all."""
    erased: int = 0
    """Ids that are known to have been erased."""
    oldest_us: int | None = None
    newest_us: int | None = None
    """When the predictions were made."""
    models: tuple[ModelContents, ...] = ()


def read_contents(connection: Connection) -> Contents:
    """How much is kept."""
    p, s, r = predictions.c, submissions.c, ratings.c
    made = connection.execute(select(func.count(), func.count(p.text), func.min(p.made_us), func.max(p.made_us))).one()
    told = connection.execute(select(func.count(), func.count(s.awaited)).select_from(submissions)).one()
    given = select(r.model, r.audit, func.count()).where(r.counts, r.place.is_not(None)).group_by(r.model, r.audit)
    rated = {(model, audit): count for model, audit, count in connection.execute(given)}
    c = populations.c
    answered = select(c.model, func.sum(c.predictions)).group_by(c.model)
    asked = {model: int(count) for model, count in connection.execute(answered)}
    return Contents(
        predictions=made[0],
        with_texts=made[1],
        oldest_us=made[2],
        newest_us=made[3],
        submissions=told[0],
        waiting=told[1],
        erased=connection.execute(select(func.count()).select_from(erased)).scalar_one(),
        models=tuple(
            ModelContents(
                task=row.task,
                model=row.model,
                revision=row.revision,
                predictions=asked.get(row.number, 0),
                ratings=rated.get((row.number, False), 0),
                audits=rated.get((row.number, True), 0),
            )
            for row in connection.execute(select(models).order_by(models.c.task, models.c.number))
        ),
    )


def read_rows(connection: Connection) -> Iterator[dict[str, Any]]:
    """One row for each rating that counts, with its prediction, in the order in which they came."""
    r, s, p, a = ratings.c, submissions.c, predictions.c, answers.c
    joined = (
        ratings.join(submissions, s.number == r.submission)
        .join(predictions, p.number == r.prediction)
        .join(answers, (a.prediction == r.prediction) & (a.model == r.model))
        .join(models, models.c.number == r.model)
    )
    kept = (p.id.label("prediction"), p.made_us, p.key, p.words, p.text_sha256, p.title, p.text)
    answered = (*_MODEL, a.version, a.label, a.signal, a.probability, a.output)
    said = (r.submission, r.position, r.stars, r.better, r.is_right, r.right_label)
    by = (s.rater, s.note, s.consent, s.audit, s.made_us.label("rated_us"))
    found = select(*kept, *answered, *said, *by).select_from(joined).where(r.counts, r.place.is_not(None))
    last = (-1, -1)
    while True:
        page = found.where(tuple_(r.submission, r.position) > tuple_(*last)).order_by(r.submission, r.position)
        rows = connection.execute(page.limit(_PAGE)).all()
        yield from map(_row, rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1].submission, rows[-1].position


def _row(row: Any) -> dict[str, Any]:
    return {
        "prediction": row.prediction,
        "made": _instant(row.made_us),
        "task": row.task,
        "model": row.model,
        "version": row.version,
        "revision": row.revision,
        "label": row.label or None,
        "signal": row.signal or None,
        "probability": row.probability,
        "output_text": json.loads(row.output).get("text"),
        "stars": row.stars,
        "better": row.better,
        "right": row.is_right,
        "right_label": row.right_label,
        "rater": row.rater,
        "note": row.note,
        "consent": row.consent,
        "audit": row.audit,
        "rated": _instant(row.rated_us),
        "key": row.key,
        "words": row.words,
        "text_sha256": row.text_sha256,
        "title": row.title,
        "text": row.text,
    }


def _instant(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="milliseconds")
