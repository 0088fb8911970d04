"""What a table of articles holds, gathered in one pass over its parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from infolens.contract import Task

from .cleaning import fingerprint, split_of
from .labels import label_problem, label_rule
from .leakage import LeakageCounter
from .near_duplicates import Pair, SplitGuard
from .schema import SPLIT_NAMES, Problem, Schema, check_columns, problems, schema_of
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
    split_labels: dict[str, Counter[str]] = field(default_factory=dict)
    """Split -> label -> rows; empty where the answers are texts."""
    label_problem: str = ""
    """Why nothing can be learned from these labels; empty where it can."""
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

    @property
    def labels(self) -> Counter[str]:
        """Rows of each label, over all splits."""
        return sum(self.split_labels.values(), Counter())


def gather(
    source: str,
    task: Task,
    *,
    columns: Mapping[str, str] | None = None,
    near_duplicates: bool = True,
    labels: Sequence[str] = (),
) -> TableStatistics:
    """Read a table once and count.

    Args:
        source: What `stream.stream_table` reads.
        task: Whose schema it must fit.
        columns: Our column name -> the source's, where they differ.
        near_duplicates: Whether articles are compared across the splits.
        labels: What a label may be, and how the table writes it (see `labels.label_rule`); empty takes any.

    Raises:
        DataError: It cannot be read, has no rows, or lacks a column.
        SettingError: ``labels`` do not fit together.
    """
    schema, rule = schema_of(task), label_rule(labels)
    found = TableStatistics(leakage=LeakageCounter(schema) if schema.labelled else None)
    guard = SplitGuard() if near_duplicates else None
    seen: set[str] = set()
    for part in stream_table(source, columns):
        if not found.rows:
            check_columns(part, task, source)
        bad = list(problems(part, task, rule, first_row=found.rows + 1))
        found.problems += len(bad)
        found.first_problems += bad[: _KEPT_PROBLEMS - len(found.first_problems)]
        rows = {problem.row - 1 for problem in bad}
        good = part[[index not in rows for index in range(found.rows, found.rows + len(part))]]
        found.rows += len(part)
        if schema.labelled:
            good = good.assign(**{schema.answer: good[schema.answer].map(rule.read)})
        _count(found, good, schema, guard, seen)
    if schema.labelled:
        found.label_problem = label_problem(task, found.split_labels, rule)
    return found


def _count(
    found: TableStatistics, frame: pd.DataFrame, schema: Schema, guard: SplitGuard | None, seen: set[str]
) -> None:
    if found.leakage is not None:
        found.leakage.add(frame)
    else:
        found.answer_lengths.update(len(text.split()) for text in frame[schema.answer])
    if "source" in frame:
        found.sources.update(frame["source"].fillna("").astype(str))
    splits = frame["split"].tolist() if "split" in frame else [None] * len(frame)
    for row, text, named, answer in zip(frame.index, frame[schema.body], splits, frame[schema.answer], strict=True):
        words = _WORD.findall(text.lower())
        found.lengths[len(words)] += 1
        found.words.update(words)
        split = SPLIT_NAMES[str(named).lower()] if named else split_of(text, validation=0.1, test=0.1)
        found.splits[split] += 1
        if schema.labelled:
            found.split_labels.setdefault(split, Counter())[answer] += 1
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
