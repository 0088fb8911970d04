"""Does something beside the writing tell the label: where an article comes from, or a word that only one label has?

A model that learns such a marker is worthless on other collections. Each finding says how often the marker alone would
be right, beside always giving the most frequent label.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from .files.cells import column_texts
from .schema import Schema

_WORD: Final = re.compile(r"\w[\w'’-]*")
_COLUMNS: Final = 50
"""A column with more values than this for each hundred rows is free text, no marker."""
_KEPT: Final = 400_000
"""Words that are counted at a time; the rarest are forgotten beyond it."""
_EDGE: Final = 12
"""Words at both ends of an article whose place is counted too: datelines, bylines and boilerplate stand there."""


@dataclass(frozen=True, kw_only=True)
class ColumnFinding:
    """How well one column alone tells the label."""

    column: str
    values: int
    accuracy: float
    """Share of the articles that is right when each value is given its most frequent label."""
    majority: float
    """The same when all are given the most frequent label."""

    @property
    def leaks(self) -> bool:
        """Whether it removes more than a third of the majority's errors."""
        return self.accuracy - self.majority > (1 - self.majority) / 3


@dataclass(frozen=True, kw_only=True)
class WordFinding:
    """A word that nearly always goes with one label."""

    word: str
    label: str
    articles: int
    """That have it."""
    purity: float
    """Share of them with this label..."""
    base: float
    """...and of all articles."""
    taken_out: float
    """Share of the articles that have it in which cleaning takes it out."""


class LeakageCounter:
    """Counts over the parts of a table; memory is bounded by the words that are kept."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.labels: Counter[str] = Counter()
        self.columns: dict[str, dict[str, Counter[str]]] = {}
        self.words: dict[str, Counter[str]] = defaultdict(Counter)
        self.taken_out: Counter[str] = Counter()
        """Word -> articles in which cleaning takes it out."""
        self.rows = 0

    def add(self, frame: pd.DataFrame, cleaned: pd.DataFrame | None = None) -> None:
        """Count a part of the table.

        Args:
            frame: Its rows as they were read.
            cleaned: The same rows as training reads them; None where that is the same.
        """
        labels = frame[self.schema.answer].astype(str).tolist()
        self.labels.update(labels)
        self.rows += len(labels)
        taken = {self.schema.body, self.schema.answer, "title", "split"}
        for name in (str(column) for column in frame.columns if column not in taken):
            seen = self.columns.setdefault(name, defaultdict(Counter))
            for value, label in zip(column_texts(frame[name]), labels, strict=True):
                if value:
                    seen[value][label] += 1
        tables = (frame,) if cleaned is None else (frame, cleaned)
        read = (zip(_titles(table), table[self.schema.body], strict=True) for table in tables)
        for label, raw, *after in zip(labels, *read, strict=True):
            words = _words(*raw)
            for word in words:
                self.words[word][label] += 1
            for texts in after:
                self.taken_out.update(words - _words(*texts))
        if len(self.words) > _KEPT:
            frequent = sorted(self.words, key=lambda word: (-self.words[word].total(), word))[: _KEPT // 2]
            self.words = defaultdict(Counter, {word: self.words[word] for word in frequent})
            self.taken_out = Counter({word: count for word, count in self.taken_out.items() if word in self.words})

    def columns_found(self) -> list[ColumnFinding]:
        """Every column with few enough values, the most telling first."""
        majority = max(self.labels.values(), default=0) / max(1, self.rows)
        findings = []
        for name, values in self.columns.items():
            counted = sum(counts.total() for counts in values.values())
            if not values or len(values) > max(20, counted * _COLUMNS / 100):
                continue
            right = sum(max(counts.values()) for counts in values.values())
            # Articles without a value get the most frequent label.
            right += round((self.rows - counted) * majority)
            findings.append(
                ColumnFinding(column=name, values=len(values), accuracy=right / self.rows, majority=majority)
            )
        return sorted(findings, key=lambda finding: -finding.accuracy)

    def words_found(
        self, *, minimum_share: float = 0.005, minimum_purity: float = 0.97, maximum: int = 20
    ) -> list[WordFinding]:
        """Words (``^word`` at the beginning, ``word$`` at the end of an article) that nearly give the label away.

        Args:
            minimum_share: Of all articles that must have the word.
            minimum_purity: Of them that must have the same label.
            maximum: Findings that are returned: those in the most articles, beyond what chance explains, come first.
        """
        findings = []
        for word, counts in self.words.items():
            total = counts.total()
            label, hits = counts.most_common(1)[0]
            base = self.labels[label] / self.rows
            if (
                total >= max(20, minimum_share * self.rows)
                and hits / total >= minimum_purity
                and base < minimum_purity - 0.1
            ):
                findings.append(
                    WordFinding(
                        word=word,
                        label=label,
                        articles=total,
                        purity=hits / total,
                        base=base,
                        taken_out=self.taken_out[word] / total,
                    )
                )
        # The words of an article come in an order that differs from run to run: of equals the alphabet decides.
        findings.sort(key=lambda finding: (-finding.articles * (finding.purity - finding.base), finding.word))
        return _without_repeats(findings)[:maximum]


def _titles(frame: pd.DataFrame) -> list[str]:
    return column_texts(frame["title"]) if "title" in frame else [""] * len(frame)


def _words(title: str, text: str) -> set[str]:
    words = _WORD.findall(text)
    found = {word.lower() for word in words} | {word.lower() for word in _WORD.findall(title)}
    found |= {f"^{word}" for word in words[:_EDGE]} | {f"{word}$" for word in words[-_EDGE:]}
    return found | {f"^{word}" for word in _WORD.findall(title)[:2]}


def _without_repeats(findings: Sequence[WordFinding]) -> list[WordFinding]:
    """Keep one of ``^Reuters``, ``reuters`` and ``Reuters$``: the one that stands in the most articles."""
    result: list[WordFinding] = []
    for finding in findings:
        if finding.word.strip("^$").lower() not in {kept.word.strip("^$").lower() for kept in result}:
            result.append(finding)
    return result
