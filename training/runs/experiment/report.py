"""The sections of a report: a sentence and tables for each task, which the page and the Markdown share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infolens.contract import CONTRACTS
from training.runs.pages.text import escaped
from training.runs.promotion.versions import (
    BASELINE_WORDS,
    PROMOTED_AT,
    PROMOTED_BECAUSE,
    PROMOTED_BY,
    REFUSED_BECAUSE,
    Version,
    shown,
)
from training.runs.search.board import figure

from .tell import FIGURES, Run, TaskTold, Told, short

_MOST_SETTINGS: Final = 7
"""Settings that have a column each; the rest of them stands in one column."""
_MOST_VERSIONS: Final = 20
WORDS: Final = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "calibration_error": "calibration error",
    "rougeLsum": "ROUGE-Lsum",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "out_of_domain": "held-out sources",
}
"""What figures are called."""
NOTHING: Final = "–"
NUMBER: Final = "no."
"""The column of a run's number, by which the picture names it."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose cells are texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """What is told of one task."""

    title: str
    sentence: str
    tables: tuple[Table, ...]


def sections(told: Told) -> list[Section]:
    """A section for each task."""
    return [
        Section(
            title=one.task.value,
            sentence=sentence(one),
            tables=tuple(
                table for table in (_runs(one), _settings(one), _registry(one), _data(one), _others(one)) if table.rows
            ),
        )
        for one in told.tasks
    ]


def markdown(told: Told) -> str:
    """The whole report as Markdown, without the pictures."""
    lines = [f"# {escaped(title(told))}", "", escaped(origin(told))]
    for section in sections(told):
        lines += ["", f"## {section.title}", "", escaped(section.sentence)]
        for table in section.tables:
            lines += ["", f"### {table.title}", ""]
            if table.note:
                lines += [table.note, ""]
            lines += [_line(table.columns), _line(["---"] * len(table.columns)), *(_line(row) for row in table.rows)]
    if not told.tasks:
        lines += ["", NO_RUNS]
    return "\n".join(lines) + "\n"


NO_RUNS: Final = "There is no run yet: 'python -m training fit' makes one."


def title(told: Told) -> str:
    """What the report is of."""
    return f"Experiment {told.experiment}"


def origin(told: Told) -> str:
    """Where and when it was read."""
    return f"As MLflow had it on {told.when:%Y-%m-%d at %H:%M} UTC ({told.store})."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def sentence(one: TaskTold) -> str:
    """What came of a task's runs, in a few sentences."""
    words = WORDS[one.name]
    parts = []
    if one.runs:
        best = one.runs[0]
        count = len(one.comparable)
        among = (
            f"the best of {count} runs on the same test articles" if count > 1 else "the only run on its test articles"
        )
        parts.append(f'"{best.name}" is {among}: {words} {shown(best.figures[one.name])}{_beside(one, best)}.')
        if len(one.runs) > count:
            more = len(one.runs) - count
            were, do = ("was", "does") if more == 1 else ("were", "do")
            parts.append(f"{more} more {were} tested on other articles and {do} not compare.")
    else:
        parts.append("No run has test figures.")
    champion = one.champion
    if champion is None:
        parts.append("There is no champion.")
    else:
        figure = f" ({words} {shown(champion.figure)})" if champion.figure is not None else ""
        parts.append(f"The champion is version {champion.number}{figure}.")
    if minutes := [run.minutes for run in (*one.runs, *one.others) if run.minutes is not None]:
        parts.append(f"All of it took {_minutes(sum(minutes))}.")
    return " ".join(parts)


def _beside(one: TaskTold, run: Run) -> str:
    baseline = run.baseline.get(one.name)
    if baseline is None:
        return ", with no baseline recorded"
    what = BASELINE_WORDS[CONTRACTS[one.task].answers]
    side = "above" if run.figures[one.name] > baseline else "not above"
    return f", {side} the baseline's {shown(baseline)} ({what})"


def _runs(one: TaskTold) -> Table:
    """Every run with figures: these beside the baseline's, and what it cost."""
    names = [
        name
        for name in (*FIGURES[CONTRACTS[one.task].answers], "out_of_domain")
        if any(name in run.figures for run in one.runs)
    ]
    beside = {name for name in names[:2] if any(name in run.baseline for run in one.runs)}
    letters = {source.key: chr(ord("A") + place % 26) for place, source in enumerate(one.sources)}
    columns = ["run", NUMBER, "version"]
    for name in names:
        columns += [WORDS[name], "baseline"] if name in beside else [WORDS[name]]
    columns += ["data", "minutes", "memory, MB", "started (UTC)"]
    rows = []
    for number, run in enumerate(one.runs, start=1):
        cells = [run.name, str(number), _version(one, run)]
        for name in names:
            cells.append(shown(run.figures.get(name)) or NOTHING)
            if name in beside:
                cells.append(shown(run.baseline.get(name)) or NOTHING)
        cells += [letters.get(run.source.key, NOTHING), _number(run.minutes)]
        cells += [NOTHING if run.memory_mb is None else f"{run.memory_mb:,.0f}", f"{run.started:%Y-%m-%d %H:%M}"]
        rows.append(tuple(cells))
    note = "Test figures; the settings in which the runs differ stand below."
    if len(one.runs) > 1 and not one.differing:
        note = "Test figures; the runs have the same settings."
    if len(one.runs) == 1:
        note = "Test figures; with a second run, the settings in which the two differ will stand here."
    if len(one.comparable) < len(one.runs):
        first = f"the first {len(one.comparable)}" if len(one.comparable) > 1 else "the first"
        note += f" The runs after {first} were tested on other articles and do not compare."
    return Table(title="Runs", columns=tuple(columns), rows=tuple(rows), note=note)


def _settings(one: TaskTold) -> Table:
    """The settings in which the runs with figures differ, beside the figure that decides."""
    apart, together = one.differing[:_MOST_SETTINGS], one.differing[_MOST_SETTINGS:]
    rows = []
    for number, run in enumerate(one.runs if one.differing else (), start=1):
        cells = [run.name, str(number), shown(run.figures[one.name]), *(_setting(run, name) for name in apart)]
        if together:
            cells.append(", ".join(f"{name} {_setting(run, name)}" for name in together))
        rows.append(tuple(cells))
    columns = ("run", NUMBER, WORDS[one.name], *apart, *(["other settings"] if together else []))
    return Table(title="Settings", columns=columns, rows=tuple(rows))


def _setting(run: Run, name: str) -> str:
    value = run.settings.get(name, NOTHING)
    if re.fullmatch(r"-?\d+\.\d+|-?[\d.]+e-\d+", value):
        return figure(float(value))
    return (short(value) if value.startswith("/") else value) or "none"


def _version(one: TaskTold, run: Run) -> str:
    if run.version is None:
        return NOTHING
    aliases = next(version.aliases for version in one.versions if version.number == run.version)
    return f"{run.version} ({', '.join(aliases)})" if aliases else str(run.version)


def _registry(one: TaskTold) -> Table:
    """The versions with an alias, and the newest of the others."""
    kept = [version for place, version in enumerate(one.versions) if version.aliases or place < _MOST_VERSIONS]
    rows = [
        (
            str(version.number),
            ", ".join(version.aliases) or NOTHING,
            shown(version.figure) or NOTHING,
            shown(version.baseline) or NOTHING,
            version.built or NOTHING,
            f"{version.recorded:%Y-%m-%d %H:%M}",
            _promoted(version.tags) if PROMOTED_AT in version.tags else _why_not(version) or NOTHING,
        )
        for version in kept
    ]
    left = len(one.versions) - len(kept)
    columns = ("version", "alias", WORDS[one.name], "baseline", "base", "recorded (UTC)", "promoted, or why not")
    note = f"{left} older versions without an alias are left out." if left else ""
    return Table(title="Registry", columns=columns, rows=tuple(rows), note=note)


def _promoted(tags: Mapping[str, str]) -> str:
    when = tags[PROMOTED_AT][:16].replace("T", " ")
    return f"{when} by {tags.get(PROMOTED_BY, 'unknown')}: {tags.get(PROMOTED_BECAUSE, '')}"


def _why_not(version: Version) -> str:
    """Why a version was not promoted: what `promote` said of it, or what its figures say; empty where nothing does."""
    if reason := version.fault or version.tags.get(REFUSED_BECAUSE, ""):
        return reason
    if version.figure is not None and version.baseline is not None and version.figure < version.baseline:
        return f"it is below its baseline, {shown(version.baseline)}"
    return ""


def _data(one: TaskTold) -> Table:
    """Where the articles came from, how many, and the hashes that tell them apart."""
    rows = []
    for place, source in enumerate(one.sources):
        used = sum(run.source.key == source.key for run in (*one.runs, *one.others))
        counts = ", ".join(f"{count:,} {split}" for split, count in source.rows.items())
        hashes = ", ".join(f"{split} {value[:12]}" for split, value in source.hashes.items())
        rows.append((chr(ord("A") + place % 26), source.file, counts or NOTHING, hashes or NOTHING, str(used)))
    return Table(title="Data", columns=("", "file", "articles", "hashes", "runs"), rows=tuple(rows))


def _others(one: TaskTold) -> Table:
    """Runs without test figures: what came of them, and why."""
    rows = tuple(
        (
            run.name,
            run.status.lower(),
            f"{run.started:%Y-%m-%d %H:%M}",
            _number(run.minutes),
            _inside(run) or run.reason,
        )
        for run in one.others
    )
    columns = ("run", "status", "started (UTC)", "minutes", "why")
    return Table(title="Without test figures", columns=columns, rows=rows)


def _inside(run: Run) -> str:
    """The runs inside a run, such as ``4 runs inside: 3 finished, 1 failed``."""
    if not run.children:
        return ""
    counts = ", ".join(f"{count} {status.lower()}" for status, count in sorted(run.children.items()))
    ended = "" if run.status == "FINISHED" else f"; {run.reason}"
    return f"{sum(run.children.values())} runs inside: {counts}{ended}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.1f}" if value >= 1 else f"{value:.2f}"


def _minutes(value: float) -> str:
    return f"{_number(value)} minutes" if value < 120 else f"{value / 60:,.1f} hours"
