"""What does not fit in a table: each value by itself, and all of them counted by kind and value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

_EXAMPLES: Final = 5
_VALUES: Final = 1000
"""Different values of a kind that are counted one by one; the others are counted together."""
_SHOWN: Final = 8


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One value that does not fit."""

    column: str
    row: int
    """Counted from 1, as records, not lines."""
    text: str
    """The rule and the value, for a message."""
    rule: str
    """What the value does not keep to, such as ``must be text that is not blank``."""
    value: str
    """The value as a message shows it."""
    unknown_label: str = ""
    """The label, where the fault is that the labels of the run do not have it."""

    def __str__(self) -> str:
        return f"column {self.column!r}, row {self.row}: {self.text}"


@dataclass(kw_only=True)
class _Kind:
    """The values of one column that break one rule."""

    first: Problem
    values: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[int]] = field(default_factory=dict)
    """Value -> the first rows that have it."""
    others: int = 0
    """Values beyond those that are counted one by one."""

    def add(self, problem: Problem) -> None:
        if problem.value not in self.values and len(self.values) >= _VALUES:
            self.others += 1
            return
        self.values[problem.value] += 1
        rows = self.rows.setdefault(problem.value, [])
        if len(rows) < _EXAMPLES:
            rows.append(problem.row)

    @property
    def total(self) -> int:
        return self.values.total() + self.others

    def ordered(self) -> list[tuple[str, int]]:
        """The values with their counts, the most frequent first."""
        return sorted(self.values.items(), key=lambda item: (-item[1], item[0]))

    def __str__(self) -> str:
        if self.total == 1:
            return str(self.first)
        shown = [f"{value} ({self._where(value, count)})" for value, count in self.ordered()[:_SHOWN]]
        more = self.total - sum(count for _, count in self.ordered()[:_SHOWN])
        rest = f", and {more:,} rows with others" if more else ""
        return f"column {self.first.column!r}, {self.total:,} rows: {self.first.rule}, not {', '.join(shown)}{rest}"

    def _where(self, value: str, count: int) -> str:
        rows = self.rows[value]
        numbers = ", ".join(map(str, rows))
        if count == len(rows):
            return f"row {numbers}" if count == 1 else f"rows {numbers}"
        return f"{count:,} rows, such as {numbers}"


@dataclass(kw_only=True)
class BadRows:
    """The values of a table that do not fit, counted over its parts."""

    rows: int = 0
    """Rows that have such a value."""
    values: int = 0
    """Such values; a row may have several."""
    unknown_labels: Counter[str] = field(default_factory=Counter)
    """Label that the labels of the run do not have -> rows."""
    first: list[Problem] = field(default_factory=list)
    """The first ones, as they stand in the table."""
    kinds: dict[tuple[str, str], _Kind] = field(default_factory=dict)
    """Column and rule -> its values."""

    def __bool__(self) -> bool:
        return bool(self.values)

    def add(self, problems: Iterable[Problem], *, kept: int = 20) -> None:
        """Count what does not fit in a part of the table.

        Args:
            problems: Of whole rows: no row has problems in two parts.
            kept: How many problems `first` holds.
        """
        rows = set()
        for problem in problems:
            rows.add(problem.row)
            self.values += 1
            if len(self.first) < kept:
                self.first.append(problem)
            if problem.unknown_label and (
                problem.unknown_label in self.unknown_labels or len(self.unknown_labels) < _VALUES
            ):
                self.unknown_labels[problem.unknown_label] += 1
            self.kinds.setdefault((problem.column, problem.rule), _Kind(first=problem)).add(problem)
        self.rows += len(rows)

    def lines(self) -> list[str]:
        """A line for each kind, the most frequent first: column, rule, and values with their counts and first rows."""
        return [str(kind) for kind in self._ordered()]

    def message(self, source: str, *, way_out: str, advice: str = "") -> str:
        """Why a table is refused.

        Args:
            source: The table's name.
            way_out: What to do about such rows, as a sentence without its stop.
            advice: The options that would mend labels; may be empty.
        """
        lines = self.lines()
        if self.values == 1:
            told = f"{source}: {lines[0]}. {way_out}"
        else:
            counted = "\n".join(f"  {line}" for line in lines)
            told = (
                f"{source}: {self.rows:,} {'row does' if self.rows == 1 else 'rows do'} not fit:\n{counted}\n{way_out}"
            )
        return f"{told}.\n{advice}" if advice else told

    def document(self) -> list[dict[str, Any]]:
        """The kinds as JSON."""
        return [
            {
                "column": kind.first.column,
                "rule": kind.first.rule,
                "rows": kind.total,
                "values": [
                    {"value": value, "rows": count, "first_rows": kind.rows[value]} for value, count in kind.ordered()
                ],
                "rows_with_other_values": kind.others,
            }
            for kind in self._ordered()
        ]

    def _ordered(self) -> list[_Kind]:
        return [self.kinds[key] for key in sorted(self.kinds, key=lambda key: (-self.kinds[key].total, key))]
