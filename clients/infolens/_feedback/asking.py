"""Questions about feedback, and their answers. Pure."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from infolens._many.refused import problem_error
from infolens._transports import JSONAnswer, JSONRequest
from infolens._transports.about import read_object
from infolens._values.predictions import is_prediction
from infolens.contract import CONTRACTS, AnswerKind, Task
from infolens.errors import (
    InvalidSettingError,
    PredictionNotFoundError,
    RequestRejectedError,
    ServerError,
    UnexpectedResponseError,
)
from infolens.types import Report

from .quality import Quality
from .values import Forgotten, KeptPrediction, Rated

FEEDBACK_PATH: Final = "/v1/feedback"
PREDICTIONS_PATH: Final = "/v1/predictions/"
QUALITY_PATH: Final = "/v1/quality"
KEY_HEADER: Final = "Idempotency-Key"
MAX_DAYS: Final = 3650
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,64}")
_NOT_FOUND: Final = 404
_NO_PATH: Final = "Not Found"
"""What a door says, to begin with, of a path that it does not know."""
_CONFLICT: Final = 409
_BROKEN: Final = (ValueError, TypeError, KeyError, AttributeError)
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackQuestion(Generic[Answer]):
    """A request about feedback; sent again it is the same one, its idempotency key included."""

    what: str
    method: str
    path: str
    reader: Callable[[Mapping[str, Any]], Answer]
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    token: str = ""
    about_one: bool = True
    """Whether it is about one prediction, which the server may not have."""

    def request(self, timeout_s: float) -> JSONRequest:  # noqa: ARG002 - as of other questions
        """The request."""
        headers = {KEY_HEADER: self.token} if self.token else {}
        if self.document is None:
            return JSONRequest(method=self.method, path=self.path, headers=headers)
        body = json.dumps(self.document, ensure_ascii=False).encode()
        headers["Content-Type"] = "application/json"
        return JSONRequest(method=self.method, path=self.path, body=body, headers=headers)

    def read(self, answer: JSONAnswer, *, server: str, timeout_s: float) -> Answer:
        """The answer.

        Raises:
            PredictionNotFoundError: The server has no such prediction, or no more.
            ServerError: There is none for another reason, or it is something else.
        """
        status, body, headers = answer
        if status != 200:
            raise self._refusal(status, body, headers, server, timeout_s)
        try:
            return self.reader(read_object(body))
        except _BROKEN as error:
            raise UnexpectedResponseError(
                f"{server} must answer {self.method} {self._route} as /openapi.json says, but its answer is another "
                f"({type(error).__name__}: {error}); is this an Info Lens server of the same version as the client?"
            ) from error

    @property
    def _route(self) -> str:
        """Its path without the id, which is for nobody's log."""
        path = self.path.partition("?")[0]
        return f"{PREDICTIONS_PATH}..." if path.startswith(PREDICTIONS_PATH) else path

    def _refusal(
        self, status: int, body: bytes, headers: Mapping[str, str], server: str, timeout_s: float
    ) -> ServerError:
        older = f"{self.what} by {self._route}, but {server} answers {status} there: update the server"
        document = read_object(body)
        error = problem_error(status, body, headers, server=server, timeout_s=timeout_s, older=older)
        detail = str(document.get("detail") or document.get("title") or status)
        words = f"{server} refused the request: {detail}"
        if status == _CONFLICT:
            return RequestRejectedError(words, request_id=error.request_id)
        if status != _NOT_FOUND or isinstance(error, UnexpectedResponseError):
            return error
        if detail.startswith(_NO_PATH):
            return UnexpectedResponseError(older, request_id=error.request_id)
        kind = PredictionNotFoundError if self.about_one else RequestRejectedError
        return kind(words, request_id=error.request_id)


def rating(
    prediction: str | Report,
    *,
    stars: int | None,
    better: str | None,
    labels: Mapping[Task | str, bool | str | None],
    note: str | None,
    rater: str | None,
    consent: bool,
    idempotency_key: str | None,
) -> FeedbackQuestion[Rated]:
    """What is said of a prediction.

    Args:
        prediction: Its id, or the report that has it.
        stars: Of the summary.
        better: A better summary.
        labels: By task, True or False for right or wrong, or the right label; None for a task of which nothing is said.
        note: Anything else.
        rater: Who says so.
        consent: Whether it may be used to train models.
        idempotency_key: Tells this rating from others; None for a new one.

    Raises:
        InvalidSettingError: An argument is not valid, or nothing is said.
    """
    if better is not None and stars is None:
        raise InvalidSettingError("a better summary goes with stars for the one that there is: give stars too, 1 to 5")
    ratings: dict[str, dict[str, Any]] = {}
    summary = {"stars": _stars(stars), "better": _text("better", better)}
    if found := {name: value for name, value in summary.items() if value is not None}:
        ratings[Task.SUMMARY.value] = found
    for task, said in labels.items():
        if said is not None:
            name = _labelled(task)
            ratings[name] = _label(name, said)
    if not ratings:
        raise InvalidSettingError("a rating says something of an answer: give stars, category, veracity or more")
    if not isinstance(consent, bool):
        raise InvalidSettingError(f"consent is True or False, not {consent!r:.80}")
    document = {
        "prediction": id_of(prediction),
        "rater": _text("rater", rater),
        "note": _text("note", note),
        "consent": consent or None,
        "ratings": ratings,
    }
    return FeedbackQuestion(
        what="answers are rated",
        method="POST",
        path=FEEDBACK_PATH,
        document={name: value for name, value in document.items() if value is not None},
        token=_token(idempotency_key),
        reader=Rated.of,
    )


class Forgetting:
    """The order to forget a prediction.

    Args:
        prediction: The prediction; errors as of `id_of`.
    """

    what: str = "predictions are forgotten"

    def __init__(self, prediction: str | Report) -> None:
        self._id = id_of(prediction)
        self._sent = 0
        path = f"{PREDICTIONS_PATH}{quote(self._id, safe='')}"
        self._question = FeedbackQuestion(what=self.what, method="DELETE", path=path, reader=Forgotten.of)

    def request(self, timeout_s: float) -> JSONRequest:
        """The request."""
        self._sent += 1
        return self._question.request(timeout_s)

    def read(self, answer: JSONAnswer, *, server: str, timeout_s: float) -> Forgotten:
        """The answer; errors as of `FeedbackQuestion.read`."""
        try:
            return self._question.read(answer, server=server, timeout_s=timeout_s)
        except PredictionNotFoundError:
            if self._sent == 1:
                raise
            # An attempt before this one has had it forgotten, and its answer was lost.
            return Forgotten(prediction=self._id, kept="database")


def finding(prediction: str | Report) -> FeedbackQuestion[KeptPrediction]:
    """What is kept of a prediction; errors as of `id_of`."""
    path = f"{PREDICTIONS_PATH}{quote(id_of(prediction), safe='')}"
    return FeedbackQuestion(what="predictions are looked up", method="GET", path=path, reader=KeptPrediction.of)


def measuring(days: int) -> FeedbackQuestion[Quality]:
    """How good the models are.

    Raises:
        InvalidSettingError: ``days`` is out of range.
    """
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MAX_DAYS:
        raise InvalidSettingError(f"days is a whole number from 1 to {MAX_DAYS:,}, not {days!r:.80}")
    return FeedbackQuestion(
        what="quality is told", method="GET", path=f"{QUALITY_PATH}?days={days}", reader=Quality.of, about_one=False
    )


def id_of(prediction: str | Report) -> str:
    """The id of a prediction.

    Raises:
        InvalidSettingError: It is none, or the report has none.
    """
    if isinstance(prediction, Report):
        if prediction.prediction is None:
            raise InvalidSettingError(
                "this report has no id to rate it by: the server keeps no predictions, or is of an earlier version; "
                "what it keeps stands in its /v1/models"
            )
        return prediction.prediction
    if not is_prediction(prediction):
        raise InvalidSettingError(
            "the id of a prediction has 22 letters, digits, - and _, as Report.prediction has it, and this is none: "
            "give the whole id"
        )
    return prediction


def _stars(stars: int | None) -> int | None:
    if stars is not None and (not isinstance(stars, int) or isinstance(stars, bool) or not 1 <= stars <= 5):
        raise InvalidSettingError(f"stars is a whole number from 1 to 5, not {stars!r:.80}")
    return stars


def _text(name: str, value: str | None) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip() or not _is_unicode(value)):
        raise InvalidSettingError(f"{name} is a text in Unicode that is not blank, or None, not {value!r:.80}")
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _labelled(task: Task | str) -> str:
    known = [one.value for one, contract in CONTRACTS.items() if contract.answers is AnswerKind.LABELS]
    if task not in known:
        raise InvalidSettingError(f"a task with labels is one of {', '.join(known)}, not {task!r:.80}")
    return str(task)


def _label(task: str, said: bool | str) -> dict[str, Any]:
    if isinstance(said, bool):
        return {"right": said}
    if isinstance(said, str) and said.strip() and _is_unicode(said):
        return {"label": said}
    raise InvalidSettingError(
        f"{task} is True where its label is right, False where not, or the right label, not {said!r:.80}"
    )


def _token(token: str | None) -> str:
    if token is None:
        return secrets.token_urlsafe(16)
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise InvalidSettingError(
            "an idempotency key has 1 to 64 visible characters of ASCII; leave it out for a new one"
        )
    return token
