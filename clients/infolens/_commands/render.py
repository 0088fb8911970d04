"""Reports and states as text for people and as JSON for programs. Pure: strings in and out."""

from __future__ import annotations

import json
import textwrap
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from infolens.errors import InfoLensError
from infolens.types import Labelled, Reading, Report, ServerStatus

_INDENT: Final = 12
_BAR_CHARS: Final = 20
_SHOWN_LABELS: Final = 3


def clean(text: str) -> str:
    """The text on one line without control characters: what an article says must not steer the terminal."""
    return " ".join("".join(" " if unicodedata.category(char) in ("Cc", "Cf") else char for char in text).split())


def report_text(name: str, title: str | None, report: Report, *, width: int = 100, text: str = "") -> str:
    """A report for people, under the name of its article; ``text`` is the article's, for what was said about places."""
    lines = [clean(name)]
    if title:
        lines += _field("Title", clean(title), width)
    for task, answer in report.answers.items():
        if isinstance(answer, Labelled):
            lines += _labels(task.capitalize(), answer)
            for one in answer.evidence:
                fall = f"{clean(answer.label)} falls by {100 * one.weight:.1f} points without"
                lines += _field("", f"{fall}: {clean(one.of(text))}", width)
        else:
            lines += _field(task.capitalize(), clean(answer.text) or "(empty)", width)
            if answer.unsupported:
                words = ", ".join(f"{clean(one.text)} ({one.kind})" for one in answer.unsupported)
                lines += _field("", f"not in the article: {words}", width)
    if report.truncated:
        tasks: dict[str, list[str]] = {}
        for task, reading in report.readings.items():
            if reading.truncated:
                tasks.setdefault(_unread(reading, text), []).append(task.value)
        parts = [f"{what} ({', '.join(names)})" for what, names in tasks.items()]
        lines += _field("Note", f"not read: {', '.join(parts)}", width)
    return "\n".join(lines) + "\n"


def _unread(reading: Reading, text: str) -> str:
    """What a model did not read, in words; in tokens where the places in the text are not known."""
    if not reading.unread or not text:
        return f"{reading.truncated_tokens:,} of {reading.tokens:,} tokens"
    share = sum(one.end - one.start for one in reading.unread) / len(text)
    percent = f"{max(1, round(100 * share))}%"
    if len(reading.unread) == 1 and not text[reading.unread[0].end :].strip():
        return f"the last {percent}"
    places = len(reading.unread)
    return f"{percent} in {places} place{'s' * (places > 1)}"


def _field(name: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, max(width, 40), initial_indent=f"  {name:<{_INDENT - 2}}", subsequent_indent=" " * _INDENT
    )


def _labels(name: str, answer: Labelled) -> list[str]:
    ranked = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
    # The server's answer first, whatever the rounding of ties.
    ranked = [(answer.label, answer.probability), *(pair for pair in ranked if pair[0] != answer.label)]
    lines = []
    if answer.doubt:
        lines.append(f"  {name:<{_INDENT - 2}}{clean(answer.signal)} ({clean(answer.doubt)})")
    for label, probability in ranked[:_SHOWN_LABELS]:
        bar = "#" * round(probability * _BAR_CHARS)
        lines.append(f"  {'' if lines else name:<{_INDENT - 2}}{clean(label):<15} {probability:6.1%}  {bar}".rstrip())
    return lines


def report_json(name: str, title: str | None, report: Report) -> str:
    """A report as one line of JSON: ``{"file": ..., "title": ..., "summary": {...}, ...}``."""
    return _line({"file": name, "title": title, **report.to_dict()})


def error_json(name: str, error: InfoLensError) -> str:
    """A failure as one line of JSON: ``{"file": ..., "error": {"type": ..., "message": ...}}``."""
    return _line({"file": name, "error": {"type": type(error).__name__, "message": str(error)}})


def status_text(server: str, status: ServerStatus) -> str:
    """A server's state for people."""

    def word(ready: bool) -> str:
        return "ready" if ready else "NOT READY"

    widest = max(22, *map(len, status.models))
    lines = [
        f"{server}  {status.version}  {'live' if status.live else 'NOT LIVE'}, {word(status.server_ready)}",
    ]
    if status.reason:
        lines.append(f"  {clean(status.reason)}")
    for model, ready in status.models.items():
        reason = clean(status.reasons.get(model, ""))
        lines.append(f"  {model:<{widest}} {word(ready)}{f': {reason}' if reason and not ready else ''}")
    for task, served in status.tasks.items():
        reads = f", reads {served.max_tokens:,} tokens" if served.max_tokens else ""
        lines.append(clean(f"{task}: {served.model} version {served.version}, revision {served.revision}{reads}"))
        lines[-1] = f"  {lines[-1]}"
    for task, labels in status.labels.items():
        lines += textwrap.wrap(
            f"{task}: {' | '.join(map(clean, labels))}", 98, initial_indent="  ", subsequent_indent="    "
        )
    return "\n".join(lines) + "\n"


def status_json(server: str, status: ServerStatus) -> str:
    """A server's state as one line of JSON."""
    return _line({"server": server, **status.to_dict()})


def _line(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False) + "\n"
