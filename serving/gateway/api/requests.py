"""What is asked in JSON: the bodies of ``/v1``, as pydantic models, and how a body becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infolens import Article, InvalidArticleError, InvalidSettingError, SummaryOptions
from infolens.contract import CONTRACTS, MAX_ARTICLE_BYTES, SUMMARY_SETTINGS, AnswerKind, SummarySetting, Task
from infolens.wire import parse_tasks
from serving.gateway.refusals import FieldError, invalid_fields
from serving.intake.fetching.targets import MAX_URL_CHARACTERS

from .faults import MAX_DEADLINE_MS, field_error

MAX_ID_CHARACTERS: Final = 128
_STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True)
_SETTINGS: Final[Mapping[str, SummarySetting]] = {setting.name: setting for setting in SUMMARY_SETTINGS}


if TYPE_CHECKING:
    TaskName = str
    Style = str
else:
    TaskName = Literal[tuple(str(task) for task in CONTRACTS)]
    Style = Literal[_SETTINGS["style"].choices]


def _setting(name: str, about: str = "") -> Any:
    one = _SETTINGS[name]
    described = f"{about}Left out: {one.left_out}."
    if one.choices:
        return Field(default=None, description=described, examples=[one.choices[-1]])
    number = int if one.dtype == "INT32" else float
    low, high = number(one.minimum), number(one.maximum)
    return Field(default=None, ge=low, le=high, description=described, examples=[number(one.default)])


def setting_limits(one: SummarySetting, defaults: Mapping[str, float]) -> dict[str, Any]:
    """What a setting may be, as ``/v1/models`` has it; ``defaults`` are those of the served model, by name."""
    own = defaults.get(one.name)
    fixed = None if one.varies else one.default
    default = fixed if own is None else one.choices[int(own)] if one.choices else own
    numbers = {"minimum": one.minimum, "maximum": one.maximum}
    return {
        "name": one.name,
        **(dict.fromkeys(numbers) if one.choices else numbers),
        "default": default,
        "choices": list(one.choices) or None,
        "left_out": one.left_out if own is None else f"the model's own, {default}",
    }


_Number = Annotated[float, Field(allow_inf_nan=False)]


class SummarySettings(BaseModel):
    """How the summary is written. Lengths count tokens, of which a word has about 1.3.

    With a model that chooses whole sentences, `num_beams`, `length_penalty`, `temperature` and all else that guides the
    writing of words have no effect on an extractive summary.
    """

    model_config = _STRICT

    min_length: int | None = _setting("min_length")
    max_length: int | None = _setting("max_length")
    num_beams: int | None = _setting("num_beams")
    length_penalty: _Number | None = _setting("length_penalty")
    style: Style | None = _setting(
        "style", "Whole sentences of the article, character for character (`extractive`), or the model's own (`free`). "
    )
    temperature: _Number | None = _setting(
        "temperature", "Above 0 the summary is a sample, the more daring the higher, and has no beams. "
    )
    top_p: _Number | None = _setting(
        "top_p", "A sample takes each token of the most probable ones that have this probability together. "
    )
    seed: int | None = _setting("seed", "The same seed gives the same sample. ")


def _instead(**rules: Any) -> Any:
    """A field that may be left out where another is there; it has no value then, and none that could be sent."""

    def without(schema: dict[str, Any]) -> None:
        schema.pop("default", None)

    return Field(default="", json_schema_extra=without, **rules)


class AnalyzeRequest(BaseModel):
    """An article, or a link to one, and what is asked of it."""

    model_config = _STRICT | {"json_schema_extra": {"oneOf": [{"required": ["text"]}, {"required": ["url"]}]}}

    text: str = _instead(
        min_length=1,
        description=f"The body of the article, in English. Title and text have at most {MAX_ARTICLE_BYTES:,} bytes of "
        "UTF-8 together.",
        examples=["The old bridge over the harbour will close for repairs in June, the city said on Monday."],
    )
    title: str | None = Field(
        default=None,
        description="The headline: category and veracity are better with it. With a link it counts more than the "
        "page's.",
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
    evidence: bool = Field(
        default=False,
        description="Whether to find the sentences without which the label of each task would be less probable, at "
        "most three. It takes about four times as long; a server that finds it for several is `busy` for more.",
    )
    url: str = _instead(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        description="In the place of `text`: a link to the article (http or https), which the server fetches. The "
        "answer then has `article`, what was read there; places of sentences count in its text. `/v1/models` says in "
        "`fetches` whether you may.",
        examples=["https://news.example/harbour-bridge"],
    )
    keep: bool = Field(
        default=False,
        description="Whether the server keeps the answer and gives it back under an id, which `report` says, to "
        "whoever has that: see `keeps` of /v1/models. Not in a batch.",
    )
    audit: bool = Field(
        default=False,
        description="Whether a person reads the answer who can be asked for labels before ours are shown. A small "
        "share of articles is asked about so (`audit` of the answer, and `/v1/predictions/{id}/audit`), where neither "
        "`keep` nor `evidence` is asked for. Not in a batch.",
    )


@dataclass(frozen=True, kw_only=True)
class Link:
    """Where an article is, that was not read yet."""

    url: str
    title: str | None
    """A headline that counts more than the page's."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request that passed all checks."""

    article: Article | Link
    tasks: tuple[Task, ...]
    options: SummaryOptions | None
    id: str | None
    deadline_s: float | None
    partial: bool
    evidence: bool = False
    keep: bool = False
    audit: bool = False

    @property
    def audited(self) -> bool:
        """Whether its labels may be withheld: what is kept, or points at sentences, would tell them."""
        return self.audit and not (self.keep or self.evidence)


def read_question(document: Mapping[str, Any]) -> Question:
    """The question that a JSON object asks.

    Raises:
        RefusedError: It breaks a rule; ``fields`` says where.
    """
    try:
        asked = AnalyzeRequest.model_validate(document)
    except ValidationError as error:
        raise invalid_fields([field_error(one, _FIELDS) for one in error.errors(include_url=False)]) from None
    article = _article(asked)
    tasks = parse_tasks(asked.tasks)
    if asked.evidence and all(CONTRACTS[task].answers is not AnswerKind.LABELS for task in tasks):
        words = f"evidence is what moved a label, and {', '.join(tasks)} has none: ask for a task that has labels too"
        raise invalid_fields([FieldError(pointer="/evidence", words=words)])
    return Question(
        article=article,
        tasks=tasks,
        options=_options(asked.summary),
        id=asked.id,
        deadline_s=None if asked.deadline_ms is None else asked.deadline_ms / 1e3,
        partial=asked.partial,
        evidence=asked.evidence,
        keep=asked.keep,
        audit=asked.audit,
    )


def _article(asked: AnalyzeRequest) -> Article | Link:
    if asked.text and asked.url:
        raise invalid_fields(
            [FieldError(pointer="/url", words="there is text too, and one of them is read: leave one out")]
        )
    if asked.url:
        return Link(url=asked.url, title=asked.title)
    if not asked.text:
        raise invalid_fields([FieldError(pointer="/text", words="this field is needed, or url in its place")])
    try:
        return Article(text=asked.text, title=asked.title)
    except InvalidArticleError as error:
        raise invalid_fields([FieldError(pointer="/text", words=str(error))]) from None


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
