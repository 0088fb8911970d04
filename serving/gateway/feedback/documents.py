"""Predictions and what was said of them, as whoever may see them gets them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from serving.feedback.records import Answered, Prediction, Submission
from serving.gateway.recording.predictions import READING, is_withheld, shown


def prediction_document(
    prediction: Prediction, said: Sequence[Submission], *, days: int, open_audit: bool
) -> dict[str, Any]:
    """A prediction.

    Args:
        prediction: The prediction.
        said: All that was said of it.
        days: How long it is kept.
        open_audit: Whether its labels were asked for and nobody has said any: ours are left out then.
    """
    made = _moment(prediction.made_us)
    answers = [one for one in prediction.answers if not (open_audit and is_withheld(one))]
    return {
        "id": prediction.id,
        "made": made.isoformat(),
        "until": (made + timedelta(days=days)).isoformat(),
        "article": {
            "text_sha256": prediction.text_sha256,
            "words": prediction.words,
            "title": prediction.title,
            "text": prediction.text,
        },
        "answers": {one.task: {**shown(one), **_model(one)} for one in answers},
        "timings": dict(prediction.timings),
        "audit": prediction.audit,
        "feedback": [_said(one) for one in said],
    }


def audit_document(answers: Collection[Answered]) -> dict[str, Any]:
    """The answers that an audit withheld, as `/v1/analyze` would have had them."""
    found = {one.task: shown(one) for one in answers}
    return {
        **{task: {name: value for name, value in one.items() if name != READING} for task, one in found.items()},
        "readings": {task: one[READING] for task, one in found.items() if READING in one},
        "models": {one.task: _model(one) for one in answers},
    }


def _model(answer: Answered) -> dict[str, str]:
    return {"model": answer.model, "version": answer.version, "revision": answer.revision}


def _said(submission: Submission) -> dict[str, Any]:
    ratings = {}
    for one in submission.ratings:
        values = dataclasses.asdict(one)
        task = values.pop("task")
        ratings[task] = {name: value for name, value in values.items() if value is not None}
    return {
        "id": submission.id,
        "made": _moment(submission.made_us).isoformat(),
        "rater": submission.rater or None,
        "ratings": ratings,
        "note": submission.note,
        "consent": submission.consent,
        "audit": submission.audit,
    }


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC)
