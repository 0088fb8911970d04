"""Predictions of answers, made from what was at hand when they went out; all of it in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from infolens import Report
from infolens.contract import Task
from serving.feedback.records import Prediction
from serving.gateway.served import ServedTask

from .inferred import read_article, read_report
from .predictions import answers_of, sha256_of

_BREATH_S: Final = 1e-4
"""Between two of them other threads have the interpreter: the event loop would wait for 5 ms where none is left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """An answer that goes out now."""

    report: Report
    served: Mapping[Task, ServedTask]
    text: str = field(repr=False)
    title: str | None = field(repr=False)
    key: str
    """The name of the caller's key; empty where none was needed."""
    route: str
    timings: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A prediction, and the article of which it is."""

    prediction: Prediction
    text: str = field(repr=False)
    title: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A prediction that is still to be made."""

    make: Callable[[Mapping[Task, ServedTask]], Made]
    size_bytes: int


def of_said(
    said: Said,
    prediction_id: str,
    made_us: int,
    _: Mapping[Task, ServedTask] = MappingProxyType({}),
    withheld: Collection[Task] = (),
) -> Made:
    """The prediction of an answer of `/v1`, whose models it knows itself."""
    prediction = Prediction(
        id=prediction_id,
        made_us=made_us,
        key=said.key,
        route=said.route,
        text_sha256=sha256_of(said.text),
        words=len(said.text.split()),
        timings=said.timings,
        answers=answers_of(said.report, said.served, withheld),
        audit=bool(withheld),
    )
    return Made(prediction=prediction, text=said.text, title=said.title)


def of_inferred(
    request: bytes,
    answer: bytes,
    tasks: Collection[Task],
    prediction_id: str,
    made_us: int,
    served: Mapping[Task, ServedTask],
    *,
    key: str,
    route: str,
) -> Made:
    """The prediction of an answer of Triton, as `Recorder.inferred` has it.

    Raises:
        UnexpectedResponseError: It breaks the contract.
        ValueError: A tensor is not laid out as its type and shape say.
        KeyError: The article is not there, or an output has a type that no task gives.
    """
    text, title = read_article(request)
    said = Said(
        report=read_report(answer, tasks),
        served=served,
        text=text,
        title=title,
        key=key,
        route=route,
        timings={},
    )
    return of_said(said, prediction_id, made_us, served)


def make_all(jobs: Sequence[Job], served: Mapping[Task, ServedTask]) -> tuple[list[Made], Exception | None]:
    """The predictions of jobs, and why one of them could not be made."""
    made, failure = [], None
    for job in jobs:
        try:
            made.append(job.make(served))
            time.sleep(_BREATH_S)
        except Exception as error:  # one answer that breaks its contract keeps no other from being noted
            failure = error
    return made, failure
