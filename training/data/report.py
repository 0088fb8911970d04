"""``data check``: everything about a table that training would suffer from, as text for people and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from infolens.contract import Task

from .drift import Drift
from .files.cells import shortened
from .statistics import TableStatistics, quantiles


def as_json(task: Task, found: TableStatistics, drift: Drift | None = None) -> dict[str, Any]:
    """The findings as one document."""
    leakage = found.leakage
    return {
        "task": task.value,
        "rows": found.rows,
        "problems": found.bad.values,
        "bad_rows": found.bad.rows,
        "problem_kinds": found.bad.document(),
        "first_problems": [asdict(problem) for problem in found.bad.first],
        "splits": dict(found.splits),
        "labels": dict(found.labels),
        "label_problem": found.label_problem,
        "label_advice": found.label_advice,
        "unknown_labels": dict(found.bad.unknown_labels.most_common()),
        "markup": found.markup.document(),
        "markup_after_cleaning": found.markup_left.document(),
        "sources": dict(found.sources.most_common(50)),
        "article_words": _spread(found.lengths),
        "summary_words": _spread(found.answer_lengths),
        "vocabulary": len(found.words),
        "duplicates_within_a_split": found.duplicates,
        "near_duplicates_across_splits": _meetings(found),
        "leaking_columns": [asdict(f) | {"leaks": f.leaks} for f in leakage.columns_found()] if leakage else [],
        "leaking_words": [asdict(f) for f in leakage.words_found()] if leakage else [],
        "drift": asdict(drift) if drift else None,
    }


def _spread(lengths: Counter[int]) -> dict[str, int]:
    names, shares = ("p5", "p50", "p95", "max"), (0.05, 0.5, 0.95, 1.0)
    return dict(zip(names, quantiles(lengths, shares), strict=True)) if lengths else {}


def _meetings(found: TableStatistics) -> Counter[str]:
    return Counter({f"{split} repeats {kept_in}": rows for (split, kept_in), rows in found.shared.items()})


def as_text(source: str, task: Task, found: TableStatistics, drift: Drift | None = None) -> str:
    """The findings for people; each that needs attention begins with ``!``."""
    lines = [f"{source}: {found.rows:,} rows for {task.value}", ""]
    lines += _problems(found)
    lines.append("splits    " + _counts(found.splits))
    if found.labels:
        lines.append("labels    " + _counts(found.labels))
    if found.label_problem:
        lines.append(f"! training refuses them: {found.label_problem}")
    if found.label_advice:
        lines.append(f"{'!' if found.bad.unknown_labels else '?'} {found.label_advice}")
    if found.sources:
        lines.append("sources   " + _counts(found.sources))
    for name, lengths in (("article", found.lengths), ("summary", found.answer_lengths)):
        if lengths:
            spread = _spread(lengths)
            lines.append(
                f"{name:<10}{spread['p50']} words in the middle, 5 % below {spread['p5']}, 5 % above {spread['p95']}, "
                f"at most {spread['max']}"
            )
    lines.append(f"words     {len(found.words):,} different ones")
    lines += _markup(found)
    lines += _copies(found)
    lines += _leakage(found)
    if drift is not None:
        lines += ["", "drift from --against:"]
        lines += [f"! {sentence}" for sentence in drift.verdict()] or ["  none that matters"]
        lines.append(
            f"  distances: labels {drift.labels:.3f}, length {drift.length:.3f}, words {drift.vocabulary:.3f}, "
            f"new words {drift.unknown_words:.3f}"
        )
    return "\n".join(lines)


def _problems(found: TableStatistics) -> list[str]:
    bad = found.bad
    if not bad:
        return []
    counted = "1 row does" if bad.rows == 1 else f"{bad.rows:,} rows do"
    lines = [f"! {counted} not fit; training refuses them, 'data prepare --skip-bad-rows' drops them:"]
    return [*lines, *(f"    {line}" for line in bad.lines()), ""]


def _markup(found: TableStatistics) -> list[str]:
    if not (found.markup.rows or found.markup_left.rows):
        return []
    left = found.markup_left
    after = (
        f"{left.rows:,} {'row still holds' if left.rows == 1 else 'rows still hold'} some: {left.told()}"
        if left.rows
        else "no row holds any"
    )
    return [
        f"? HTML in {found.markup.rows:,} of {found.rows:,} rows: {found.markup.told()}",
        f"  training and 'data prepare' clean the texts; after it {after}",
    ]


def _counts(counts: Counter[str]) -> str:
    total = max(1, counts.total())
    shown = [f"{shortened(name) or '(none)'} {count:,} ({count / total:.0%})" for name, count in counts.most_common(12)]
    more = len(counts) - 12
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _copies(found: TableStatistics) -> list[str]:
    meetings = _meetings(found)
    if not (found.duplicates or meetings):
        return ["copies    none"]
    lines = [""]
    if found.duplicates:
        lines.append(f"! {found.duplicates:,} rows repeat an article of their own split")
    lines += [f"! {count:,} articles: {meeting}, word for word or nearly" for meeting, count in meetings.most_common()]
    return [*lines, "  training and 'data prepare' keep the test split's, then the validation split's"]


def _leakage(found: TableStatistics) -> list[str]:
    if found.leakage is None:
        return []
    lines = ["", "does something beside the writing tell the label?"]
    columns = found.leakage.columns_found()
    for finding in columns[:6]:
        mark = "!" if finding.leaks else " "
        lines.append(
            f"{mark} column {finding.column!r} alone ({finding.values} values) is right in {finding.accuracy:.0%}; the "
            f"most frequent label in {finding.majority:.0%}"
        )
    words = found.leakage.words_found()
    if words:
        lines.append(
            "? words that nearly give the label away; a topic's own are fine, agencies and boilerplate are not:"
        )
    for word in words[:12]:
        where = " at the beginning" if word.word.startswith("^") else " at the end" if word.word.endswith("$") else ""
        lines.append(
            f"    {word.word.strip('^$')!r}{where}: {word.purity:.0%} of {word.articles:,} articles are {word.label} "
            f"({word.base:.0%} of all)"
            + (f"; cleaning takes it out of {word.taken_out:.0%}" if word.taken_out > 0.5 else "")
        )
    if not (columns or words):
        lines.append("  nothing that was found")
    return lines
