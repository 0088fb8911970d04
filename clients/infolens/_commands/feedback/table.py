"""How good the models are, as a table for people. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import Final

from infolens._commands.usage import clean
from infolens._feedback.quality import Agreement, Drift, Estimate, ModelQuality, Quality

_WIDTH: Final = 79
_MEASURE, _VALUE = 24, 11
_FEW: Final = 20
"""From fewer ratings nothing can be said; the page of the quality draws the line there too."""
_BATCHES_SHOWN: Final = 3
_BAR_CHARS: Final = 20
Say = Callable[[float], str]


def quality_text(quality: Quality) -> str:
    """A table of at most 79 columns: a block for each model, what is served now first."""
    lines = [f"The last {quality.days:,} days, {quality.made:%Y-%m-%d %H:%M %Z}".rstrip()]
    if quality.stale_s is not None:
        lines.append(f"The server cannot reach its ratings now: this is {_ago(quality.stale_s)} old.")
    if not quality.models:
        lines.append("No model has answers that could be rated: nothing was asked, or the server keeps no feedback.")
    for one in sorted(quality.models, key=lambda one: not one.serving):
        lines += ["", *_block(one)]
    if quality.models:
        lines += ["", *_wrapped(quality.bias)]
    return "\n".join(lines) + "\n"


def _block(one: ModelQuality) -> Iterator[str]:
    served = "served now" if one.serving else "no longer served"
    yield from _wrapped(f"{one.task}: {one.model} {one.revision}, {served}, {_count(one.predictions, 'answer')}")
    measures = (
        ("satisfaction, of 5", one.satisfaction, _stars, "rating"),
        ("accuracy", one.accuracy, _percent, "rating"),
        ("accuracy where shown", one.shown_accuracy, _percent, "rating"),
        ("answers with a label", one.coverage, _percent, "answer"),
        ("accuracy, blind audit", one.audit, _percent, "audit"),
    )
    if all(estimate is None for _, estimate, _, unit in measures if unit != "answer"):
        yield from _row("ratings", "none", "nobody has rated these answers")
    for measure, estimate, say, unit in measures:
        if estimate is not None:
            yield from _row(measure, *_said(estimate, say, unit))
    if one.audit_passed:
        yield from _row("  did not know", f"{one.audit_passed:,}", "")
    most = max(one.stars, default=0) or 1
    for stars, count in reversed([*enumerate(one.stars, start=1)]):
        yield from _row(f"  {_count(stars, 'star')}", f"{count:,}", "#" * round(count / most * _BAR_CHARS))
    say = _stars if one.satisfaction is not None else _percent
    for batch in [batch for batch in one.batches if not batch.audit][-_BATCHES_SHOWN:]:
        days = f"{batch.first_day:%d %b} - {batch.last_day:%d %b}"
        yield from _row(f"  batch {days}", *_said(batch.estimate, say, "rating"))
    if one.trusted is not None or one.accuracy is not None or one.audit is not None:
        yield from _row("trusted", _TRUSTED[one.trusted], clean(one.trusted_why))
    for what, drift in one.drift.items():
        yield from _row(f"drift of {_DRIFTS.get(what, clean(what))}", clean(drift.state), _drift(drift))
    if not one.drift and one.drift_why:
        yield from _row("drift", "unknown", clean(one.drift_why))
    if one.agreement is not None:
        yield from _row("raters agree", *_agreement(one.agreement))


_TRUSTED: Final = {True: "yes", False: "no", None: "open"}
_DRIFTS: Final = {"label": "labels", "words": "lengths", "vocabulary": "words"}


def _said(estimate: Estimate, say: Say, unit: str) -> tuple[str, str]:
    if estimate.count < _FEW:
        return "?", f"{_count(estimate.count, unit)}: too few to say"
    between = f"between {say(estimate.low)} and {say(estimate.high)}"
    return say(estimate.value), f"{between}, from {_count(estimate.count, unit)}"


def _drift(drift: Drift) -> str:
    index = "" if drift.psi is None else f"index {drift.psi:.2f}, "
    return f"{index}from {drift.seen:,}"


def _agreement(agreement: Agreement) -> tuple[str, str]:
    alpha = "" if agreement.alpha is None else f", alpha {agreement.alpha:.2f}"
    value = "?" if agreement.same is None else _percent(agreement.same)
    return value, f"{agreement.raters:,} raters of {_count(agreement.answers, 'answer')}{alpha}"


def _row(measure: str, value: str, words: str) -> list[str]:
    start = f"  {measure:<{_MEASURE}} {value:>{_VALUE}}  "
    wrapped = textwrap.wrap(words, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
    return wrapped or [start.rstrip()]


def _wrapped(words: str) -> list[str]:
    return textwrap.wrap(clean(words), _WIDTH)


def _stars(value: float) -> str:
    return f"{value:.1f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _count(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'s' * (count != 1)}"


def _ago(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes:,} minute{'s' * (minutes != 1)}" if minutes else f"{seconds:.0f} s"
