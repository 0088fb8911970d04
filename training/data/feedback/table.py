"""``data from-feedback``: exports of feedback to a table to learn from.

A row is an article with its right label, or with a good summary, with consent of the person who said so. It has the
columns that `schema` asks for, `weight`, and where it comes from. An article stands in one split, by a hash of its
words as everywhere else, so that a table of before, and one of later, put it in the same.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from infolens.contract import CONTRACTS, Task
from training.data.cleaning import clean_text, fingerprint, split_of
from training.data.policy import CopyFilter
from training.data.prepare import placed, require_new, write_parquet
from training.data.schema import SPLITS, WEIGHT, schema_of
from training.errors import DataError

from .judging import Verdict, Voices, judge_labels, judge_texts
from .reading import Rated, read_export

logger = logging.getLogger(__name__)

SOURCES: Final = {True: "feedback: audit", False: "feedback: volunteered"}
"""The column ``source``, by whether an audit is among the voices for the answer; figures of a run are told by it."""
_TOLD_EVERY: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """How articles are shared out over the splits."""

    validation: float = 0.1
    """Share of the articles for validation."""
    test: float = 0.1
    """The same for the test split."""
    near_copies: bool = True
    """An article leaves a split also where another split has nearly the same one."""


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """An article about which people disagree."""

    predictions: tuple[str, ...] = field(repr=False)
    """The ids of what they rated."""
    said: dict[str, float]
    became: str
    """The label that is learned or how many texts are; or why nothing is."""


@dataclass(kw_only=True)
class Learned:
    """What came of some exports."""

    frame: pd.DataFrame
    counts: Counter[str]
    """``read``, ``left out: ...``, ``merged ...`` and ``written ...``."""
    conflicts: list[Conflict]

    def document(self) -> dict[str, Any]:
        """As JSON has it; no text of an article is in it."""
        conflicts = [
            {"predictions": list(one.predictions), "said": one.said, "became": one.became} for one in self.conflicts
        ]
        return {"counts": dict(self.counts), "conflicts": conflicts}


def learn(files: Sequence[Path], task: Task, voices: Voices, splitting: Splitting) -> Learned:
    """Make the table of some exports.

    Args:
        files: What `read_export` reads.
        task: Whose ratings are taken.
        voices: How they count; without ``labels`` the task's own count where no other label is there.
        splitting: Of the articles over the splits.

    Raises:
        DataError: A file cannot be read or is no export, the shares are none, or nothing can be learned.
    """
    schema, counts = schema_of(task), Counter[str]()
    articles = _articles(files, task, counts)
    if schema.labelled and not voices.labels:
        voices = _with_labels(voices, task, articles)
    judge = judge_labels if schema.labelled else judge_texts
    raters = _Raters()
    lessons: list[dict[str, Any]] = []
    conflicts = []
    for rows in articles.values():
        verdict = judge(rows, voices)
        if verdict.said:
            conflicts.append(_conflict(rows, verdict, labelled=schema.labelled))
        if not verdict.lessons:
            counts[f"left out: {verdict.reason}"] += len(rows)
            continue
        counts["merged: ratings of the same article"] += max(0, len(rows) - len(verdict.lessons))
        lessons += _rows(rows, verdict, schema.body, schema.answer, splitting, raters)
    frame = pd.DataFrame(lessons)
    if len(frame):
        if not schema.labelled:
            frame = frame.drop(columns="title")
        copies = CopyFilter(schema, near=splitting.near_copies)
        copies.add(frame)
        counts.update(f"left out: {copy}" for copy in copies.dropped.values())
        frame = frame.drop(index=list(copies.dropped)).reset_index(drop=True)
    if frame.empty:
        told = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
        raise DataError(
            f"{', '.join(map(str, files))}: nothing to learn for {task.value} ({told}). A rating is learned from where "
            "its author has ticked the consent, and the server keeps texts (--feedback-texts)"
        )
    for split in SPLITS:
        counts[f"written: {split}"] = int((frame["split"] == split).sum())
    if schema.labelled:
        counts.update(f"written: {schema.answer} {label}" for label in frame[schema.answer])
    counts["written"] = len(frame)
    return Learned(frame=frame, counts=+counts, conflicts=conflicts)


def write_learned(files: Sequence[Path], task: Task, out: Path, voices: Voices, splitting: Splitting) -> Learned:
    """Make the table of some exports and write it; it is there only when it is whole.

    Raises:
        DataError: As `learn`.
        StorageError: ``out`` is there already, is no parquet file, or cannot be written.
    """
    require_new(out)
    learned = learn(files, task, voices, splitting)
    with placed(out) as partial:
        write_parquet(partial, [learned.frame])
    return learned


def _articles(files: Sequence[Path], task: Task, counts: Counter[str]) -> dict[str, list[Rated]]:
    """What was said of each article, by a mark of its words; ratings that are not learned from are counted."""
    articles: dict[str, list[Rated]] = defaultdict(list)
    marks: dict[str, str] = {}  # an article is cleaned once, however often it was rated
    seen: set[bytes] = set()
    for file in files:
        for row in read_export(file):
            counts["read"] += 1
            if not counts["read"] % _TOLD_EVERY:
                logger.info("%s ratings read", f"{counts['read']:,}")
            reason = _left_out(row, task)
            # Exports overlap: a later one has most of an earlier one again.
            again = hashlib.blake2b(repr(row.identity).encode(), digest_size=16).digest()
            if not reason and again in seen:
                reason = "stands there twice"
            if reason:
                counts[f"left out: {reason}"] += 1
                continue
            seen.add(again)
            exact = fingerprint(row.text)
            if exact not in marks:
                marks[exact] = fingerprint(clean_text(row.text))
            articles[marks[exact]].append(row)
    return articles


def _left_out(row: Rated, task: Task) -> str:
    if row.task != task.value:
        return "of another task"
    if not row.consent:
        return "without consent"
    return "" if row.text.strip() else "without the article's text"


def _with_labels(voices: Voices, task: Task, articles: dict[str, list[Rated]]) -> Voices:
    usual = CONTRACTS[task].default_labels
    found = {label for rows in articles.values() for row in rows for label in (row.label, row.right_label) if label}
    return replace(voices, labels=usual) if found.issubset(usual) else voices


class _Raters:
    """People by numbers, in the order in which they come: their names stay in the export."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def name(self, row: Rated) -> str:
        return f"r{self._numbers.setdefault((row.key, row.rater), len(self._numbers) + 1)}"


def _rows(
    rows: Sequence[Rated], verdict: Verdict, body: str, answer: str, splitting: Splitting, raters: _Raters
) -> list[dict[str, Any]]:
    latest = max(rows, key=lambda row: row.rated)  # of texts that differ in blanks and signs only
    try:
        split = split_of(latest.text, validation=splitting.validation, test=splitting.test)
    except ValueError as error:
        raise DataError(str(error)) from error
    return [
        {
            "title": latest.title,
            body: latest.text,
            answer: lesson.answer,
            "source": SOURCES[lesson.by.audit],
            "split": split,
            WEIGHT: lesson.weight,
            "voices": lesson.voices,
            "prediction": lesson.by.prediction,
            "rater": raters.name(lesson.by),
            "model": lesson.by.model,
            "revision": lesson.by.revision,
            "date": lesson.by.rated[:10],
        }
        for lesson in verdict.lessons
    ]


def _conflict(rows: Sequence[Rated], verdict: Verdict, *, labelled: bool) -> Conflict:
    became = verdict.reason or (verdict.lessons[0].answer if labelled else f"{len(verdict.lessons)} texts")
    return Conflict(
        predictions=tuple(dict.fromkeys(row.prediction for row in rows)), said=dict(verdict.said), became=became
    )
