"""Whether what somebody says fits the prediction of which it is said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from infolens.contract import Task
from serving.feedback.records import Answered, Prediction, Rating
from serving.gateway.recording.predictions import labels_of
from serving.gateway.refusals import FieldError, Refusal, RefusedError, invalid_fields
from serving.gateway.served import ServedTask

from .requests import LabelRating, TextRating, given, no_ratings


def ratings_of(
    asked: BaseModel,
    prediction: Prediction | None,
    served: Mapping[Task, ServedTask],
    withheld: Collection[Answered] = (),
) -> tuple[Rating, ...]:
    """What somebody says of answers.

    Args:
        asked: The `Ratings`.
        prediction: Of what; None where it cannot be looked up now.
        served: The models that answer now: whose labels count where the prediction is not known.
        withheld: Answers that nobody has seen yet.

    Raises:
        RefusedError: Nothing is rated, a task was not answered, a label is none of the model's, what is said
            contradicts itself, or the answer was not shown yet (``CONFLICT``).
    """
    values = given(asked)
    if not values:
        raise invalid_fields([no_ratings()])
    faults: list[FieldError] = []
    ratings = []
    for task, one in values.items():
        answer = None if prediction is None else prediction.answer(task)
        pointer = f"/ratings/{task}"
        if prediction is not None and answer is None:
            faults.append(_not_answered(pointer, prediction))
        elif any(unseen.task == task for unseen in withheld):
            raise RefusedError(
                Refusal.CONFLICT,
                f"the {task} of this prediction was not shown yet: say yours first, or pass, with POST "
                "/v1/predictions/{id}/audit, and rate it then",
            )
        elif isinstance(one, TextRating):
            ratings.append(Rating(task=task, stars=one.stars, better=one.better))
        else:
            fault, rating = _labelled(task, one, answer, _labels(task, answer, served))
            faults += [FieldError(pointer=f"{pointer}{fault.pointer}", words=fault.words)] if fault else []
            ratings += [rating] if rating else []
    if faults:
        raise invalid_fields(faults)
    return tuple(ratings)


def audited_of(
    asked: BaseModel, withheld: Collection[Answered], served: Mapping[Task, ServedTask]
) -> tuple[Rating, ...]:
    """What somebody would have said of answers that he has not seen, one for each: without a label where he passes.

    Raises:
        RefusedError: A task was not asked about, or a label is none of the model's.
    """
    answers = {one.task: one for one in withheld}
    faults, said = [], given(asked)
    for task, label in said.items():
        if task not in answers:
            words = f"nobody was asked about this task: it was {', '.join(answers)}"
            faults.append(FieldError(pointer=f"/labels/{task}", words=words))
        elif label not in (labels := _labels(task, answers[task], served)):
            faults.append(FieldError(pointer=f"/labels/{task}", words=_unknown(labels)))
    if faults:
        raise invalid_fields(faults)
    return tuple(Rating(task=task, label=said.get(task)) for task in answers)


def _labelled(
    task: str, one: LabelRating, answer: Answered | None, labels: Collection[str]
) -> tuple[FieldError | None, Rating | None]:
    """What somebody says of a label, or what is wrong with that."""
    if one.right is None and one.label is None:
        return FieldError(pointer="", words="say whether it is right, or which label is: right, label"), None
    if one.label is None:
        return None, Rating(task=task, right=one.right)
    if labels and one.label not in labels:
        return FieldError(pointer="/label", words=_unknown(labels)), None
    right = one.right
    if answer is not None:
        right = one.label == answer.label
        if one.right is not None and one.right != right:
            words = (
                f"this contradicts right: the answer was {'this' if right else 'another'} label; leave one of them out"
            )
            return FieldError(pointer="/label", words=words), None
    return None, Rating(task=task, right=right, label=one.label)


def _labels(task: str, answer: Answered | None, served: Mapping[Task, ServedTask]) -> tuple[str, ...]:
    """The labels of the model that answered, or would now; empty where neither is known."""
    if answer is not None and (found := labels_of(answer)):
        return found
    known: Mapping[Any, ServedTask] = served
    return known[task].labels if task in known else ()


def _unknown(labels: Collection[str]) -> str:
    return f"the model has no such label: it has {', '.join(labels)}"


def _not_answered(pointer: str, prediction: Prediction) -> FieldError:
    answered = ", ".join(one.task for one in prediction.answers)
    return FieldError(pointer=pointer, words=f"this task was not answered: {answered} was; leave it out")
