"""The values that go in and come out: articles, options, answers, reports and the state of a server.

All are frozen. `Article` and `SummaryOptions` check themselves when they are made, so whatever exists is valid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ._values.article import Article
from ._values.article import is_blank as is_blank
from ._values.labelled import Category, Labelled, Reading, Veracity
from ._values.status import ServedTask, ServerStatus
from .contract import SUMMARY_SETTINGS, SummarySetting, Task
from .errors import InfoLensError, InvalidSettingError

__all__ = [
    "ANSWER_TYPES",
    "Answer",
    "Article",
    "BatchResult",
    "Category",
    "Labelled",
    "Reading",
    "Report",
    "ServedTask",
    "ServerStatus",
    "Summary",
    "SummaryOptions",
    "Veracity",
    "answer_type",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryOptions:
    """How the summary is written; what is None is left to the server's defaults.

    The ranges and defaults stand in `infolens.contract.SUMMARY_SETTINGS`; lengths count tokens, the start and end
    tokens included.

    Raises:
        InvalidSettingError: A value is of the wrong type or out of range, or ``min_length`` exceeds ``max_length``.
    """

    min_length: int | None = None
    """Minimum tokens of the summary; by default no more than ``max_length``. A text that has no more is its own."""
    max_length: int | None = None
    """Maximum tokens of the summary; it also bounds the time that the summary takes. A summary that would go on is cut
    after its last whole sentence, and may then have fewer than ``min_length``."""
    num_beams: int | None = None
    """Width of the beam search: 1 is greedy and fastest."""
    length_penalty: float | None = None
    """Above 0 favours longer summaries, below 0 shorter ones; one decimal is kept."""

    def __post_init__(self) -> None:
        for setting in SUMMARY_SETTINGS:
            value = getattr(self, setting.name)
            if value is not None:
                _check_setting(setting, value)
        defaults = {setting.name: setting.default for setting in SUMMARY_SETTINGS}
        if self.min_length is None:
            return  # the server's own minimum follows a small max_length down
        high = defaults["max_length"] if self.max_length is None else self.max_length
        if self.min_length > high:
            raise InvalidSettingError(
                f"min_length may not exceed max_length, but min_length is {self.min_length} and "
                f"max_length is {high:g}{_default_note(self.max_length)}; set both"
            )

    def given(self) -> dict[str, float]:
        """The settings that are set, by name, in the order of the contract."""
        values = {setting.name: getattr(self, setting.name) for setting in SUMMARY_SETTINGS}
        return {name: value for name, value in values.items() if value is not None}


def _default_note(value: float | None) -> str:
    return " (the default)" if value is None else ""


def _check_setting(setting: SummarySetting, value: object) -> None:
    kind, kind_name = (int, "a whole number") if setting.dtype == "INT32" else ((int, float), "a number")
    if isinstance(value, bool) or not isinstance(value, kind):
        raise InvalidSettingError(
            f"{setting.name} is {kind_name} from {setting.minimum:g} to {setting.maximum:g}, not {value!r}"
        )
    if not (math.isfinite(value) and setting.minimum <= value <= setting.maximum):
        raise InvalidSettingError(
            f"{setting.name} must lie between {setting.minimum:g} and {setting.maximum:g}, but is {value!r}; "
            f"leave it out for the default, {setting.default:g}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A few sentences that say what the article says."""

    text: str
    reading: Reading

    def to_dict(self) -> dict[str, Any]:
        """``{"text": "..."}``."""
        return {"text": self.text}


Answer = Summary | Labelled

ANSWER_TYPES: Final[dict[Task, type[Answer]]] = {
    Task.SUMMARY: Summary,
    Task.CATEGORY: Category,
    Task.VERACITY: Veracity,
}
"""The type of each task's answers. A new task is one more line, beside its entry in `infolens.contract`."""


def answer_type(task: Task) -> type[Answer]:
    """The type of a task's answers.

    Raises:
        KeyError: `ANSWER_TYPES` does not know it.
    """
    if task not in ANSWER_TYPES:
        raise KeyError(f"the task {task} has no type of answers: add it to ANSWER_TYPES in infolens/types.py")
    return ANSWER_TYPES[task]


_OWN_FIELDS: Final = ("summary", "category", "veracity")
"""The tasks whose answers are fields of a report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The answers for one article; a task that was not asked for, or failed, is None."""

    summary: Summary | None = None
    category: Category | None = None
    veracity: Veracity | None = None
    more: Mapping[Task, Answer] = field(default_factory=dict, hash=False)
    """Answers of further tasks, by task."""
    failed: Mapping[Task, str] = field(default_factory=dict, hash=False)
    """Why tasks that were asked for have no answer, by task; empty unless partial answers were asked for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "more", MappingProxyType(dict(self.more)))
        object.__setattr__(
            self, "failed", MappingProxyType({Task(task): reason for task, reason in self.failed.items()})
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Report.of, (self.answers, dict(self.failed))

    @classmethod
    def of(cls, answers: Mapping[Task, Answer], failed: Mapping[Task, str] = MappingProxyType({})) -> Report:
        """The report of answers by task, and of the reasons why other tasks have none."""
        named: dict[str, Any] = {task.value: answer for task, answer in answers.items() if task in _OWN_FIELDS}
        more = {task: answer for task, answer in answers.items() if task not in _OWN_FIELDS}
        return cls(**named, more=more, failed=failed)

    @property
    def answers(self) -> dict[Task, Answer]:
        """Every answer that there is, by task, in the order of the contract."""
        own = {name: getattr(self, name) for name in _OWN_FIELDS}
        found = {task: own[task] if task in own else self.more.get(task) for task in Task}
        return {task: answer for task, answer in found.items() if answer is not None}

    @property
    def readings(self) -> dict[Task, Reading]:
        """How much of the article each model read, by task."""
        return {task: answer.reading for task, answer in self.answers.items()}

    @property
    def truncated(self) -> bool:
        """Whether any of the models did not read the whole article."""
        return any(reading.truncated for reading in self.readings.values())

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it.

        ``{"summary": {"text"}, "category": {"label", "signal", "doubt", ...}, "veracity": {...},
        "truncated": false, "readings": {"summary": {"tokens", "truncated_tokens"}, ...}}``; a task that was not asked
        for has no key. Where tasks failed there is one more, ``"failed": {"summary": "Request timeout expired"}``.
        """
        failed = {"failed": {task.value: reason for task, reason in self.failed.items()}} if self.failed else {}
        return {
            **{task.value: answer.to_dict() for task, answer in self.answers.items()},
            "truncated": self.truncated,
            "readings": {task.value: reading.to_dict() for task, reading in self.readings.items()},
            **failed,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """What came of one article of a batch."""

    index: int
    """Where the article stood among those that were given, from 0 on."""
    id: str | None
    """The article's own id; None where it has none."""
    result: Report | InfoLensError
    """The answers, or why there are none."""

    @property
    def report(self) -> Report | None:
        """The answers; None where there are none."""
        return self.result if isinstance(self.result, Report) else None

    @property
    def error(self) -> InfoLensError | None:
        """Why there are no answers; None where there are."""
        return self.result if isinstance(self.result, InfoLensError) else None
