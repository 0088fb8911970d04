"""What a table of articles holds, gathered in one pass over its parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from infolens.contract import Task

from .cleaning import fingerprint, split_of
from .leakage import LeakageCounter
from .near_duplicates import Pair, SplitGuard
from .schema import SCHEMAS, SPLIT_NAMES, Problem, check_columns, problems
from .stream import stream_table

_WORD: Final = re.compile(r"\w+")
_KEPT_WORDS: Final = 500_000
_KEPT_PROBLEMS: Final = 20


@dataclass(kw_only=True)
class TableStatistics:
    """Counts over a table; memory is bounded but for a hash and a signature for each article."""

    rows: int = 0
    problems: int = 0
    first_problems: list[Problem] = field(default_factory=list)
    splits: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    """Words of an article -> articles."""
    answer_lengths: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    """Rows whose article stands in an earlier row of the same split."""
    pairs: list[Pair] = field(default_factory=list)
    """Articles that stand, nearly the same, in two splits."""
    leakage: LeakageCounter | None = None


def gather(
    source: str,
    task: Task,
    *,
    columns: Mapping[str, str] | None = None,
    near_duplicates: bool = True,
) -> TableStatistics:
    """Read a table once and count.

    Args:
        source: What `stream.stream_table` reads.
        task: Whose schema it must fit.
        columns: Our column name -> the source's, where they differ.
        near_duplicates: Whether articles are compared across the splits.

    Raises:
        DataError: It cannot be read, has no rows, or lacks a column.
    """
    schema = SCHEMAS[task]
    found = TableStatistics(leakage=LeakageCounter(schema) if schema.labels else None)
    guard = SplitGuard() if near_duplicates else None
    seen: set[str] = set()
    for part in stream_table(source, columns):
        if not found.rows:
            check_columns(part, task, source)
        bad = list(problems(part, task, first_row=found.rows + 1))
        found.problems += len(bad)
        found.first_problems += bad[: _KEPT_PROBLEMS - len(found.first_problems)]
        rows = {problem.row - 1 for problem in bad}
        good = part[[index not in rows for index in range(found.rows, found.rows + len(part))]]
        found.rows += len(part)
        _count(found, good, task, guard, seen)
    return found


def _count(found: TableStatistics, frame: pd.DataFrame, task: Task, guard: SplitGuard | None, seen: set[str]) -> None:
    schema = SCHEMAS[task]
    if found.leakage is not None:
        found.leakage.add(frame)
        found.labels.update(frame[schema.answer])
    else:
        found.answer_lengths.update(len(text.split()) for text in frame[schema.answer])
    if "source" in frame:
        found.sources.update(frame["source"].fillna("").astype(str))
    splits = frame["split"].tolist() if "split" in frame else [None] * len(frame)
    for row, text, named in zip(frame.index, frame[schema.body], splits, strict=True):
        words = _WORD.findall(text.lower())
        found.lengths[len(words)] += 1
        found.words.update(words)
        split = SPLIT_NAMES[str(named).lower()] if named else split_of(text, validation=0.1, test=0.1)
        found.splits[split] += 1
        mark = split + fingerprint(text)
        if mark in seen:
            found.duplicates += 1
        elif guard is not None:
            found.pairs += guard.add(int(row), text, split)
        seen.add(mark)
    if len(found.words) > _KEPT_WORDS:
        found.words = Counter(dict(found.words.most_common(_KEPT_WORDS // 2)))


def quantiles(counts: Counter[int], shares: Iterable[float]) -> list[int]:
    """The values below which the given shares of the counted ones lie."""
    ordered, total = sorted(counts.items()), counts.total()
    result = []
    for share in shares:
        reached = 0
        for value, count in ordered:
            reached += count
            if reached >= share * total:
                result.append(value)
                break
    return result
