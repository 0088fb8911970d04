"""What is answered in JSON, as pydantic models.

They describe the answers only: these are written from `Report` itself.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model

from infolens.contract import CONTRACTS, AnswerKind
from serving.gateway.intake.answers import ArticleAnswer

_OPEN: Final = ConfigDict(extra="allow")
"""A later server may say more."""


class QuoteAnswer(BaseModel):
    """A sentence of the article that a summary quotes; they come in the order of the summary."""

    index: int = Field(ge=0, description="Which sentence of the article it is, counted from 0.")
    start: int = Field(ge=0, description="Where it begins in `text` of the request, in characters (code points).")
    end: int = Field(ge=0, description="The character after its last one.")
    truncated: bool = Field(default=False, description="Whether the greatest length of the summary cut it off.")


class UnsupportedAnswer(BaseModel):
    """Words of a summary that the article does not hold."""

    start: int = Field(ge=0, description="Where they begin in the summary, in characters (code points).")
    end: int = Field(ge=0, description="The character after their last one.")
    text: str = Field(description="The words.", examples=["1,200"])
    kind: str = Field(description="`number`, `name` or `quotation`.", examples=["number"])


class TextAnswer(BaseModel):
    """A text that a model wrote, and how much of it is the article's."""

    text: str
    sentences: list[QuoteAnswer] = Field(description="The article's sentences that it quotes, in the summary's order.")
    unsupported: list[UnsupportedAnswer] = Field(
        description="Numbers, names and quotations in it that the article does not hold; found by words alone: an "
        "empty list does not mean that the summary is right."
    )


class EvidenceAnswer(BaseModel):
    """A sentence that moved an answer."""

    index: int = Field(ge=0, description="Which sentence of the text, counted from 0.", examples=[3])
    start: int = Field(ge=0, description="Where it begins, in characters (code points) of the text.", examples=[120])
    end: int = Field(ge=1, description="Where it ends: the character after its last.", examples=[240])
    weight: float = Field(description="How far the probability of the label falls without it.", examples=[0.31])


class LabelledAnswer(BaseModel):
    """One of the labels that a model tells."""

    label: str = Field(description="The most probable label.", examples=["Politics"])
    signal: str = Field(
        description="Show readers this, not `label`: the label where the model is sure enough of it, else `no clear "
        "signal` (veracity) or `unsure`; empty where its export says nothing of doubt.",
        examples=["Politics"],
    )
    doubt: str = Field(description="Why there is doubt; empty where there is none.", examples=["text too short"])
    probability: float = Field(ge=0, le=1, description="Its probability.", examples=[0.93])
    probabilities: dict[str, float] = Field(description="The probability of each label; they add up to 1.")
    evidence: list[EvidenceAnswer] | None = Field(
        default=None,
        description="The sentences that moved the answer most, the strongest first; absent where the request did not "
        "ask for it (`evidence`), or no sentence moved the answer.",
    )


class UnreadAnswer(BaseModel):
    """A piece of the text that a model did not read."""

    start: int = Field(ge=0, description="Where it begins in `text`, in characters (code points).", examples=[2410])
    end: int = Field(ge=1, description="The character after its last one.", examples=[3880])


class ReadingAnswer(BaseModel):
    """How much of the article a model read."""

    tokens: int = Field(ge=0, description="Tokens of the whole article.", examples=[812])
    truncated_tokens: int = Field(
        ge=0,
        description="How many of them were not read: at its end, or between windows spread over it.",
        examples=[300],
    )
    unread: list[UnreadAnswer] | None = Field(
        default=None,
        description="The pieces of `text` that were not read, in their order, without the blanks around them; what was "
        "not read of the title is not among them. Absent where the model's configuration does not tell.",
    )


class ModelAnswer(BaseModel):
    """Which model answered."""

    model: str = Field(examples=["distilbert"])
    version: str = Field(examples=["1"])
    revision: str = Field(description="The first digits of the SHA-256 of its files.", examples=["9f86d081884c"])


class Timings(BaseModel):
    """Where the time went, in milliseconds."""

    waiting_ms: float = Field(ge=0, description="Until it was the request's turn.")
    models_ms: float = Field(ge=0, description="In the models.")
    fetching_ms: float | None = Field(
        default=None, ge=0, description="Until the text behind a link was there; absent where there was none."
    )
    total_ms: float = Field(ge=0, description="From the last byte of the request to the answer.")


class AuditOffer(BaseModel):
    """What is asked about before the answer is shown."""

    tasks: dict[str, list[str]] = Field(
        description="The labels to choose from, by task. These tasks are not among the answers: "
        "`/v1/predictions/{id}/audit` gives them for a label, or for none.",
        examples=[{"category": ["Business", "Politics"]}],
    )


class KeptAnswer(BaseModel):
    """A report that was kept."""

    id: str = Field(description="The last part of its path, /v1/reports/ID: whoever has it can read the report.")
    until: str = Field(description="From then on it is gone; ISO 8601.", examples=["2026-03-02T12:00:00+00:00"])


_KINDS: Final[dict[AnswerKind, Any]] = {AnswerKind.TEXT: TextAnswer, AnswerKind.LABELS: LabelledAnswer}


class _Answer(BaseModel):
    """The answers for an article: one for each task that was asked for and did not fail."""

    model_config = _OPEN

    id: str = Field(description="The id of the article in the request, else the request's own.")
    article: ArticleAnswer | None = Field(
        default=None, description="What was read where the request gave a `url`; absent where it gave a text."
    )
    truncated: bool = Field(description="Whether a model did not read the whole article.")
    readings: dict[str, ReadingAnswer] = Field(description="By task.")
    failed: dict[str, str] | None = Field(
        default=None, description="By task, or `evidence`, why there is no answer (`partial`)."
    )
    models: dict[str, ModelAnswer] = Field(description="By task.")
    timings: Timings
    report: KeptAnswer | None = Field(
        default=None, description="Where the request had `keep`: the report, or null if it could not be kept."
    )
    report_problem: str | None = Field(default=None, description="Why it could not be kept.")
    prediction: str | None = Field(
        default=None,
        description="The id by which the answer is rated (`/v1/feedback`); null where nothing is kept. The header "
        "`Infolens-Prediction` has it too.",
    )
    audit: AuditOffer | None = Field(default=None, description="What is asked about first, where `audit` was wanted.")


_TASKS: Final[dict[str, Any]] = {str(task): (_KINDS[one.answers] | None, None) for task, one in CONTRACTS.items()}
AnalyzeAnswer: Final[type[BaseModel]] = create_model(
    "AnalyzeAnswer", __base__=_Answer, __doc__=_Answer.__doc__, **_TASKS
)


class ProblemField(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="Where it is: a JSON pointer.", examples=["/text"])
    detail: str


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    model_config = _OPEN

    type: str = Field(
        description="What kind of problem this is: a path of this server.", examples=["/v1/problems/busy"]
    )
    title: str
    status: int = Field(examples=[429])
    detail: str = Field(description="The rule, the value, and the way out.")
    instance: str | None = Field(default=None, description="The id of the request, as in the server's log.")
    errors: list[ProblemField] | None = None
    retry_after_ms: int | None = Field(default=None, ge=0, description="When to try again.")


class ProblemKind(BaseModel):
    """What a kind of problem is."""

    type: str
    title: str
    status: int
    advice: str


class BatchAnswer(AnalyzeAnswer):  # type: ignore[misc, valid-type]  # made from the tasks
    """The answer of a row."""

    index: int = Field(ge=0, description="Which row, counted from 0.")


class BatchError(BaseModel):
    """A row that has no answer, or what ended the whole batch."""

    index: int | None = Field(description="Which row; null for the whole batch, in its last line.")
    id: str | None = Field(default=None, description="The row's own id, where it could be read.")
    error: Problem


class BatchLine(RootModel[BatchAnswer | BatchError]):
    """A line of the answer to a batch."""


class Alive(BaseModel):
    """The process runs."""

    status: str = Field(examples=["ok"])


class PartReadiness(BaseModel):
    """Whether one model answers."""

    ready: bool
    reason: str = Field(description="Why not; empty while it is ready.")


class Readiness(BaseModel):
    """Whether the server answers."""

    ready: bool
    reason: str = Field(description="Why not; empty while it is ready.")
    models: dict[str, PartReadiness]
