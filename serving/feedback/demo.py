"""Made-up feedback, to try the quality page with, or to measure a full store: nobody said any of it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .records import Answered, Entry, Prediction, Rating, Submission, Tally

DAY_US: Final = 86_400_000_000
_LABELS: Final = (
    "Business", "Politics", "Food & Drink", "Travel", "Parenting", "Style & Beauty", "Wellness", "World News", "Sports",
    "Entertainment",
)  # fmt: skip
_LABEL_WEIGHTS: Final = (12, 25, 5, 8, 6, 7, 9, 14, 8, 6)
_WORDS: Final = (0, 25, 50, 100, 200, 400, 800, 1600)
_WORD_WEIGHTS: Final = (1, 2, 5, 12, 25, 35, 16, 4)
_STARS: Final = (5, 9, 20, 41, 25)
_RIGHT: Final = {"category": 0.82, "veracity": 0.66}
_AUDIT_SHARE: Final = 0.05
_RATERS: Final = 12
_DOUBT_SHARE: Final = 0.3
_BETTER: Final = "The council repairs the old bridge in spring. Traffic takes the new one meanwhile."


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that is said to have answered."""

    task: str
    model: str
    version: str = "1"
    labels: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ("demo00000001", "demo00000002")
    """The first one answered in the first half of the time."""


MODELS: Final = (
    Model(task="summary", model="bart"),
    Model(task="category", model="distilbert", labels=_LABELS),
    Model(task="veracity", model="xlnet", labels=("fake", "real")),
)


def made_up(
    *, predictions: int, ratings: int, days: int, now_us: int, seed: int = 0, models: Sequence[Model] = MODELS
) -> Iterator[Entry]:
    """Entries for a store, in the order of time: predictions, each before what was said of it.

    Args:
        predictions: How many.
        ratings: How many submissions; each rates one answer, several may be of one prediction.
        days: They are spread evenly over so many days.
        now_us: When the last of them ends, in microseconds since 1970.
        seed: Of everything that is drawn; equal arguments give equal entries.
        models: Which answer.
    """
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    step_us = days * DAY_US // max(1, predictions)
    said = 0
    for index in range(predictions):
        made_us = now_us - days * DAY_US + index * step_us
        found = _prediction(draw, seed, index, made_us, second=2 * index >= predictions, models=models)
        yield found
        due = ratings * (index + 1) // predictions
        for number in range(said, due):
            yield _submission(draw, seed, number, found, models)
        said = due


def _id(seed: int, kind: str, index: int) -> str:
    return hashlib.sha256(f"{seed} {kind} {index}".encode()).hexdigest()[:22]


def _weights(labels: Sequence[str]) -> Sequence[int]:
    """How common each label is."""
    return [_LABEL_WEIGHTS[index % len(_LABEL_WEIGHTS)] for index in range(len(labels))]


def _prediction(
    draw: random.Random, seed: int, index: int, made_us: int, *, second: bool, models: Sequence[Model]
) -> Prediction:
    answers, tallies = [], []
    words = draw.choices(_WORDS, _WORD_WEIGHTS)[0] + draw.randrange(25)
    edge = max(one for one in _WORDS if one <= words)
    for one in models:
        revision = one.revisions[-1 if second else 0]
        label = draw.choices(one.labels, _weights(one.labels))[0] if one.labels else ""
        doubt = bool(label) and draw.random() < _DOUBT_SHARE
        probability = round(draw.uniform(0.4, 0.6) if doubt else draw.uniform(0.6, 0.99), 4) if label else None
        signal = "unsure" if doubt else label
        output = {"label": label, "signal": signal, "probability": probability} if label else {"text": _BETTER}
        answers.append(
            Answered(
                task=one.task,
                model=one.model,
                version=one.version,
                revision=revision,
                label=label,
                signal=signal,
                probability=probability,
                output=output,
            )
        )
        counted = [("words", str(edge))]
        counted += [("label", label), ("shown", "doubt" if doubt else "shown")] if label else []
        tallies += [
            Tally(task=one.task, model=one.model, revision=revision, what=what, bucket=bucket)
            for what, bucket in counted
        ]
    return Prediction(
        id=_id(seed, "prediction", index),
        made_us=made_us,
        route="analyze",
        text_sha256=hashlib.sha256(f"{seed} {index}".encode()).hexdigest(),
        words=words,
        timings={"total_ms": round(draw.uniform(20, 60), 3)},
        answers=tuple(answers),
        audit=draw.random() < _AUDIT_SHARE,
        tallies=tuple(tallies),
    )


def _submission(draw: random.Random, seed: int, number: int, about: Prediction, models: Sequence[Model]) -> Submission:
    audit = about.audit
    asked = [one for one in models if one.labels or not audit]
    model = asked[number % len(asked)]
    shown = about.answer(model.task)
    if shown is None:
        raise LookupError(f"the made-up prediction has no answer for {model.task}")
    if not model.labels:
        stars = draw.choices((1, 2, 3, 4, 5), _STARS)[0]
        rating = Rating(task=model.task, stars=stars, better=_BETTER if stars < 3 and draw.random() < 0.3 else None)
    else:
        right = draw.random() < _RIGHT.get(model.task, 0.7)
        label = shown.label if right else draw.choice([one for one in model.labels if one != shown.label])
        rating = Rating(task=model.task, label=label) if audit else Rating(
            task=model.task, right=right, label=None if right else label
        )  # fmt: skip
    token = _id(seed, "submission", number)
    return Submission(
        id=token,
        made_us=about.made_us + draw.randrange(60_000_000),
        prediction=about.id,
        token=token,
        digest=hashlib.sha256(token.encode()).hexdigest(),
        rater=f"desk-{draw.randrange(_RATERS)}",
        ratings=(rating,),
        consent=draw.random() < 0.5,
        audit=audit,
    )
