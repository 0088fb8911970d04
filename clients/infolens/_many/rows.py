"""The lines of a batch: articles to NDJSON, and NDJSON to reports. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infolens._values.evidence import read_evidence
from infolens._values.predictions import read_prediction
from infolens.contract import CONTRACTS, AnswerKind, Task
from infolens.errors import ServerError, UnexpectedResponseError
from infolens.problems import from_problem
from infolens.types import Answer, Article, Quote, Reading, Report, Span, SummaryOptions, Unsupported, answer_type

from .refused import problem_error

CONTENT_TYPE: Final = "application/x-ndjson"
_LONGEST_DEADLINE_MS: Final = 300_000
_HINT: Final = "is this an Info Lens server of the same version as the client?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked of every article of a batch."""

    tasks: tuple[Task, ...]
    options: SummaryOptions | None
    partial: bool
    evidence: bool = False
    timeout_s: float
    server: str = ""
    """The server's URL, for messages."""

    def line(self, article: Article) -> bytes:
        """The line that asks for an article, line break included."""
        row = self.document(text=article.text, title=article.title, id=article.id)
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def document(self, **article: str | None) -> dict[str, Any]:
        """What is asked of an article, as ``/v1/analyze`` takes it: the fields that say which, and all others."""
        settings = self.options.given() if self.options is not None and Task.SUMMARY in self.tasks else {}
        row: dict[str, Any] = {
            **article,
            "tasks": [task.value for task in self.tasks],
            "summary": settings or None,
            "deadline_ms": min(max(1, math.ceil(1000 * self.timeout_s)), _LONGEST_DEADLINE_MS),
            "partial": self.partial or None,
            "evidence": self.evidence or None,
        }
        return {name: value for name, value in row.items() if value is not None}

    def refusal(self, status: int, body: bytes, headers: Mapping[str, str]) -> ServerError:
        """The error for an answer to the whole batch whose status is not 200."""
        older = (
            f"analyze_batch needs a server with /v1/analyze/batch, but {self.server} answers {status} there; "
            "update the server, or use analyze_many"
        )
        return problem_error(status, body, headers, server=self.server, timeout_s=self.timeout_s, older=older)

    def read(self, line: bytes) -> tuple[int | None, Report | ServerError]:
        """The number of the row that a line answers, and the answer.

        The number is None for a line that tells why the whole batch ends.

        Raises:
            UnexpectedResponseError: The line is no answer.
        """
        try:
            document = json.loads(line)
            index, problem = document["index"], document.get("error")
            if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
                raise TypeError(f"index must be a whole number or null, not {index!r}")
            if problem is not None:
                return index, from_problem(dict(problem), server=self.server, timeout_s=self.timeout_s)
            return index, read_report(document, self.tasks)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UnexpectedResponseError(
                f"{self.server} must answer a batch with a JSON object a line, each with index and the answers or "
                f"error, but sent {line[:80]!r} ({type(error).__name__}: {error}); {_HINT}"
            ) from error


def read_report(document: Mapping[str, Any], tasks: Collection[Task]) -> Report:
    """The report that a JSON object holds, as `Report.to_dict` makes it.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It holds another thing.
    """
    failed = {str(what): str(reason) for what, reason in (document.get("failed") or {}).items()}
    answers: dict[Task, Answer] = {}
    for task in tasks:
        if task in failed:
            continue
        answers[task] = answer_type(task)(
            **_READERS[CONTRACTS[task].answers](document[task.value]),
            reading=_reading(document["readings"][task.value]),
        )
    return Report.of(answers, failed, prediction=read_prediction(document, "prediction"))


def _reading(reading: Mapping[str, Any]) -> Reading:
    unread = reading.get("unread")
    return Reading(
        tokens=int(reading["tokens"]),
        truncated_tokens=int(reading["truncated_tokens"]),
        unread=None if unread is None else Span.read(unread),
    )


def _text(answer: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(answer["text"], str):
        raise TypeError(f"text must be a string, not {type(answer['text']).__name__}")
    return {
        "text": answer["text"],
        "sentences": Quote.read(answer.get("sentences", [])),
        "unsupported": Unsupported.read(answer.get("unsupported", [])),
    }


def _labelled(answer: Mapping[str, Any]) -> dict[str, Any]:
    probabilities = {str(label): float(value) for label, value in answer["probabilities"].items()}
    if answer["label"] not in probabilities:
        raise ValueError(f"the label {answer['label']!r} must be one of {', '.join(probabilities)}")
    return {
        "label": answer["label"],
        "probability": float(answer["probability"]),
        "probabilities": probabilities,
        # Servers of earlier versions say nothing of doubt.
        "signal": str(answer.get("signal", "")),
        "doubt": str(answer.get("doubt", "")),
        "evidence": read_evidence(answer.get("evidence") or []),
    }


_READERS: Final[Mapping[AnswerKind, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    AnswerKind.TEXT: _text,
    AnswerKind.LABELS: _labelled,
}
"""What an answer says beside how much was read, by its kind."""
