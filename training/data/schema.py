"""The columns of a task's table, and what a row must be; every problem is named by file, column and row."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import DataError

from .advice.problems import Problem
from .files.cells import label_text, remark_fault, shown_columns, shown_value, text_fault
from .labels import ANY_LABEL, LabelRule, shown

if TYPE_CHECKING:
    import pandas as pd

SPLITS: Final = ("train", "validation", "test")
OUT_OF_DOMAIN: Final = "out_of_domain"
"""The split of the sources that are held out: how a model does on collections that it was not trained on."""

WEIGHT: Final = "weight"
"""The column that says how much an article counts in training; an empty cell, or no such column, is 1."""

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


def weight_of(value: object) -> float | None:
    """The weight that a cell says, 1 where it is empty; None where it is no number above 0."""
    if value is None or value == "" or value != value:  # pandas has nan for an empty cell
        return 1.0
    try:
        weight = float(str(value))
    except ValueError:
        return None
    return weight if weight > 0 and math.isfinite(weight) else None


def weights_of(frame: pd.DataFrame) -> list[float] | None:
    """The weights of the rows of a table; None where they are all the same, as they are without the column.

    A table of several files has empty cells for the rows of a file that has no such column.
    """
    if WEIGHT not in frame:
        return None
    weights = [weight_of(value) or 1.0 for value in frame[WEIGHT]]
    return weights if len(set(weights)) > 1 else None


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
                    yield _label_problem(name, row, value, rule)
            elif fault := text_fault(value):
                yield _problem(name, row, value, fault)
    for name in (column for column in schema.optional if column in frame):
        for row, value in enumerate(frame[name], start=first_row):
            if fault := remark_fault(value):
                yield _problem(name, row, value, fault)
    if WEIGHT in frame:
        for row, value in enumerate(frame[WEIGHT], start=first_row):
            if weight_of(value) is None:
                fault = (
                    f"must be a number above 0 or nothing, not {shown_value(value)}: it says how much an article "
                    "counts; a column that says something else needs another name"
                )
                yield _problem(WEIGHT, row, value, fault)
    if "split" in frame:
        for row, value in enumerate(frame["split"], start=first_row):
            if split_named(value) is None:
                known = ", ".join(SPLITS)
                text = f"{shown_value(value)} is not one of: {known}"
                yield Problem(
                    column="split", row=row, text=text, rule=f"must be one of {known}", value=shown_value(value)
                )


def _problem(column: str, row: int, value: object, fault: str) -> Problem:
    # What stands before the first comma or semicolon is the same for all values that have this fault.
    rule = re.split("[,;]", fault, maxsplit=1)[0]
    return Problem(column=column, row=row, text=fault, rule=rule, value=shown_value(value))


def _label_problem(column: str, row: int, value: object, rule: LabelRule) -> Problem:
    text = label_text(value)
    if not rule.fixed or not text or (isinstance(value, str) and text_fault(value)):
        return _problem(column, row, value, rule.objection(value))
    return Problem(
        column=column,
        row=row,
        text=rule.objection(value),
        rule=f"must be one of {shown(rule.names)}",
        value=shown_value(text),
        unknown_label=text,
    )
