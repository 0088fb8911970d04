"""Writes entries, in their order, inside one transaction that nobody else writes beside."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, and_, delete, func, insert, or_, select, update

from serving.feedback.keeping import Outcome, Written
from serving.feedback.records import Entry, Erasure, Prediction, Submission

from .adding import add
from .catalogue import Catalogue
from .counting import DAY_US, PASSED, weigh
from .schema import answers, erased, populations, predictions, ratings, submissions, tallies
from .texts import clean, cleaned, to_json

AT_ONCE: Final = 500
"""Rows that one statement names."""
WAITING_US: Final = DAY_US
"""How long a submission waits for its prediction."""


class Change:
    """One transaction.

    Args:
        connection: It.
        now_us: The time of day.
    """

    def __init__(self, connection: Connection, now_us: int) -> None:
        self._connection = connection
        self._now_us = now_us
        self._catalogue = Catalogue(connection)
        self._tallies: Counter[tuple[str, str, str, str, str, int]] = Counter()
        self._populations: Counter[tuple[int, int]] = Counter()
        self._submissions: int | None = None
        """The number of the last one, once it was asked for."""
        self.erases = False
        """Whether something was erased."""

    def write(self, entries: Sequence[Entry]) -> list[Written]:
        """Keep them."""
        written: list[Written] = []
        for kind, group in itertools.groupby(entries, type):
            if kind is Prediction:
                for chunk in _chunks(group, AT_ONCE):
                    written += self._predictions(chunk)
            elif kind is Submission:
                written += [self._submission(one) for one in group if isinstance(one, Submission)]
            elif kind is Erasure:
                written += [self._erasure(one) for one in group if isinstance(one, Erasure)]
            else:
                raise TypeError(f"nothing is known of entries of {kind.__name__}")
        self._count()
        return written

    def _count(self) -> None:
        """Write what was counted."""
        counted: Counter[tuple[int, str, str, int]] = Counter()
        for (task, model, revision, what, bucket, day), count in self._tallies.items():
            counted[self._catalogue.number(task, model, revision), clean(what), clean(bucket), day] += count
        self._catalogue.save()
        add(self._connection, tallies, counted)
        add(self._connection, populations, self._populations)

    def _predictions(self, given: Sequence[Prediction]) -> list[Written]:
        ids = [clean(one.id) for one in given]
        known = self._found(predictions.c.id, ids) | self._found(erased.c.id, ids)
        number = self._connection.execute(select(func.max(predictions.c.number))).scalar_one() or 0
        rows, answered, outcomes = [], [], []
        numbers: dict[str, int] = {}
        for one, name in zip(given, ids, strict=True):
            if name in known:
                outcomes.append(Outcome.REPEATED)
                continue
            known.add(name)
            number += 1
            numbers[name] = number
            outcomes.append(Outcome.KEPT)
            rows.append(_prediction(one, number))
            answered += self._answers(one, number)
        if rows:
            self._connection.execute(insert(predictions), rows)
        if answered:
            self._connection.execute(insert(answers), answered)
        for awaited in self._waiting(numbers):
            self._attach(awaited, numbers[awaited["awaited"]])
        return [Written(outcome=outcome, id=name) for outcome, name in zip(outcomes, ids, strict=True)]

    def _answers(self, prediction: Prediction, number: int) -> list[dict[str, Any]]:
        """The rows of its answers; they are counted, and so are its tallies."""
        day, found = prediction.made_us // DAY_US, []
        for position, one in enumerate(prediction.answers):
            model = self._catalogue.number(one.task, one.model, one.revision)
            self._populations[day, model] += 1
            found.append(
                {
                    "prediction": number,
                    "position": position,
                    "model": model,
                    "version": clean(one.version),
                    "label": clean(one.label),
                    "signal": clean(one.signal),
                    "probability": one.probability,
                    "output": to_json(one.output),
                }
            )
        for tally in prediction.tallies:
            named = tally.task, tally.model, tally.revision, tally.what, tally.bucket
            self._tallies[*named, day] += tally.count
        return found

    def _submission(self, given: Submission) -> Written:
        c = submissions.c
        name, awaited = clean(given.id), clean(given.prediction)
        mine = and_(c.key == clean(given.key), c.token == clean(given.token))
        known = self._connection.execute(select(c.id, c.digest).where(or_(mine, c.id == name))).first()
        if known is not None:
            outcome = Outcome.REPEATED if name == known.id or known.digest == clean(given.digest) else Outcome.CONFLICT
            return Written(outcome=outcome, id=known.id)
        found = select(predictions.c.number).where(predictions.c.id == awaited)
        prediction = self._connection.execute(found).scalar_one_or_none()
        if prediction is None and self._found(erased.c.id, [awaited]):
            return Written(outcome=Outcome.UNKNOWN, id=name)
        if given.audit:
            same = c.awaited == awaited if prediction is None else c.prediction == prediction
            earlier = self._connection.execute(select(c.id).where(same, c.audit)).scalars().first()
            if earlier is not None:
                return Written(outcome=Outcome.ANSWERED, id=earlier)
        if self._submissions is None:
            self._submissions = self._connection.execute(select(func.max(c.number))).scalar_one() or 0
        self._submissions += 1
        fields = _submission(given, self._submissions)
        said = [_rating(given, self._submissions, position) for position in range(len(given.ratings))]
        if prediction is None:
            fields |= {"awaited": awaited, "awaited_since_us": self._now_us}
        else:
            fields["prediction"] = prediction
            said = weigh(self._connection, self._catalogue, fields, said, prediction)
        self._connection.execute(insert(submissions).values(fields))
        if said:
            self._connection.execute(insert(ratings), said)
        return Written(outcome=Outcome.UNKNOWN if prediction is None else Outcome.KEPT, id=name)

    def _attach(self, waiting: Mapping[str, Any], prediction: int) -> None:
        """Have a submission that has waited count for its prediction."""
        number, c = waiting["number"], ratings.c
        values = {"prediction": prediction, "awaited": None, "awaited_since_us": None}
        self._connection.execute(update(submissions).where(submissions.c.number == number).values(values))
        said = self._connection.execute(select(ratings).where(c.submission == number).order_by(c.position)).mappings()
        for row in weigh(self._connection, self._catalogue, waiting, [dict(one) for one in said], prediction):
            if row["position"] >= PASSED:
                self._connection.execute(insert(ratings).values(row))
            else:
                same = and_(c.submission == number, c.position == row["position"])
                self._connection.execute(update(ratings).where(same).values(row))

    def _waiting(self, names: Collection[str]) -> Sequence[Mapping[str, Any]]:
        """The submissions that have waited for these predictions, in their order, and not for too long."""
        c = submissions.c
        waits = (c.awaited.in_(names), c.awaited_since_us > self._now_us - WAITING_US)
        found = select(submissions).where(*waits).order_by(c.number)
        return [dict(row) for row in self._connection.execute(found).mappings()] if names else []

    def _erasure(self, given: Erasure) -> Written:
        name = clean(given.prediction)
        if self._found(erased.c.id, [name]):
            return Written(outcome=Outcome.REPEATED)
        gone = self._connection.execute(delete(submissions).where(submissions.c.awaited == name)).rowcount
        gone += self._connection.execute(delete(predictions).where(predictions.c.id == name)).rowcount
        self._connection.execute(insert(erased).values(id=name, erased_us=self._now_us))
        self.erases = self.erases or gone > 0
        return Written(outcome=Outcome.KEPT if gone else Outcome.UNKNOWN)

    def _found(self, column: Column[str], names: Sequence[str]) -> set[str]:
        return set(self._connection.execute(select(column).where(column.in_(names))).scalars())


def _prediction(given: Prediction, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "id": clean(given.id),
        "made_us": given.made_us,
        "key": clean(given.key),
        "route": clean(given.route),
        "text_sha256": clean(given.text_sha256),
        "words": given.words,
        "title": cleaned(given.title),
        "text": cleaned(given.text),
        "timings": to_json(given.timings),
        "audit": given.audit,
    }


def _submission(given: Submission, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "id": clean(given.id),
        "made_us": given.made_us,
        "token": clean(given.token),
        "digest": clean(given.digest),
        "key": clean(given.key),
        "rater": clean(given.rater),
        "note": cleaned(given.note),
        "consent": given.consent,
        "audit": given.audit,
    }


def _rating(submission: Submission, number: int, position: int) -> dict[str, Any]:
    given = submission.ratings[position]
    return {
        "submission": number,
        "position": position,
        "task": clean(given.task),
        "stars": given.stars,
        "better": cleaned(given.better),
        "said_right": given.right,
        "said_label": cleaned(given.label),
        "audit": submission.audit,
        "counts": False,
        "several": False,
    }


def _chunks(given: Iterable[Any], size: int) -> Iterable[list[Any]]:
    rest = iter(given)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk
