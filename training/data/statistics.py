"""What a table of articles holds, gathered in one pass over its parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from infolens.contract import Task

from .advice.problems import BadRows
from .files.cells import column_texts
from .labels import label_problem, spelling_advice, unknown_labels_advice
from .leakage import LeakageCounter
from .markup.remains import Remains
from .policy import CopyFilter, Part, RowPolicy, read_rows, settled
from .schema import Schema, schema_of

_WORD: Final = re.compile(r"\w+")
_KEPT_WORDS: Final = 500_000


@dataclass(kw_only=True)
class TableStatistics:
    """Counts over a table; memory is bounded but for a hash and a signature for each article."""

    rows: int = 0
    bad: BadRows = field(default_factory=BadRows)
    """What does not fit."""
    splits: Counter[str] = field(default_factory=Counter)
    split_labels: dict[str, Counter[str]] = field(default_factory=dict)
    """Split -> label -> rows; empty where the answers are texts."""
    label_problem: str = ""
    """Why nothing can be learned from these labels; empty where it can."""
    label_advice: str = ""
    """The option that would mend labels which are unknown, or spelled in two ways; empty where there are none."""
    markup: Remains = field(default_factory=Remains)
    """Rows that hold pieces of HTML, as they were written..."""
    markup_left: Remains = field(default_factory=Remains)
    """...and after cleaning."""
    sources: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    """Words of an article -> articles."""
    answer_lengths: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    """Rows that repeat an earlier row of their split: its article, and its summary where there are such."""
    shared: Counter[tuple[str, str]] = field(default_factory=Counter)
    """``(split, kept_in)`` -> rows of ``split`` whose article stands in ``kept_in`` too, which keeps it."""
    leakage: LeakageCounter | None = None

    @property
    def labels(self) -> Counter[str]:
        """Rows of each label, over all splits."""
        return sum(self.split_labels.values(), Counter())


def gather(source: str, task: Task, policy: RowPolicy) -> TableStatistics:
    """Read a table once and count.

    Args:
        source: What `reading.read_parts` reads.
        task: Whose schema it must fit.
        policy: What training would make of its rows; the copies are counted by it.

    Raises:
        DataError: It cannot be read, has no rows, or lacks a column.
        SettingError: The policy's labels do not fit together.
    """
    schema = schema_of(task)
    found = TableStatistics(leakage=LeakageCounter(schema) if schema.labelled else None)
    copies = CopyFilter(schema, near=policy.near_copies)
    policy = settled(source, policy)
    for part in read_rows(source, task, policy):
        found.rows += len(part.raw)
        found.bad.add(part.problems)
        _count(found, part, schema)
        copies.add(part.articles)
    found.duplicates = sum(copy.split == copy.kept_in for copy in copies.dropped.values())
    found.shared.update((copy.split, copy.kept_in) for copy in copies.dropped.values() if copy.split != copy.kept_in)
    if schema.labelled:
        found.label_problem = label_problem(task, found.split_labels, policy.rule)
        unknown = unknown_labels_advice(policy.rule, found.bad.unknown_labels)
        found.label_advice = unknown
        if not (unknown or found.label_problem):
            found.label_advice = spelling_advice(task, found.split_labels, policy.rule, unusual=True)
    return found


def _count(found: TableStatistics, part: Part, schema: Schema) -> None:
    """Count the rows that fit, with the text as it was written."""
    raw = part.raw.loc[part.fitting.index]
    splits, answers = part.fitting["split"].tolist(), part.fitting[schema.answer].tolist()
    if found.leakage is not None:
        found.leakage.add(raw.assign(**{schema.answer: answers}), part.fitting)
    else:
        found.answer_lengths.update(len(text.split()) for text in answers)
    read = [name for name in ("title", schema.body, *([] if schema.labelled else [schema.answer])) if name in raw]
    for remains, frame in ((found.markup, raw), (found.markup_left, part.fitting)):
        for row, *texts in zip(frame.index, *(column_texts(frame[name]) for name in read), strict=True):
            remains.add(int(row) + 1, *texts)
    if "source" in raw:
        found.sources.update(column_texts(raw["source"]))
    found.splits.update(splits)
    for text, split, answer in zip(raw[schema.body], splits, answers, strict=True):
        words = _WORD.findall(text.lower())
        found.lengths[len(words)] += 1
        found.words.update(words)
        if schema.labelled:
            found.split_labels.setdefault(split, Counter())[answer] += 1
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
