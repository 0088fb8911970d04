"""Reports and states as text for people and as JSON for programs. Pure: strings in and out."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from infolens.errors import InfoLensError
from infolens.tables import CAVEAT
from infolens.types import Labelled, Lineage, Reading, Report, ServerStatus, Veracity

from .usage import clean

_INDENT: Final = 12
_BAR_CHARS: Final = 20
_SHOWN_LABELS: Final = 3
_SHOWN_REVIEWS: Final = 5
_LABEL, _WIDE_LABEL = 15, 20
_HEADLINES: Final = ("macro_f1", "rougeLsum")
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def report_text(
    name: str,
    title: str | None,
    report: Report,
    *,
    width: int = 100,
    text: str = "",
    about: Mapping[str, Any] = _NOTHING,
) -> str:
    """A report for people, under the name of its article; ``text`` is the article's, for what is said about places.

    ``about`` is what else a page says of its article, as `infolens._commands.pages.Extracted` has it.
    """
    lines = [clean(name)]
    if title:
        lines += _field("Title", clean(title), width)
    lines += _about(about, width)
    for task, answer in report.answers.items():
        if isinstance(answer, Labelled):
            lines += _labels(task.capitalize(), answer)
            for one in answer.evidence:
                what = clean(answer.label)
                what = f"likeness to the {what} ones" if isinstance(answer, Veracity) else what
                fall = f"{what} falls by {100 * one.weight:.1f} points without"
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


def rating_line(report: Report, *, dim: bool = False) -> str:
    """How its answers can be rated, as the last line below a report; empty where they cannot."""
    if report.prediction is None:
        return ""
    line = f"  {'Rate it':<{_INDENT - 2}}infolens rate {report.prediction} --stars 1..5"
    return f"\x1b[2m{line}\x1b[22m\n" if dim else f"{line}\n"


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


def _about(about: Mapping[str, Any], width: int) -> list[str]:
    lines = []
    for what in ("site", "date", "author"):
        if isinstance(about.get(what), str):
            lines += _field(what.capitalize(), clean(about[what]), width)
    for note in _list(about, "notes"):
        lines += _field("Note", clean(str(note)), width)
    for review in _list(about, "reviews")[:_SHOWN_REVIEWS]:
        if isinstance(review, Mapping):
            by, claim, rating, url = (
                clean(str(review.get(key) or "")) for key in ("publisher", "claim", "rating", "url")
            )
            words = f"checked by {by or 'others'}: {claim!r} is {rating!r}{f' ({url})' if url else ''}"
            lines += _field("Claims", words, width)
    return lines


def _list(about: Mapping[str, Any], name: str) -> list[Any]:
    value = about.get(name)
    return value if isinstance(value, list) else []


def _named(answer: Labelled, label: str) -> str:
    """A label as people should read it: a veracity is told by what the article is like, never as a verdict."""
    return f"like the {clean(label)} ones" if isinstance(answer, Veracity) else clean(label)


def _labels(name: str, answer: Labelled) -> list[str]:
    ranked = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
    # The server's answer first, whatever the rounding of ties.
    ranked = [(answer.label, answer.probability), *(pair for pair in ranked if pair[0] != answer.label)]
    lines = []
    if answer.doubt:
        lines.append(f"  {name:<{_INDENT - 2}}{clean(answer.signal)} ({clean(answer.doubt)})")
    elif isinstance(answer, Veracity):
        words = f"written like the {clean(answer.label)} articles that the model learned from"
        lines.append(f"  {name:<{_INDENT - 2}}{words}")
    wide = _WIDE_LABEL if isinstance(answer, Veracity) else _LABEL
    for label, probability in ranked[:_SHOWN_LABELS]:
        bar = "#" * round(probability * _BAR_CHARS)
        start = f"  {'' if lines else name:<{_INDENT - 2}}{_named(answer, label):<{wide}}"
        lines.append(f"{start} {probability:6.1%}  {bar}".rstrip())
    if isinstance(answer, Veracity):
        lines.append(f"  {'':<{_INDENT - 2}}{CAVEAT}")
    return lines


def report_json(name: str, title: str | None, report: Report, article: Mapping[str, Any] | None = None) -> str:
    """A report as one line of JSON: ``{"file": ..., "title": ..., "summary": {...}, ...}``.

    ``article`` is what was read in a page; it comes last, under its own key.
    """
    return _line({"file": name, "title": title, **report.to_dict(), **({"article": article} if article else {})})


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
        if served.lineage:
            lines.append(f"    {clean(_came_from(served.lineage))}")
    for task, labels in status.labels.items():
        lines += textwrap.wrap(
            f"{task}: {' | '.join(map(clean, labels))}", 98, initial_indent="  ", subsequent_indent="    "
        )
    return "\n".join(lines) + "\n"


def _came_from(lineage: Lineage) -> str:
    """Where a model comes from, and its best-known test figure beside the baseline's."""
    name = next((name for name in _HEADLINES if name in lineage.test), "")
    beside = f", baseline {lineage.baseline[name]:.4g}" if name in lineage.baseline else ""
    registered = f"version {lineage.registered_version} of {lineage.registered_model}"
    parts = (
        registered if lineage.registered_version else "",
        f"run {lineage.run_id}" if lineage.run_id else "",
        f"base {lineage.base}" if lineage.base else "",
        f"code {lineage.git_revision}" if lineage.git_revision else "",
        f"test {name} {lineage.test[name]:.4g}{beside}" if name else "no test figures are known",
    )
    return f"from {'; '.join(filter(None, parts))}" if any(parts[:-1]) else parts[-1]


def status_json(server: str, status: ServerStatus) -> str:
    """A server's state as one line of JSON."""
    return _line({"server": server, **status.to_dict()})


def _line(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False) + "\n"
