"""The columns of a task's table, and what a row must be; every problem is named by file, column and row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pandas as pd

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import DataError

from .files.cells import remark_fault, shown_columns, shown_value, text_fault
from .labels import ANY_LABEL, LabelRule

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


def split_named(value: object) -> str | None:
    """The split that a cell of the column ``split`` says, or None where it says none."""
    return SPLIT_NAMES.get(str(value).strip().lower())


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns of the table of a task, by what its answers are made of."""

    body: str
    """The article: must be there and not blank."""
    answer: str
    """The label or the summary: must be there and not blank."""
    optional: tuple[str, ...]
    """Filled with empty strings where the source has none."""
    labelled: bool
    """Whether the answer is a label; where it is not, an article may stand there with several answers."""


_SCHEMAS: Final = {
    AnswerKind.TEXT: Schema(body="article", answer="summary", optional=("source",), labelled=False),
    AnswerKind.LABELS: Schema(body="text", answer="label", optional=("title", "source"), labelled=True),
}


def schema_of(task: Task) -> Schema:
    """The columns of a task's table."""
    return _SCHEMAS[CONTRACTS[task].answers]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that does not fit."""

    column: str
    row: int
    """Counted from 1, as records, not lines."""
    text: str

    def __str__(self) -> str:
        return f"column {self.column!r}, row {self.row}: {self.text}"


def check_columns(frame: pd.DataFrame, task: Task, source: str) -> None:
    """Check that a table has the columns that a task needs.

    Raises:
        DataError: One is missing.
    """
    schema = schema_of(task)
    for name in (schema.body, schema.answer):
        if name not in frame:
            raise DataError(
                f"{source}: column {name!r} is missing; it has: {shown_columns(frame)}. "
                f"Name the right one with --columns {name}=ITS_NAME"
            )


def problems(frame: pd.DataFrame, task: Task, rule: LabelRule = ANY_LABEL, *, first_row: int = 1) -> Iterator[Problem]:
    """What does not fit in the rows of a table that has the right columns, column by column.

    Args:
        frame: The table, or a part of it.
        task: What it is for.
        rule: What a label may be.
        first_row: The number of its first row.
    """
    schema = schema_of(task)
    for name in (schema.body, schema.answer):
        for row, value in enumerate(frame[name], start=first_row):
            if name == schema.answer and schema.labelled:
                if rule.read(value) is None:
                    yield Problem(column=name, row=row, text=rule.objection(value))
            elif fault := text_fault(value):
                yield Problem(column=name, row=row, text=fault)
    for name in (column for column in schema.optional if column in frame):
        for row, value in enumerate(frame[name], start=first_row):
            if fault := remark_fault(value):
                yield Problem(column=name, row=row, text=fault)
    if "split" in frame:
        for row, value in enumerate(frame["split"], start=first_row):
            if split_named(value) is None:
                yield Problem(column="split", row=row, text=f"{shown_value(value)} is not one of: {', '.join(SPLITS)}")
