"""Tables of articles: of rows by `infolens.tables`, of files by `archive`; and tables of answers, written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final

from infolens import InfoLensError
from infolens.tables import read_table, to_row, write_table
from serving.intake.errors import ReadError

from .archive import ARTICLES_IN_ZIP, holds_articles, read_archive
from .zips import open_zip

MAX_ROWS: Final = 10_000
MAX_TEXT_BYTES: Final = 64 * 2**20
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")


def read_rows(data: bytes, *, name: str = "", until_s: float) -> bytes:
    """Read a table, or an archive of articles.

    Args:
        data: The file.
        name: What it is called; a hint.
        until_s: When to stop reading articles of an archive, on the monotonic clock.

    Returns:
        JSON with ``kind``, ``columns``, ``rows`` and ``notes``.

    Raises:
        ReadError: It is no table and no archive, or breaks a limit.
    """
    if not data.strip():
        raise ReadError("this file is empty: send a table of articles (CSV, XLSX, JSON lines) or a ZIP of articles")
    if data.startswith(_ZIP):
        with open_zip(data) as archive:
            if holds_articles(archive):
                found = read_archive(archive, until_s=until_s, clock=time.monotonic, max_text_bytes=MAX_TEXT_BYTES)
                return _dump(found)
    try:
        table = read_table(data, name, max_rows=MAX_ROWS, max_bytes=MAX_TEXT_BYTES)
    except InfoLensError as error:
        raise ReadError(f"{error} ({ARTICLES_IN_ZIP})" if data.startswith(_ZIP) else str(error)) from None
    rows = [
        {"id": row.id, "title": row.title, "text": row.text, "url": row.url, "error": row.error} for row in table.rows
    ]
    return _dump({"kind": table.kind, "columns": dict(table.columns), "rows": rows, "notes": list(table.notes)})


def write_rows(lines: bytes, form: str) -> bytes:
    """Write a table of answers.

    Args:
        lines: JSON lines, each an answer or an error, with ``title`` and ``url`` where there are any.
        form: ``csv``, ``xlsx`` or ``json``.

    Raises:
        ReadError: A line is no JSON object, or there are too many.
    """
    try:
        return write_table(list(_answers(lines)), form)
    except InfoLensError as error:
        raise ReadError(str(error)) from None


def _answers(lines: bytes) -> Iterator[dict[str, Any]]:
    count = 0
    for number, line in enumerate(lines.splitlines(), 1):
        if not line.strip():
            continue
        count += 1
        if count > MAX_ROWS:
            raise ReadError(f"a table has at most {MAX_ROWS:,} rows: send fewer lines, and make several tables")
        try:
            answer = json.loads(line.decode())
        except (ValueError, RecursionError):
            raise ReadError(f"line {number} is not JSON: send an answer of /v1/analyze in each line") from None
        if not isinstance(answer, dict):
            raise ReadError(f"line {number} is no JSON object: send an answer of /v1/analyze in each line")
        yield to_row(answer)


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
