"""The values that go in and come out: articles, options, answers, reports and the state of a server.

All are frozen. `Article` and `SummaryOptions` check themselves when they are made, so whatever exists is valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ._values.article import Article
from ._values.article import is_blank as is_blank
from ._values.evidence import Evidence
from ._values.labelled import Category, Labelled, Reading, Veracity
from ._values.options import SummaryOptions
from ._values.spans import Quote, Span, Unsupported
from ._values.status import Lineage, ServedTask, ServerStatus
from .contract import EVIDENCE, Task
from .errors import InfoLensError

__all__ = [
    "ANSWER_TYPES",
    "Answer",
    "Article",
    "BatchResult",
    "Category",
    "Evidence",
    "Labelled",
    "Lineage",
    "Quote",
    "Reading",
    "Report",
    "ServedTask",
    "ServerStatus",
    "Span",
    "Summary",
    "SummaryOptions",
    "Unsupported",
    "Veracity",
    "answer_type",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A few sentences that say what the article says."""

    text: str
    reading: Reading
    sentences: tuple[Quote, ...] = ()
    """The sentences of the article that it quotes word for word, in its order; an extractive summary has no others.
    Empty as well where the server is older and does not say."""
    unsupported: tuple[Unsupported, ...] = ()
    """Numbers, names and quotations in it that the article does not hold: look at them before you believe them."""

    def to_dict(self) -> dict[str, Any]:
        """``{"text": "...", "sentences": [{"index", "start", "end"}, ...], "unsupported": [{"start", ...}, ...]}``."""
        return {
            "text": self.text,
            "sentences": [one.to_dict() for one in self.sentences],
            "unsupported": [one.to_dict() for one in self.unsupported],
        }


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
    failed: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Why tasks that were asked for have no answer, by task; empty unless partial answers were asked for. Under
    ``evidence`` stands why the answers have no evidence."""
    trace_id: str | None = field(default=None, compare=False)
    """The trace with the server's spans of this request; None where it kept none, as for most requests."""
    prediction: str | None = field(default=None, compare=False, repr=False)
    """The id under which the server has noted these answers, so that they can be rated (`Client.rate`); None where it
    keeps none. Whoever has it may rate them, so a printed report does not show it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "more", MappingProxyType(dict(self.more)))
        named = {what if what == EVIDENCE.name else Task(what): reason for what, reason in self.failed.items()}
        object.__setattr__(self, "failed", MappingProxyType(named))

    def __reduce__(self) -> tuple[Any, ...]:
        return Report.of, (self.answers, dict(self.failed), self.trace_id, self.prediction)

    @classmethod
    def of(
        cls,
        answers: Mapping[Task, Answer],
        failed: Mapping[str, str] = MappingProxyType({}),
        trace_id: str | None = None,
        prediction: str | None = None,
    ) -> Report:
        """The report of answers by task, of the reasons why other tasks have none, of its trace and its id."""
        named: dict[str, Any] = {task.value: answer for task, answer in answers.items() if task in _OWN_FIELDS}
        more = {task: answer for task, answer in answers.items() if task not in _OWN_FIELDS}
        return cls(**named, more=more, failed=failed, trace_id=trace_id, prediction=prediction)

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

        ``{"summary": {"text", "sentences", "unsupported"}, "category": {"label", "signal", ...}, "veracity": {...},
        "truncated": false, "readings": {"summary": {"tokens", "truncated_tokens", "unread"}, ...}}``; a task that was
        not asked for has no key. Where tasks failed there is one more, ``"failed": {"summary": "Request timeout
        expired"}``, and where the server kept spans another, ``"trace_id": "0af7651916cd43dd8448eb211c80319c"``; where
        it noted the answers, ``"prediction": "q3nCk5mGSxuZ0dX2yQe9Tw"``.
        """
        failed = {"failed": {str(what): reason for what, reason in self.failed.items()}} if self.failed else {}
        return {
            **{task.value: answer.to_dict() for task, answer in self.answers.items()},
            "truncated": self.truncated,
            "readings": {task.value: reading.to_dict() for task, reading in self.readings.items()},
            **failed,
            **({"trace_id": self.trace_id} if self.trace_id else {}),
            **({"prediction": self.prediction} if self.prediction else {}),
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
