"""The columns of each task's table, and what a row must be; every problem is named by file, column and row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pandas as pd

from infolens.contract import CONTRACTS, Task

from .errors import DataError

SPLITS: Final = ("train", "validation", "test")
OUT_OF_DOMAIN: Final = "out_of_domain"
"""The split of the sources that are held out: how a model does on collections that it was not trained on."""

SPLIT_NAMES: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns of one task's table."""

    body: str
    """The article: must be there and not blank."""
    answer: str
    """The label or the summary: must be there and not blank."""
    optional: tuple[str, ...]
    """Filled with empty strings where the source has none."""
    labels: tuple[str, ...] = ()


SCHEMAS: Final = {
    Task.SUMMARY: Schema(body="article", answer="summary", optional=("source",)),
    Task.CATEGORY: Schema(
        body="text", answer="label", optional=("title", "source"), labels=CONTRACTS[Task.CATEGORY].labels
    ),
    Task.VERACITY: Schema(
        body="text", answer="label", optional=("title", "source"), labels=CONTRACTS[Task.VERACITY].labels
    ),
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that does not fit."""

    column: str
    row: int
    """Counted from 1, as records, not lines."""
    text: str

    def __str__(self) -> str:
        return f"column {self.column!r}, row {self.row}: {self.text}"


def check(frame: pd.DataFrame, task: Task, source: str) -> None:
    """Check the columns and every row of a table against a task's schema.

    Raises:
        DataError: The first thing that does not fit.
    """
    check_columns(frame, task, source)
    problem = next(problems(frame, task), None)
    if problem is not None:
        raise DataError(f"{source}: {problem}")


def check_columns(frame: pd.DataFrame, task: Task, source: str) -> None:
    """Check that a table has the columns that a task needs.

    Raises:
        DataError: One is missing.
    """
    schema = SCHEMAS[task]
    for name in (schema.body, schema.answer):
        if name not in frame:
            raise DataError(
                f"{source}: column {name!r} is missing; it has: {', '.join(map(str, frame))}. "
                f"Name the right one with --columns {name}=ITS_NAME"
            )


def problems(frame: pd.DataFrame, task: Task, *, first_row: int = 1) -> Iterator[Problem]:
    """What does not fit in the rows of a table that has the right columns, column by column.

    Args:
        frame: The table, or a part of it.
        task: What it is for.
        first_row: The number of its first row.
    """
    schema = SCHEMAS[task]
    for name in (schema.body, schema.answer):
        for row, value in enumerate(frame[name], start=first_row):
            if not (isinstance(value, str) and value.strip()):
                yield Problem(column=name, row=row, text=f"must be text that is not blank, not {value!r}")
            elif name == schema.answer and schema.labels and value not in schema.labels:
                yield Problem(column=name, row=row, text=f"{value!r} is not one of: {', '.join(schema.labels)}")
    if "split" in frame:
        for row, value in enumerate(frame["split"], start=first_row):
            if str(value).lower() not in SPLIT_NAMES:
                yield Problem(column="split", row=row, text=f"{value!r} is not one of: {', '.join(SPLITS)}")
