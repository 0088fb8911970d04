"""Exports as text: CSV and JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infolens.tables.safety import defused

from .columns import COLUMNS, Row


def write_csv(rows: Iterable[Row], file: Path) -> None:
    """Write CSV as RFC 4180 has it, in UTF-8 without a mark.

    No cell is taken for a formula by a spreadsheet program: one that might be begins with an apostrophe.
    """
    with file.open("w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows([_cell(row[name]) for name in COLUMNS] for row in rows)


def write_jsonl(rows: Iterable[Row], file: Path) -> None:
    """Write a JSON object a line, in UTF-8."""
    with file.open("w", encoding="utf-8") as output:
        for row in rows:
            json.dump({name: row[name] for name in COLUMNS}, output, ensure_ascii=False)
            output.write("\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return defused(value) if isinstance(value, str) else str(value)
