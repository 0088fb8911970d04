"""The documents of an evaluation: ``evaluation.json``, ``scores.parquet``, ``index.html`` and ``table.md``.

The JSON document has ``schema_version`` and no text of an article or an answer; the scores have a row for each row that
was scored, by its hash, so that two evaluations can be compared row by row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import SettingError
from training.runs.output import write_whole

SCHEMA_VERSION: Final = 1
KIND: Final = "infolens served evaluation"
DOCUMENT: Final = "evaluation.json"
SCORES: Final = "scores.parquet"
TABLE: Final = "table.md"

SHARES: Final = frozenset(
    {"accuracy", "macro_f1", "coverage", "foreign", "cut", "unsupported", "novel_1", "novel_2", "novel_3", "novel_4"}
    | {"mean_probability", "mean_probability_of_the_true_label", "baseline_accuracy", "baseline_macro_f1"}
    | {"signal_coverage", "signal_accuracy"}
)
"""Figures from 0 to 1 that are shown in percent; the others are shown as they are."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """An evaluation that was read back."""

    document: Mapping[str, Any]
    scores: pd.DataFrame | None
    """None where the file is not beside the document."""
    path: Path

    @property
    def task(self) -> Task:
        """Whose model it was."""
        return Task(self.document["task"])

    @property
    def revision(self) -> str:
        """Which files the model was served from; empty where the server did not say."""
        return str(self.document["served"]["revision"])


def write_scores(folder: Path, scores: pd.DataFrame) -> None:
    """Write the scores of the rows, beside their place first."""
    partial = folder / f"{SCORES}.partial"
    numbers = dict.fromkeys(scores.select_dtypes("float64").columns, "float32")
    scores.astype(numbers).to_parquet(partial, index=False, compression="zstd")
    partial.replace(folder / SCORES)


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Write the JSON document and the Markdown table."""
    write_whole(folder / DOCUMENT, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    write_whole(folder / TABLE, markdown(document))


def read_report(path: Path) -> Report:
    """Read an evaluation from its folder, or from its JSON document.

    Raises:
        SettingError: There is none, or it is of a schema that this version does not know.
    """
    file = path / DOCUMENT if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        kind, version = document["kind"], document["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"{path}: holds no evaluation ({error}); name a folder that 'python -m training evaluate' has written"
        ) from error
    if kind != KIND or version != SCHEMA_VERSION:
        raise SettingError(
            f"{file}: is a {kind!r} of schema version {version}; this version reads {KIND!r} of version "
            f"{SCHEMA_VERSION}: evaluate again"
        )
    scores = file.parent / SCORES
    return Report(document=document, scores=pd.read_parquet(scores) if scores.exists() else None, path=file)


def markdown(document: Mapping[str, Any]) -> str:
    """The headline figures as a table for a README."""
    names = HEADLINES[CONTRACTS[Task(document["task"])].answers]
    rows = [["", *(words for _, words in names)], ["---"] * (len(names) + 1)]
    for title, figures in systems_of(document):
        rows.append([title, *(shown(name, figures[name]) if name in figures else "" for name, _ in names)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    told = [comparison(document)] if document["compared"] else []
    if told and (gains := gains_of(document)):
        told = [f"{told[0]}: {'; '.join(gains)}"]
    return "\n".join([*lines, "", sentence(document), *(f"{one}." for one in told)]) + "\n"


def comparison(document: Mapping[str, Any]) -> str:
    """What a document is compared with, in words; or that it is not, since too few rows are common."""
    found = document["compared"]
    if not found["gains"]:
        return f"Not compared: {found['rows']:,} rows in common, {found['needed_rows']:,} are needed"
    other = found["with"]
    settings = "".join(f", {name} {value}" for name, value in other["settings"].items())
    who = f"{other['model']} of revision {other['revision'] or 'unknown'}{settings}, given the {other['read']}"
    return f"On {found['rows']:,} rows, beside {who} (measured {found['date'][:10]})"


def gains_of(document: Mapping[str, Any]) -> list[str]:
    """The differences from what a document is compared with, such as ``ROUGE-1 +0.4 (-0.1 to +0.9)``, if any."""
    words = dict(HEADLINES[CONTRACTS[Task(document["task"])].answers])
    return [f"{words[name]} {gained(name, one)}" for name, one in document["compared"]["gains"].items()]


def gained(name: str, figure: Mapping[str, float]) -> str:
    """A difference with its interval, in the units of `shown`."""
    scale = 100.0 if name in SHARES else 1.0
    digits = 3 if name == "calibration_error" else 1
    value, low, high = (f"{scale * figure[part]:+.{digits}f}" for part in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


HEADLINES: Final[dict[AnswerKind, tuple[tuple[str, str], ...]]] = {
    AnswerKind.LABELS: (
        ("accuracy", "accuracy, %"),
        ("macro_f1", "macro-F1, %"),
        ("calibration_error", "calibration error"),
        ("mean_probability", "mean probability, %"),
    ),
    AnswerKind.TEXT: (
        ("rouge1", "ROUGE-1"),
        ("rouge2", "ROUGE-2"),
        ("rougeLsum", "ROUGE-Lsum"),
        ("words", "words"),
        ("foreign", "with a foreign sentence, %"),
        ("novel_2", "new bigrams, %"),
        ("coverage", "coverage, %"),
        ("density", "density"),
    ),
}
"""The figures that stand first, with their names for people."""


def systems_of(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Mapping[str, float]]]]:
    """What was scored on the same rows: its name and its figures."""
    figures = document["figures"]
    yield f"served ({document['served']['model'] or document['task']})", figures["served"]["figures"]
    for name in ("baseline", "lead", "first_sentences", "oracle"):
        if name in figures:
            yield figures[name]["name"], figures[name]["figures"]


def shown(name: str, figure: Mapping[str, float]) -> str:
    """A figure with its interval, such as ``76.1 (74.2 to 78.0)``; shares in percent."""
    scale = 100.0 if name in SHARES else 1.0
    digits = 3 if name == "calibration_error" else 1
    value, low, high = (f"{scale * figure[part]:.{digits}f}" for part in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def sentence(document: Mapping[str, Any]) -> str:
    """What was measured, in a sentence."""
    rows = document["rows"]
    what = "title and served summary" if document["read"] == "summary" else "the article as the table has it"
    data = ", ".join(str(file["name"]) for file in document["data"])
    refused = f"; refused: {rows['refused']:,}" if rows["refused"] else ""
    refused += f"; repetitions left out: {rows['repeated']:,}" if rows["repeated"] else ""
    return (
        f"{rows['scored']:,} rows ({rows['articles']:,} articles) of {data}, split {document['split']}{refused}. The "
        f"model was given: {what}. In brackets: 95 % of {document['bootstrap']['draws']:,} bootstrap draws, by article."
    )
