"""What people say in JSON: ratings and the answers to audits, as pydantic models, and how a body becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from infolens.contract import CONTRACTS, AnswerKind
from serving.feedback.records import (
    ID_CHARACTERS,
    MAX_BETTER_CHARACTERS,
    MAX_NOTE_CHARACTERS,
    MAX_RATER_CHARACTERS,
    MAX_STARS,
    MAX_TOKEN_CHARACTERS,
    is_token,
    make_id,
)
from serving.gateway.api.faults import field_error
from serving.gateway.refusals import FieldError, invalid, invalid_fields

KEY_HEADER: Final = "Idempotency-Key"
MAX_LABEL_CHARACTERS: Final = 200
ID_PATTERN: Final = f"^[A-Za-z0-9_-]{{{ID_CHARACTERS}}}$"
_STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True)
_NO_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL keeps no such character."""
_PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"
_T = TypeVar("_T", bound=BaseModel)


class TextRating(BaseModel):
    """What somebody thinks of a text."""

    model_config = _STRICT

    stars: int = Field(ge=1, le=MAX_STARS, description="From 1, of no use, to 5, could not be better.", examples=[4])
    better: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_BETTER_CHARACTERS,
        pattern=_NO_NUL,
        description="A text that would have been better.",
    )


class LabelRating(BaseModel):
    """What somebody thinks of a label: whether it is right, or which one is."""

    model_config = _STRICT

    right: bool | None = Field(default=None, description="Whether it is right.", examples=[False])
    label: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LABEL_CHARACTERS,
        pattern=_NO_NUL,
        description="The right label, one of the model's.",
        examples=["Politics"],
    )


_KINDS: Final[Mapping[AnswerKind, Any]] = {AnswerKind.TEXT: TextRating, AnswerKind.LABELS: LabelRating}
_RATED: Final[dict[str, Any]] = {str(task): (_KINDS[one.answers] | None, None) for task, one in CONTRACTS.items()}
_LABELLED: Final[dict[str, Any]] = {
    str(task): (str | None, Field(default=None, min_length=1, max_length=MAX_LABEL_CHARACTERS, pattern=_NO_NUL))
    for task, one in CONTRACTS.items()
    if one.answers is AnswerKind.LABELS
}
if TYPE_CHECKING:
    Ratings = BaseModel
    AuditLabels = BaseModel
else:
    Ratings = create_model(
        "Ratings",
        __config__=_STRICT | {"json_schema_extra": {"minProperties": 1}},
        __doc__="What somebody thinks of answers, by task.",
        **_RATED,
    )
    AuditLabels = create_model("AuditLabels", __config__=_STRICT, __doc__="The right labels, by task.", **_LABELLED)


def _rater() -> Any:
    return Field(
        default=None,
        min_length=1,
        max_length=MAX_RATER_CHARACTERS,
        pattern=_PRINTABLE,
        description="Who says so, as you name people: of one rater the latest rating of an answer counts. A pseudonym "
        "will do.",
        examples=["desk-7"],
    )


def _note() -> Any:
    return Field(
        default=None, min_length=1, max_length=MAX_NOTE_CHARACTERS, pattern=_NO_NUL, description="What else to say."
    )


def _consent() -> Any:
    return Field(default=False, description="Whether this and the article may be used to train models.")


class FeedbackRequest(BaseModel):
    """What somebody thinks of the answers of a prediction."""

    model_config = _STRICT

    prediction: str = Field(
        pattern=ID_PATTERN,
        description="The id of the prediction: `prediction` of the answer, or its header `Infolens-Prediction`.",
        examples=["hJ3vZc1mQ0yWk8Rr5uXeTg"],
    )
    ratings: Ratings = Field(description="At least one.")
    rater: str | None = _rater()
    note: str | None = _note()
    consent: bool = _consent()


class AuditRequest(BaseModel):
    """What somebody would have said who has not seen the answer."""

    model_config = _STRICT

    labels: AuditLabels = Field(
        description="The right label of each task that was asked about; a task is left out by whoever passes."
    )
    rater: str | None = _rater()
    note: str | None = _note()
    consent: bool = _consent()


_RANGES: Final[Mapping[str, str]] = {
    "/prediction": f"the id of a prediction, {ID_CHARACTERS} letters, digits, - and _, as the answer says it",
    "/rater": f"a name of 1 to {MAX_RATER_CHARACTERS} characters without line breaks; leave it out for nobody",
    "/note": f"a text of 1 to {MAX_NOTE_CHARACTERS} characters, none of them NUL; leave it out where there is none",
    **{
        f"/ratings/{task}/stars": f"a whole number from 1 to {MAX_STARS}"
        for task, one in CONTRACTS.items()
        if one.answers is AnswerKind.TEXT
    },
    **{
        f"/ratings/{task}/better": f"a text of 1 to {MAX_BETTER_CHARACTERS} characters, none of them NUL; leave it "
        "out where there is none"
        for task, one in CONTRACTS.items()
        if one.answers is AnswerKind.TEXT
    },
    **{
        f"{holder}{task}{name}": "one of the labels of the model, a text; /v1/models has them"
        for task, one in CONTRACTS.items()
        if one.answers is AnswerKind.LABELS
        for holder, name in (("/ratings/", "/label"), ("/labels/", ""))
    },
}
_FIELDS: Final[Mapping[type[BaseModel], Mapping[str, str]]] = {
    FeedbackRequest: {
        "": ", ".join(FeedbackRequest.model_fields),
        "/ratings": ", ".join(_RATED),
        **{f"/ratings/{task}": ", ".join(_KINDS[one.answers].model_fields) for task, one in CONTRACTS.items()},
    },
    AuditRequest: {"": ", ".join(AuditRequest.model_fields), "/labels": ", ".join(_LABELLED)},
}


def read_request(kind: type[_T], document: Mapping[str, Any]) -> _T:
    """What a JSON object says.

    Raises:
        RefusedError: It breaks a rule; ``fields`` says where.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        found = [field_error(one, _FIELDS[kind], _RANGES) for one in error.errors(include_url=False)]
        raise invalid_fields(found) from None


def given(values: BaseModel) -> dict[str, Any]:
    """The fields of a model that are there, by task."""
    return {name: value for name in type(values).model_fields if (value := getattr(values, name)) is not None}


def read_token(headers: list[str]) -> str:
    """The idempotency key of a request: one that its caller chose, else a new one.

    Args:
        headers: The values of the header.

    Raises:
        RefusedError: It is none.
    """
    if not headers:
        return make_id()
    if len(headers) > 1 or not is_token(headers[0]):
        raise invalid(
            f"{KEY_HEADER} is one header of 1 to {MAX_TOKEN_CHARACTERS} visible characters of ASCII, the same for a "
            "request and its repetitions: send a random one, or leave it out"
        )
    return headers[0]


def no_ratings() -> FieldError:
    """What is wrong with a request that rates nothing."""
    return FieldError(pointer="/ratings", words=f"rate one task at least: there are {', '.join(_RATED)}")
