"""Writes an export beside its place, and moves it there once it is whole."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from serving.errors import FeedbackError

from .columns import Row
from .database import write_sqlite
from .lines import write_csv, write_jsonl
from .parquet import check_parquet, write_parquet

Write = Callable[[Iterable[Row], Path], None]
FORMATS: Final[Mapping[str, Write]] = MappingProxyType(
    {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet, "sqlite": write_sqlite}
)
"""What writes each format."""
_ENDINGS: Final[Mapping[str, str]] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
_EVERY_S: Final = 2.0


def format_of(out: Path) -> str | None:
    """The format that a file's name ends with; None where it says none."""
    return _ENDINGS.get(out.suffix.lower())


def export(rows: Iterable[Row], form: str, out: Path, tell: Callable[[str], None]) -> int:
    """Write an export; returns how many rows it has. Memory does not grow with them.

    Args:
        rows: Each with `columns.COLUMNS`.
        form: One of `FORMATS`.
        out: The file; one that is there is replaced, and whoever has it open keeps the old one.
        tell: Takes a line for people now and then.

    Raises:
        FeedbackError: The library for the format is missing, or the file cannot be written. No file is left then but
            the one that was there.
    """
    if form == "parquet":
        check_parquet()  # before anything is asked
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    counted = _Counted(rows, tell)
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # what people wrote, for this user
        FORMATS[form](counted, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        raise FeedbackError(f"{out} cannot be written ({error.strerror}): name another file with --out") from None
    finally:
        partial.unlink(missing_ok=True)
    return counted.count


class _Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterable[Row], tell: Callable[[str], None]) -> None:
        self._rows = rows
        self._tell = tell
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        last_s = time.monotonic()
        for row in self._rows:
            yield row
            self.count += 1
            if time.monotonic() - last_s >= _EVERY_S:
                last_s = time.monotonic()
                self._tell(f"{self.count:,} ratings so far")
