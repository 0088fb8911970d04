"""A transport without a network, for tests of programs that use infolens.

>>> from infolens import Client
>>> from infolens.testing import FakeTransport
>>> client = Client(transport=FakeTransport())
>>> client.classify("The striker scored twice in the final.").label
'Business'
>>> client = Client(transport=FakeTransport(fake_report(category="Sports")))
>>> client.classify("The striker scored twice in the final.").label
'Sports'
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from ._feedback.fake import FakeFeedback
from ._transports.answering import pack_report, unpack_request
from ._transports.base import InferRequest, JSONAnswer, JSONRequest
from ._transports.told import Outputs
from .contract import CATEGORIES, CONTRACTS, LABELS_PARAMETER, PARTIAL, VERACITIES, AnswerKind, Task
from .errors import InferenceFailedError, InfoLensError, InvalidSettingError, ModelUnavailableError
from .types import (
    Answer,
    Article,
    Category,
    Evidence,
    Labelled,
    Quote,
    Reading,
    Report,
    ServerStatus,
    Span,
    Summary,
    Unsupported,
    Veracity,
    answer_type,
)

__all__ = ["FakeTransport", "InferRequest", "fake_report"]

FakeAnswer = Report | InfoLensError


def fake_report(
    *,
    summary: str = "A short summary.",
    category: str = CATEGORIES[0],
    veracity: str = VERACITIES[0],
    probability: float = 0.9,
    tokens: int = 100,
    truncated_tokens: int = 0,
    unread: Sequence[Span] | None = (),
    categories: Sequence[str] = CATEGORIES,
    veracities: Sequence[str] = VERACITIES,
    evidence: Sequence[Evidence] = (),
    failed: Mapping[str, str] | None = None,
    doubt: str = "",
    sentences: Sequence[Quote] = (),
    unsupported: Sequence[Unsupported] = (),
    prediction: str | None = None,
) -> Report:
    """A report of every task; what ``probability`` leaves is spread evenly over the other labels.

    Further tasks that are registered answer with the first label of their starter.

    Args:
        summary: Its text.
        category: One of ``categories``.
        veracity: One of ``veracities``.
        probability: Of both labels.
        tokens: Of the article.
        truncated_tokens: How many of them no model read.
        unread: Which pieces of the text no model read; None for a server that does not say.
        categories: The labels of the category's model; the starter's by default.
        veracities: The same for the veracity.
        evidence: What moved both labels.
        failed: Tasks that have no answer, with the reasons.
        doubt: Why the classifiers are not sure; empty where they are, and then their signals are their labels.
        sentences: Those of the article that the summary quotes.
        unsupported: What the summary says that the article does not hold.
        prediction: The id under which the answers can be rated; None for a server that keeps none.

    Raises:
        InvalidSettingError: A label is not among the model's, or a number is out of range.
    """
    if not 0 <= probability <= 1:
        raise InvalidSettingError(f"probability lies between 0 and 1, not at {probability!r}")
    told = None if unread is None else tuple(unread)
    reading = Reading(tokens=tokens, truncated_tokens=truncated_tokens, unread=told)

    def labelled(task: Task, label: str, labels: Sequence[str]) -> dict[str, Any]:
        if label not in labels:
            raise InvalidSettingError(f"a label must be one of {', '.join(labels)}, not {label!r}")
        rest = (1 - probability) / (len(labels) - 1)
        return {
            "label": label,
            "signal": CONTRACTS[task].doubt_word if doubt else label,
            "doubt": doubt,
            "probability": probability,
            "probabilities": {name: probability if name == label else rest for name in labels},
            "reading": reading,
            "evidence": tuple(evidence),
        }

    own: dict[Task, Answer] = {
        Task.SUMMARY: Summary(
            text=summary, reading=reading, sentences=tuple(sentences), unsupported=tuple(unsupported)
        ),
        Task.CATEGORY: Category(**labelled(Task.CATEGORY, category, categories)),
        Task.VERACITY: Veracity(**labelled(Task.VERACITY, veracity, veracities)),
    }
    further: dict[Task, Answer] = {}
    for task, contract in CONTRACTS.items():
        if task not in own and contract.answers is AnswerKind.LABELS:
            labels = contract.default_labels or ("yes", "no")
            further[task] = answer_type(task)(**labelled(task, labels[0], labels))
    failed = failed or {}
    answers = {task: answer for task, answer in (own | further).items() if task not in failed}
    return Report.of(answers, failed, prediction=prediction)


class FakeTransport:
    """Answers from memory, for `Client` and `AsyncClient` alike; may be used from several threads.

    Args:
        answer: A report of every task for every article, an error to raise, or a function from the article to one of
            them; None for `fake_report`. Tasks that it says failed fail as on a server: the request gets the other
            answers if it asks for partial ones, and an `InferenceFailedError` otherwise.
        status: What the server says about itself; None for a server on which everything is ready.
        quality: What `Client.quality` gets, as ``GET /v1/quality`` says it; None for a server without ratings.
    """

    server = "fake://"
    """Its address, as messages have it."""

    def __init__(
        self,
        answer: FakeAnswer | Callable[[Article], FakeAnswer] | None = None,
        *,
        status: ServerStatus | None = None,
        quality: Mapping[str, Any] | None = None,
    ) -> None:
        self._answer = answer if answer is not None else fake_report()
        self._status = status
        self._lock = threading.Lock()
        self._requests: list[InferRequest] = []
        self._feedback = FakeFeedback(quality)
        self._predictions: set[str] = set()
        self.timeouts_s: list[float] = []
        """The time that was left for each request."""
        self.closed = False
        """Whether the client closed its transport."""

    @property
    def requests(self) -> list[InferRequest]:
        """The requests so far, those that failed included."""
        with self._lock:
            return list(self._requests)

    @property
    def articles(self) -> list[Article]:
        """The articles of the requests so far."""
        return [unpack_request(request)[0] for request in self.requests]

    @property
    def ratings(self) -> list[dict[str, Any]]:
        """What was said of the answers, as ``POST /v1/feedback`` takes it: each once, and nothing that is forgotten."""
        return self._feedback.ratings

    def send(self, request: JSONRequest, *, timeout_s: float) -> JSONAnswer:  # noqa: ARG002
        """Take a rating of an answer that was given with an id (`fake_report`), and tell and forget it.

        Raises:
            InvalidSettingError: The request is not about feedback.
        """
        with self._lock:
            known = set(self._predictions)
        return self._feedback.answer(request, known)

    def infer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        """Answer a request as a server would: with the outputs that it asks for."""
        with self._lock:
            self._requests.append(request)
            self.timeouts_s.append(timeout_s)
        answer = self._answer(unpack_request(request)[0]) if callable(self._answer) else self._answer
        if isinstance(answer, InfoLensError):
            raise answer
        failed = {task: reason for task, reason in answer.failed.items() if task in request.outputs}
        answered = [task for task in answer.answers if task.value in request.outputs]
        if failed and not (answered and request.parameters.get(PARTIAL)):
            raise InferenceFailedError(next(iter(failed.values())))
        arrays = pack_report(replace(answer, failed=failed))
        asked = {name: arrays[name] for name in request.outputs if name in arrays}
        if answer.prediction is not None:
            with self._lock:
                self._predictions.add(answer.prediction)
        return Outputs(asked, trace_id=answer.trace_id, prediction=answer.prediction)

    def probe(self, models: Collection[str], *, timeout_s: float) -> ServerStatus:  # noqa: ARG002
        """Say that everything is ready, or what the fake was told to say."""
        if isinstance(self._answer, InfoLensError) and not isinstance(self._answer, ModelUnavailableError):
            raise self._answer
        return self._status or ServerStatus(
            live=True, server_ready=True, version="fake 0", models=dict.fromkeys(models, True)
        )

    def configuration(self, model: str, *, timeout_s: float) -> Mapping[str, Any]:  # noqa: ARG002
        """As much of a model's configuration as tells the labels of the answer, where that is always the same."""
        task = next((task for task, contract in CONTRACTS.items() if contract.ensemble == model), None)
        answer = self._answer.answers.get(task) if task and isinstance(self._answer, Report) else None
        if not isinstance(answer, Labelled):
            return {}
        return {"parameters": {LABELS_PARAMETER: {"string_value": json.dumps(list(answer.probabilities))}}}

    def close(self) -> None:
        """Note that the client was closed."""
        self.closed = True

    async def ainfer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        """As `infer`."""
        return self.infer(request, timeout_s=timeout_s)

    async def asend(self, request: JSONRequest, *, timeout_s: float) -> JSONAnswer:
        """As `send`."""
        return self.send(request, timeout_s=timeout_s)

    async def aprobe(self, models: Collection[str], *, timeout_s: float) -> ServerStatus:
        """As `probe`."""
        return self.probe(models, timeout_s=timeout_s)

    async def aconfiguration(self, model: str, *, timeout_s: float) -> Mapping[str, Any]:
        """As `configuration`."""
        return self.configuration(model, timeout_s=timeout_s)

    async def aclose(self) -> None:
        """As `close`."""
        self.close()
