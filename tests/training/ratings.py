"""Exports of feedback, as ``python -m serving feedback export`` writes them."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from infolens.tables.safety import defused

_NUMBERS = itertools.count()
COLUMNS = (
    *("prediction", "made", "task", "model", "version", "revision", "label", "signal", "probability", "output_text"),
    *("stars", "better", "right", "right_label", "rater", "note", "consent", "audit", "rated", "key", "words"),
    *("text_sha256", "title", "text"),
)


def rating(text: str = "An article.", **said: Any) -> dict[str, Any]:
    """A row of an export: by default with consent, of a category, by somebody who has no name."""
    number = next(_NUMBERS)
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "prediction": f"prediction-{number:011d}", "made": "2026-11-20T08:00:00.000+00:00", "task": "category",
        "model": "distilbert", "version": "1", "revision": "0123456789ab", "label": "Travel", "signal": "Travel",
        "probability": 0.75, "rater": f"desk-{number}", "consent": True, "audit": False, "key": "",
        "rated": f"2026-11-27T09:00:{number % 60:02d}.000+00:00", "words": len(text.split()),
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(), "title": "", "text": text,
    }  # fmt: skip
    return row | said


def write_export(rows: Sequence[dict[str, Any]], file: Path) -> Path:
    """Write the rows in the format that the file's ending tells."""
    if file.suffix == ".csv":
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for row in rows:
                writer.writerow([_cell(row[name]) for name in COLUMNS])
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif file.suffix == ".parquet":
        pd.DataFrame(list(rows), columns=list(COLUMNS)).to_parquet(file)
    else:
        with closing(sqlite3.connect(file)) as base:
            base.execute("CREATE TABLE ratings (" + ", ".join(f'"{name}"' for name in COLUMNS) + ")")
            base.executemany(
                f"INSERT INTO ratings VALUES ({', '.join('?' * len(COLUMNS))})",
                [[row[name] for name in COLUMNS] for row in rows],
            )
            base.commit()
    return file


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return defused(value) if isinstance(value, str) else value
