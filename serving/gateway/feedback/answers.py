"""What is answered about predictions and feedback, as pydantic models for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from infolens.contract import CONTRACTS, AnswerKind
from serving.gateway.api.answers import LabelledAnswer, ModelAnswer, ReadingAnswer

_OPEN: Final = ConfigDict(extra="allow")
Kept = Literal["database", "spool"]
_KEPT: Final = (
    "Where it is kept now: in the `database`, or on the disk of this server in the `spool`, from where it goes into "
    "the database once that answers again. It is not lost in either."
)


class FeedbackAnswer(BaseModel):
    """What somebody said is kept."""

    id: str = Field(description="Of what was said.")
    prediction: str = Field(description="Of what it was said.")
    kept: Kept = Field(description=_KEPT)
    repeated: bool = Field(description="Whether it was kept before, under the same Idempotency-Key: it counts once.")


class PredictedArticle(BaseModel):
    """What is kept of the article."""

    text_sha256: str = Field(description="The SHA-256 of its text in UTF-8.")
    words: int = Field(ge=0)
    title: str | None = Field(description="null where the server keeps no texts.")
    text: str | None = Field(description="null where the server keeps no texts: see `feedback` of /v1/models.")


class PredictedAnswer(ModelAnswer):
    """What a model answered, as `/v1/analyze` has it, and which model that was."""

    model_config = _OPEN

    reading: ReadingAnswer | None = Field(default=None, description="How much of the article it read.")


class SaidAnswer(BaseModel):
    """What somebody said of a prediction."""

    id: str
    made: str = Field(description="When, as ISO 8601.")
    rater: str | None
    ratings: dict[str, dict[str, Any]] = Field(
        description="By task: `stars` and `better`, or `right` and `label`, as far as they were said."
    )
    note: str | None
    consent: bool
    audit: bool = Field(description="Whether it was said before the answer was shown.")


class PredictionAnswer(BaseModel):
    """A prediction, and what was said of it."""

    id: str
    made: str = Field(description="When, as ISO 8601.", examples=["2026-01-31T12:00:00+00:00"])
    until: str = Field(description="From then on it is gone.")
    article: PredictedArticle
    answers: dict[str, PredictedAnswer] = Field(
        description="By task; those that an audit withholds are not there until it is answered."
    )
    timings: dict[str, float] = Field(description="Milliseconds, as the answer had them.")
    audit: bool = Field(description="Whether labels were withheld at first (a blind audit).")
    feedback: list[SaidAnswer] = Field(description="In the order in which it was said.")


class ErasedAnswer(BaseModel):
    """A prediction that is removed, with all that was said of it."""

    id: str
    deleted: bool
    kept: Kept = Field(description="Where the order to remove it is kept. " + _KEPT)


class _AuditAnswer(BaseModel):
    """The answers that an audit withheld."""

    model_config = _OPEN

    prediction: str
    kept: Kept = Field(description=_KEPT)
    readings: dict[str, ReadingAnswer] = Field(description="By task.")
    models: dict[str, ModelAnswer] = Field(description="By task.")


_TASKS: Final[dict[str, Any]] = {
    str(task): (LabelledAnswer | None, None) for task, one in CONTRACTS.items() if one.answers is AnswerKind.LABELS
}
AuditAnswer: Final[type[BaseModel]] = create_model(
    "AuditAnswer", __base__=_AuditAnswer, __doc__=_AuditAnswer.__doc__, **_TASKS
)
