"""Which ratings count, and what they mean beside the answers that they are of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, select, update

from .catalogue import Catalogue
from .schema import answers, models, ratings, submissions

DAY_US: Final = 86_400_000_000
PASSED: Final = 1000
"""Positions from here on are of answers of an audit of which the person said nothing."""
_NOTHING: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("stars", "better", "said_right", "said_label")),
    **dict.fromkeys(("model", "shown", "is_right", "right_label", "place")),
    **dict.fromkeys(("counts", "several"), False),
}
_WITHHELD: Final = "withheld"
"""In the output of an answer: whether an audit withheld it."""


def weigh(
    connection: Connection,
    catalogue: Catalogue,
    submission: Mapping[str, Any],
    said: Sequence[Mapping[str, Any]],
    prediction: int,
) -> list[dict[str, Any]]:
    """What the ratings of a submission mean beside a prediction that is there; those that they replace count no more.

    Of one rater the latest rating of an answer counts: it takes the place of the one before. Ratings of an audit and
    those that were volunteered do not replace each other. Answers that an audit withheld and of which nothing was said
    get a row too: the person passed.

    Args:
        connection: A transaction, the only one that writes.
        catalogue: Of this transaction.
        submission: Its row.
        said: The rows of its ratings, as they were said.
        prediction: The number of the prediction.

    Returns:
        The rows of its ratings, whole; those from position `PASSED` on are new.
    """
    answered = {row.task: row for row in connection.execute(_answers(prediction))}
    by = submissions.c.key == submission["key"], submissions.c.rater == submission["rater"]
    counted = _found(connection, ratings.c.prediction == prediction, ratings.c.counts, *by)
    day, found = submission["made_us"] // DAY_US, []
    who = {name: submission[name] for name in ("made_us", "key", "rater")}
    for one in said:
        row = {**_NOTHING, **one, "prediction": prediction, "day": day}
        if (answer := answered.get(one["task"])) is not None:
            row |= {"model": answer.model, **_meaning(one, answer)}
            row |= _standing(connection, catalogue, {**row, **who}, counted)
        found.append(row)
        if row["counts"]:
            counted.append({**row, **who})
    if submission["audit"]:
        silent = [row for task, row in answered.items() if task not in {one["task"] for one in said}]
        found += _passed(submission, prediction, silent, list(answered.values()))
    return found


def _passed(
    submission: Mapping[str, Any], prediction: int, silent: Sequence[Row[Any]], answered: Sequence[Row[Any]]
) -> list[dict[str, Any]]:
    """Rows of the answers of an audit that were withheld and of which nothing was said."""
    withheld = [row.task for row in answered if json.loads(row.output).get(_WITHHELD) is True]
    withheld = withheld or [row.task for row in answered if row.label]
    values = {"submission": submission["number"], "prediction": prediction, "day": submission["made_us"] // DAY_US}
    passed = [row for row in silent if row.task in withheld]
    return [
        {
            **_NOTHING,
            **values,
            "position": PASSED + i,
            "task": row.task,
            "model": row.model,
            "audit": True,
            "counts": True,
        }
        for i, row in enumerate(passed)
    ]


def _meaning(rating: Mapping[str, Any], answer: Row[Any]) -> dict[str, Any]:
    """What a rating says of the answer that was given."""
    if not answer.label:
        return {"shown": None, "is_right": None, "right_label": None, "counts": rating["stars"] is not None}
    label, right = rating["said_label"], rating["said_right"]
    if right is None and label is not None:
        right = label == answer.label
    return {
        "shown": answer.signal in ("", answer.label),
        "is_right": right,
        "right_label": label if label is not None else answer.label if right else None,
        "counts": right is not None,
    }


def _standing(
    connection: Connection, catalogue: Catalogue, rating: Mapping[str, Any], counted: list[dict[str, Any]]
) -> dict[str, Any]:
    """Whether it counts among those of its rater that do, in which place, and whether others judge the same answer."""
    if not rating["counts"]:
        return {"counts": False}
    mine = [one for one in counted if one["task"] == rating["task"] and one["audit"] == rating["audit"]]
    if any(one["made_us"] > rating["made_us"] for one in mine):
        return {"counts": False}
    c, own = ratings.c, {rating["submission"], *(one["submission"] for one in counted)}
    # An answer may have thousands of raters: they stay in the database.
    others = (c.prediction == rating["prediction"], c.task == rating["task"], c.counts, c.submission.not_in(own))
    several = connection.execute(select(c.submission).where(*others).limit(1)).first() is not None
    if several:
        connection.execute(update(ratings).where(*others, ~c.several).values(several=True))
    for one in mine:
        connection.execute(update(ratings).where(_is(one)).values(counts=False, place=None))
        counted.remove(one)
    place = next((one["place"] for one in mine if one["place"] is not None), None)
    if place is None:
        place = catalogue.place(rating["model"], audit=rating["audit"])
    return {"counts": True, "place": place, "several": several}


def _is(rating: Mapping[str, Any]) -> Any:
    return and_(ratings.c.submission == rating["submission"], ratings.c.position == rating["position"])


def _answers(prediction: int) -> Any:
    joined = answers.join(models, answers.c.model == models.c.number)
    columns = (models.c.task, answers.c.model, answers.c.label, answers.c.signal, answers.c.output)
    return select(*columns).select_from(joined).where(answers.c.prediction == prediction)


def _found(connection: Connection, *conditions: Any) -> list[dict[str, Any]]:
    """Ratings and who gave them, in their order."""
    joined = ratings.join(submissions, ratings.c.submission == submissions.c.number)
    found = select(ratings, submissions.c.made_us, submissions.c.key, submissions.c.rater).select_from(joined)
    rows = connection.execute(found.where(*conditions).order_by(ratings.c.submission, ratings.c.position))
    return [dict(one) for one in rows.mappings()]
