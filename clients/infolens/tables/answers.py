"""An answer as a row of a table. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from infolens.problems import from_problem

COLUMNS: Final = (
    "id",
    "title",
    "url",
    "summary",
    "summary_unsupported",
    "category",
    "category_signal",
    "category_doubt",
    "category_probability",
    "veracity",
    "veracity_signal",
    "veracity_doubt",
    "veracity_probability",
    "read_share",
    "error",
    "note",
    "prediction",
)
"""The columns of a table of answers, in their order."""
CAVEAT: Final = "judged by wording, not checked"
"""The note on each row with a veracity."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_SHARE_DIGITS: Final = 4


def to_row(answer: Mapping[str, Any], *, title: str | None = None, url: str | None = None) -> dict[str, Any]:
    """The row of an answer: a value for each of `COLUMNS`, None where there is none.

    Args:
        answer: What ``/v1/analyze`` or a line of ``/v1/analyze/batch`` says, or `infolens.Report.to_dict`; ``error``
            in it is a problem document, or words. It may bring ``id``, ``title`` and ``url``. What it holds that an
            answer does not is passed over.
        title: The article's; without it the answer's own counts.
        url: Likewise.
    """
    article = _mapping(answer, "article")
    summary = _mapping(answer, "summary")
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row.update(
        id=_text(answer, "id"),
        title=title or _text(answer, "title") or _text(article, "title"),
        url=url or _text(answer, "url") or _text(article, "url"),
        summary=_text(summary, "text"),
        summary_unsupported=_unsupported(summary.get("unsupported")),
        read_share=_read_share(_mapping(answer, "readings")),
        error=_error(answer),
        prediction=_text(answer, "prediction"),
    )
    for task in ("category", "veracity"):
        labelled = _mapping(answer, task)
        row[task] = _text(labelled, "label")
        row[f"{task}_signal"] = _text(labelled, "signal")
        row[f"{task}_doubt"] = _text(labelled, "doubt")
        row[f"{task}_probability"] = _number(labelled.get("probability"))
    row["note"] = None if row["veracity"] is None else CAVEAT
    return row


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, Mapping) else _NOTHING


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _unsupported(spans: object) -> str | None:
    if not isinstance(spans, list | tuple):
        return None
    words = [_text(span, "text") for span in spans if isinstance(span, Mapping)]
    return "; ".join(word for word in words if word) or None


def _read_share(readings: Mapping[str, Any]) -> float | None:
    """The least share of the tokens that a model read, from 0 to 1."""
    shares = []
    for task in readings:
        reading = _mapping(readings, task)
        tokens, unread = _number(reading.get("tokens")), _number(reading.get("truncated_tokens"))
        if tokens and unread is not None:
            shares.append(min(1.0, max(0.0, 1 - unread / tokens)))
    return round(min(shares), _SHARE_DIGITS) if shares else None


def _error(answer: Mapping[str, Any]) -> str | None:
    error = answer.get("error")
    if isinstance(error, Mapping):
        return str(from_problem(error))
    if isinstance(error, str) and error:
        return error
    failed = _mapping(answer, "failed")
    return "; ".join(f"no {task}: {reason}" for task, reason in failed.items()) or None
