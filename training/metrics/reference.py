"""What the articles were like that a model learns from, as ``reference.json`` has it beside the served model."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from infolens.contract import Task
from reading.reference import FILE, Counts
from training.data.schema import schema_of

if TYPE_CHECKING:
    import pandas as pd


def write_reference(folder: Path, frame: pd.DataFrame, task: Task) -> None:
    """Count a training split, every row once whatever its weight, and write the file.

    Args:
        folder: The checkpoint's.
        frame: A table of `tables.load_splits`, as it is learned from.
        task: Whose columns it has.
    """
    schema, counts = schema_of(task), Counts()
    titles = frame["title"] if "title" in frame else repeat("")
    labels = frame[schema.answer] if schema.labelled else repeat("")
    for text, title, label in zip(frame[schema.body], titles, labels, strict=False):
        counts.add(text, title, label)
    (folder / FILE).write_text(counts.to_json(), encoding="utf-8")
