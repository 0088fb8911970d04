"""What is asked in JSON: the bodies of ``/v1``, as pydantic models, and how a body becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infolens import Article, InvalidArticleError, InvalidSettingError, SummaryOptions
from infolens.contract import CONTRACTS, MAX_ARTICLE_BYTES, SUMMARY_SETTINGS, SummarySetting, Task
from infolens.wire import parse_tasks
from serving.gateway.refusals import FieldError, invalid_fields

from .faults import MAX_DEADLINE_MS, field_error

MAX_ID_CHARACTERS: Final = 128
_STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True)
_SETTINGS: Final[Mapping[str, SummarySetting]] = {setting.name: setting for setting in SUMMARY_SETTINGS}


if TYPE_CHECKING:
    TaskName = str
else:
    TaskName = Literal[tuple(str(task) for task in CONTRACTS)]


def _setting(name: str) -> Any:
    one = _SETTINGS[name]
    number = int if one.dtype == "INT32" else float
    return Field(
        default=None,
        ge=number(one.minimum),
        le=number(one.maximum),
        description=f"Left out: {one.default:g}.",
        examples=[number(one.default)],
    )


class SummarySettings(BaseModel):
    """How the summary is written. Lengths count tokens, of which a word has about 1.3."""

    model_config = _STRICT

    min_length: int | None = _setting("min_length")
    max_length: int | None = _setting("max_length")
    num_beams: int | None = _setting("num_beams")
    length_penalty: Annotated[float, Field(allow_inf_nan=False)] | None = _setting("length_penalty")


class AnalyzeRequest(BaseModel):
    """An article, and what is asked of it."""

    model_config = _STRICT

    text: str = Field(
        min_length=1,
        description=f"The body of the article, in English. Title and text have at most {MAX_ARTICLE_BYTES:,} bytes of "
        "UTF-8 together.",
        examples=["The old bridge over the harbour will close for repairs in June, the city said on Monday."],
    )
    title: str | None = Field(
        default=None,
        description="The headline: category and veracity are better with it.",
        examples=["Harbour bridge to close"],
    )
    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ID_CHARACTERS,
        description="A name of yours for this article, which its answer has too.",
        examples=["desk-4711"],
    )
    tasks: list[TaskName] | None = Field(
        default=None,
        min_length=1,
        max_length=len(CONTRACTS),
        description="What is asked. Left out: everything.",
        examples=[["category", "summary"]],
    )
    summary: SummarySettings | None = Field(default=None, examples=[{"max_length": 48}])
    deadline_ms: int | None = Field(
        default=None,
        ge=1,
        le=MAX_DEADLINE_MS,
        description="How long the answer may take, in milliseconds. A server that cannot answer in this time says so "
        "at once. Left out: as long as the server allows.",
        examples=[2000],
    )
    partial: bool = Field(
        default=False,
        description="Whether the other answers are given when a task fails; `failed` says which did, and why.",
    )


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request that passed all checks."""

    article: Article
    tasks: tuple[Task, ...]
    options: SummaryOptions | None
    id: str | None
    deadline_s: float | None
    partial: bool


def read_question(document: Mapping[str, Any]) -> Question:
    """The question that a JSON object asks.

    Raises:
        RefusedError: It breaks a rule; ``fields`` says where.
    """
    try:
        asked = AnalyzeRequest.model_validate(document)
    except ValidationError as error:
        raise invalid_fields([field_error(one, _FIELDS) for one in error.errors(include_url=False)]) from None
    try:
        article = Article(text=asked.text, title=asked.title)
    except InvalidArticleError as error:
        raise invalid_fields([FieldError(pointer="/text", words=str(error))]) from None
    return Question(
        article=article,
        tasks=parse_tasks(asked.tasks),
        options=_options(asked.summary),
        id=asked.id,
        deadline_s=None if asked.deadline_ms is None else asked.deadline_ms / 1e3,
        partial=asked.partial,
    )


def _options(settings: SummarySettings | None) -> SummaryOptions | None:
    if settings is None:
        return None
    try:
        return SummaryOptions(**settings.model_dump())
    except InvalidSettingError as error:
        raise invalid_fields([FieldError(pointer="/summary", words=str(error))]) from None


_FIELDS: Final[Mapping[str, str]] = {
    "": ", ".join(AnalyzeRequest.model_fields),
    "/summary": ", ".join(SummarySettings.model_fields),
}
