"""A prediction of an answer: what is kept of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any, Final

from infolens import Labelled, Report
from infolens.contract import Task
from serving.feedback.records import Answered, Prediction
from serving.gateway.served import ServedTask

WITHHELD: Final = "withheld"
"""Stands in the output of an answer that was not shown before its caller had said his own."""
READING: Final = "reading"
"""Stands in the output of an answer for how much of the article was read."""


def sha256_of(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def answers_of(
    report: Report, served: Mapping[Task, ServedTask], withheld: Collection[Task] = ()
) -> tuple[Answered, ...]:
    """The answers of a report, each with the model that gave it; those of tasks that nobody serves are left out."""
    return tuple(
        _answered(report, task, served[task], withheld=task in withheld) for task in report.answers if task in served
    )


def _answered(report: Report, task: Task, served: ServedTask, *, withheld: bool) -> Answered:
    answer = report.answers[task]
    labelled = answer if isinstance(answer, Labelled) else None
    return Answered(
        task=str(task),
        **served.named,
        label=labelled.label if labelled else "",
        signal=labelled.signal or labelled.label if labelled else "",
        probability=labelled.probability if labelled else None,
        output={
            **answer.to_dict(),
            READING: answer.reading.to_dict(),
            **({WITHHELD: True} if withheld else {}),
        },
    )


def is_withheld(answer: Answered) -> bool:
    """Whether an answer was not shown before its caller had said his own."""
    return answer.output.get(WITHHELD) is True


def shown(answer: Answered) -> dict[str, Any]:
    """An answer as `/v1/analyze` has it, and how much was read for it under `READING`."""
    return {name: value for name, value in answer.output.items() if name != WITHHELD}


def labels_of(answer: Answered) -> tuple[str, ...]:
    """The labels that the model of an answer tells; empty for one that writes."""
    return tuple(answer.output.get("probabilities") or ())


def withheld_tasks(prediction: Prediction) -> tuple[Answered, ...]:
    """The answers of an audit that its caller has not seen before he has said his own."""
    return tuple(one for one in prediction.answers if is_withheld(one)) if prediction.audit else ()
