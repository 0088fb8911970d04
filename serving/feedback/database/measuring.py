"""Reads what the quality of models is computed from: counts of ratings, of tallies and of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Integer, case, cast, func, literal_column, select

from serving.feedback.keeping import Aggregate, Judgment, Population, TallyCount

from .schema import answers, models, populations, predictions, ratings, submissions, tallies

NO_BATCH: Final = -1
"""In the place of a batch: an audit that the person passed is in none."""
_NONE: Final = 7
"""In the place of what is not there, where values are packed into one integer..."""
_STARS: Final = 8
_ANSWERS: Final = 8
"""...and how many values there may be of stars and of yes or no..."""
_DAYS: Final = 2**16
"""...of days, until the year 2149..."""
_BATCHES: Final = 2**26
"""...and of batches, of which the last one stands for none. 2^11 revisions of models fit in beside them."""
_YES: Final[Mapping[int, bool | None]] = {0: False, 1: True, _NONE: None}
_MODEL: Final = (models.c.task, models.c.model, models.c.revision)


def read_aggregates(connection: Connection, *, batch: int, since_day: int) -> list[Aggregate]:
    """The ratings that count, from a day on, in batches.

    All by which they are grouped is packed into one integer, since SQLite sorts integers several times faster than
    rows.
    """
    c = ratings.c
    of = case((c.place.is_(None), _literal(_BATCHES - 1)), else_=c.place // _literal(batch))
    packed: Any = c.model
    for value, size in (
        (cast(c.audit, Integer), 2),
        (of, _BATCHES),
        (c.day, _DAYS),
        (func.coalesce(c.stars, _literal(_NONE)), _STARS),
        (func.coalesce(cast(c.is_right, Integer), _literal(_NONE)), _ANSWERS),
        (func.coalesce(cast(c.shown, Integer), _literal(_NONE)), _ANSWERS),
    ):
        packed = packed * _literal(size) + value
    found = select(packed.label("packed"), func.count()).where(c.counts, c.day >= since_day)
    names = _names(connection)
    return [_aggregate(names, *row) for row in connection.execute(found.group_by(literal_column("packed")))]


def _aggregate(names: Mapping[int, tuple[str, str, str]], packed: int, count: int) -> Aggregate:
    rest, shown = divmod(packed, _ANSWERS)
    rest, right = divmod(rest, _ANSWERS)
    rest, stars = divmod(rest, _STARS)
    rest, day = divmod(rest, _DAYS)
    rest, batch = divmod(rest, _BATCHES)
    model, audit = divmod(rest, 2)
    task, name, revision = names[model]
    return Aggregate(
        task=task,
        model=name,
        revision=revision,
        day=day,
        audit=audit == 1,
        batch=NO_BATCH if batch == _BATCHES - 1 else batch,
        stars=None if stars == _NONE else stars,
        right=_YES[right],
        shown=_YES[shown],
        count=count,
    )


def read_judgments(connection: Connection, *, since_day: int, limit: int) -> list[Judgment]:
    """Ratings of answers that several raters have judged, the latest first; of one rater one."""
    c = ratings.c
    joined = (
        ratings.join(submissions, submissions.c.number == c.submission)
        .join(predictions, predictions.c.number == c.prediction)
        .join(answers, (answers.c.prediction == c.prediction) & (answers.c.model == c.model))
        .join(models, models.c.number == c.model)
    )
    said = (c.stars, c.is_right, c.right_label, answers.c.label)
    found = select(*_MODEL, predictions.c.id, submissions.c.key, submissions.c.rater, *said).select_from(joined)
    found = found.where(c.counts, c.several, c.place.is_not(None), c.day >= since_day)
    rows = connection.execute(found.order_by(c.day.desc(), c.submission.desc(), c.position.desc()).limit(limit))
    judged: dict[tuple[str, str, str], Judgment] = {}
    for task, model, revision, prediction, key, rater, stars, _, right_label, label in rows:
        who = f"{key}:{rater}"
        value = str(stars) if stars is not None else right_label if right_label is not None else f"not {label}"
        one = Judgment(task=task, model=model, revision=revision, prediction=prediction, rater=who, value=value)
        judged.setdefault((prediction, task, who), one)
    return list(judged.values())


def read_tallies(connection: Connection, since_day: int) -> list[TallyCount]:
    """What was counted towards drift from a day on, summed up over the days."""
    c, names = tallies.c, _names(connection)
    kinds = (c.model, c.what, c.bucket)
    found = select(*kinds, func.max(c.day), func.sum(c.count)).where(c.day >= since_day).group_by(*kinds)
    counted = []
    for model, what, bucket, day, count in connection.execute(found):
        task, name, revision = names[model]
        one = TallyCount(task=task, model=name, revision=revision, what=what, bucket=bucket, day=day, count=int(count))
        counted.append(one)
    return counted


def read_populations(connection: Connection, since_day: int) -> list[Population]:
    """Predictions by day."""
    names, c = _names(connection), populations.c
    rows = connection.execute(select(c.model, c.day, c.predictions).where(c.day >= since_day).order_by(c.day, c.model))
    return [
        Population(task=names[model][0], model=names[model][1], revision=names[model][2], day=day, predictions=count)
        for model, day, count in rows
    ]


def _names(connection: Connection) -> dict[int, tuple[str, str, str]]:
    rows = connection.execute(select(models.c.number, *_MODEL))
    return {number: (task, model, revision) for number, task, model, revision in rows}


def _literal(number: int) -> ColumnElement[int]:
    """A number in the words of the statement: PostgreSQL takes a parameter that comes twice for two."""
    return literal_column(str(int(number)), BigInteger)
