"""A table of answers that grows: each row is kept at once, and the whole is written when all are there.

Until then the rows lie beside it, in ``FILE.partial``, as JSON lines: first what they belong to, then a row each. So a
run that ends early loses nothing, whatever ends it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from infolens.errors import InvalidSettingError
from infolens.tables import write_table

_HEAD: Final = "answers_of"
_SUFFIX: Final = ".partial"


class GrowingTable:
    """The rows of a table of answers, kept in a file as they come.

    Args:
        path: Where the whole table goes.
        format: How it is written; one of `infolens.tables.FORMATS`.
        asked: Tells what is asked of what: only rows of the same are gone on with.
        resume: Whether to go on with what an earlier run has left.

    Raises:
        InvalidSettingError: The place cannot be written to; or an earlier run has left rows there, and they are not to
            be gone on with, or belong to another table.
    """

    def __init__(self, path: Path, format: str, *, asked: str, resume: bool) -> None:  # noqa: A002 - as write_table has it
        self._path = path
        self._format = format
        self._partial = path.with_name(path.name + _SUFFIX)
        self.rows: dict[int, Mapping[str, Any]] = {}
        """The rows that there are, by the number of their article, from 0 on; of an earlier run those without error."""
        if self._partial.exists():
            self._take_up(asked, resume=resume)
        try:
            self._write(self._partial, self._lines(asked))
            self._file = self._partial.open("a", encoding="utf-8")
        except OSError as error:
            raise InvalidSettingError(
                f"--out must name a file in a folder that can be written to, but {path}: {error.strerror}"
            ) from error

    @property
    def way_on(self) -> str:
        """How to go on when the run ends early, in words."""
        return f"they are kept in {self._partial}: go on with the same command and --resume"

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        """Keep the row of an article."""
        self.rows[number] = row
        self._file.write(_line(number, row))
        self._file.flush()

    def finish(self) -> None:
        """Write the whole table, and remove what was beside it."""
        self._file.close()
        self._write(self._path, write_table([self.rows[number] for number in sorted(self.rows)], self._format))
        self._partial.unlink()

    def leave(self) -> None:
        """End early: what there is stays, and nothing where there is none."""
        self._file.close()
        if not self.rows:
            self._partial.unlink(missing_ok=True)

    def _take_up(self, asked: str, *, resume: bool) -> None:
        if not resume:
            raise InvalidSettingError(
                f"{self._partial} has rows of a run that ended early; go on with --resume, or remove it to begin anew"
            )
        try:
            lines = self._partial.read_text("utf-8").splitlines()
            head = json.loads(lines[0])[_HEAD]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise InvalidSettingError(
                f"--resume goes on with {self._partial}, but it holds something else; remove it to begin anew"
            ) from error
        if head != asked:
            raise InvalidSettingError(
                f"--resume goes on with the same articles and options, but {self._partial} belongs to others; remove "
                "it to begin anew"
            )
        for line in lines[1:]:
            try:
                number, row = json.loads(line)
            except ValueError:
                break  # the run ended while it wrote this
            if not row["error"]:
                self.rows[number] = row

    def _lines(self, asked: str) -> bytes:
        head = json.dumps({_HEAD: asked}) + "\n"
        return "".join([head, *(_line(number, row) for number, row in self.rows.items())]).encode()

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _line(number: int, row: Mapping[str, Any]) -> str:
    return json.dumps([number, row]) + "\n"
