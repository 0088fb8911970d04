"""Where the results go: to people, to programs, or into a table."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from infolens.contract import SUMMARY_SETTINGS
from infolens.errors import InfoLensError, InvalidSettingError
from infolens.tables import FORMATS, check_format, to_row, write_table
from infolens.types import Article, Report

from .articles import STDIN
from .pages import Page
from .partial import GrowingTable
from .render import error_json, rating_line, report_json, report_text
from .sources import Source, Sources, Work

Result = Report | InfoLensError
_ENDINGS: Final[Mapping[str, str]] = {**{f".{name}": name for name in FORMATS}, ".ndjson": "jsonl"}
_ROWS_SHOWN: Final = 3


class Output(Protocol):
    """Takes the results, in the order of their articles."""

    way_on: str | None
    """How to go on when the run ends early; None for the usual words."""

    def has(self, number: int) -> bool:
        """Whether an article, by its number, has its result from an earlier run."""

    def take(self, number: int, source: Source, work: Work | None, result: Result) -> None:
        """Take the result of an article; ``work`` is what was read there, None where nothing could be."""

    def finish(self) -> None:
        """All results are there."""

    def leave(self) -> None:
        """There will be no more results."""


def make_output(options: argparse.Namespace, sources: Sources, complain: Callable[[str], None]) -> Output:
    """Where the options have the results go.

    Args:
        options: The command's.
        sources: The articles.
        complain: Tells people of what went wrong.

    Raises:
        InvalidSettingError: The options do not fit together, or the place cannot be written to.
        InvalidTableError: The format needs a library that is not installed.
    """
    if options.out is None:
        for given, flag in ((options.format, "--format"), (options.resume, "--resume")):
            if given:
                raise InvalidSettingError(f"{flag} goes with --out FILE, which names a table of answers; give both")
        return _Printed(options, complain, several=len(sources) > 1)
    for given, flag in ((options.json, "--json"), (options.evidence, "--evidence")):
        if given:
            raise InvalidSettingError(f"--out writes a table, which has no place for {flag}; leave one of them out")
    name = _format(options)
    if options.out == STDIN:
        return _Piped(name, complain)
    path = Path(options.out)
    if options.table not in (None, STDIN) and path.exists() and path.samefile(options.table):
        raise InvalidSettingError(f"--out would overwrite the table of --in, {path}; name another file")
    asked = [sources.digest, options.task, options.partial, *(getattr(options, one.name) for one in SUMMARY_SETTINGS)]
    table = GrowingTable(path, name, asked=json.dumps(asked), resume=options.resume)
    return _Filed(table, path, complain)


def _format(options: argparse.Namespace) -> str:
    if options.format is not None:
        return check_format(options.format)
    if options.out == STDIN:
        raise InvalidSettingError(f"--out - needs the format of the table; add --format {'|'.join(FORMATS)}")
    ending = Path(options.out).suffix.lower()
    if ending not in _ENDINGS:
        raise InvalidSettingError(
            f"the name of the table of --out ends with {', '.join(_ENDINGS)}, but this one is {options.out!r}; rename "
            "it, or add --format"
        )
    return check_format(_ENDINGS[ending])


class _Printed:
    """Results on the standard output, and a line on stderr for each that failed."""

    way_on: str | None = None

    def __init__(self, options: argparse.Namespace, complain: Callable[[str], None], *, several: bool) -> None:
        self._options = options
        self._complain = complain
        self._several = several

    def has(self, number: int) -> bool:  # noqa: ARG002 - as of the others
        return False

    def take(self, number: int, source: Source, work: Work | None, result: Result) -> None:  # noqa: ARG002
        if isinstance(result, InfoLensError):
            self._complain(f"{source.name}: {result}")
            if self._options.json:
                sys.stdout.write(error_json(source.name, result))
        else:
            for task, reason in result.failed.items():
                self._complain(f"{source.name}: no {task}: {reason}")
            sys.stdout.write(self._shown(source, work, result))
        sys.stdout.flush()

    def _shown(self, source: Source, work: Work | None, report: Report) -> str:
        title, text, about = None, "", dict[str, Any]()
        if isinstance(work, Article):
            title, text = work.title, work.text
        elif isinstance(work, Page) and work.found is not None:
            title, text = work.title or work.found.title, work.found.text
            about = {"url": work.found.url, **work.found.about}
        if self._options.json:
            return report_json(source.name, title, report, {**about, "text": text} if about else None)
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        shown = report_text(source.name, title, report, width=width, text=text, about=about)
        return shown + rating_line(report, dim=_dims()) + ("\n" if self._several else "")

    def finish(self) -> None:
        """Everything has been printed."""

    def leave(self) -> None:
        """Everything has been printed."""


def _dims() -> bool:
    """Whether a line may be dimmed: for people at a terminal who have not asked for none of that."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def _row(source: Source, work: Work | None, result: Result) -> dict[str, Any]:
    title, url = source.title, source.url
    if isinstance(work, Article):
        title = work.title
    elif isinstance(work, Page) and work.found is not None:
        title, url = work.title or work.found.title, work.found.url or url
    answer = {"error": str(result)} if isinstance(result, InfoLensError) else result.to_dict()
    return to_row({"id": source.id, **answer}, title=title, url=url)


def _failures(rows: Mapping[int, Mapping[str, Any]]) -> str:
    failed = sum(bool(row["error"]) for row in rows.values())
    return f"{failed:,} of {len(rows):,} rows have no whole answer; their column error says why" if failed else ""


class _Piped:
    """A table on the standard output, written when all results are there."""

    way_on: str | None = None

    def __init__(self, format: str, complain: Callable[[str], None]) -> None:  # noqa: A002 - as write_table has it
        if format == "xlsx" and sys.stdout.isatty():
            raise InvalidSettingError("an Excel file is not for a terminal; name a file with --out, or pipe it on")
        self._format = format
        self._complain = complain
        self._rows: dict[int, Mapping[str, Any]] = {}

    def has(self, number: int) -> bool:  # noqa: ARG002 - as of the others
        return False

    def take(self, number: int, source: Source, work: Work | None, result: Result) -> None:
        self._rows[number] = _row(source, work, result)

    def finish(self) -> None:
        sys.stdout.flush()
        sys.stdout.buffer.write(write_table(self._rows.values(), self._format))
        sys.stdout.buffer.flush()
        if words := _failures(self._rows):
            self._complain(words)

    def leave(self) -> None:
        """Nothing has been written."""


class _Filed:
    """A table in a file; until all results are there, they are kept beside it."""

    def __init__(self, table: GrowingTable, path: Path, complain: Callable[[str], None]) -> None:
        self._table = table
        self._path = path
        self._complain = complain
        self.way_on: str | None = table.way_on

    def has(self, number: int) -> bool:
        return number in self._table.rows

    def take(self, number: int, source: Source, work: Work | None, result: Result) -> None:
        self._table.add(number, _row(source, work, result))

    def finish(self) -> None:
        self._table.finish()
        if words := _failures(self._table.rows):
            self._complain(words)
        self._complain(f"{self._path}: {len(self._table.rows):,} rows")

    def leave(self) -> None:
        self._table.leave()
