"""A ZIP archive with an article in each file. Nothing is ever written: names in it are labels."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from typing import Any, Final

from infolens.files import kind_of_bytes
from serving.intake.errors import ReadError

from .articles import read_article
from .zips import LIMITS, ZipLimits, fault_of, name_of, unpack

ARTICLES_IN_ZIP: Final = "a ZIP archive may hold one article a file: text, HTML, DOCX or PDF"
_NOT_ARTICLES: Final = re.compile(r"(?i)(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._)")
"""What systems put into archives by themselves."""
_OFFICE: Final = re.compile(r"(word|xl|ppt)/|mimetype$")
_NESTED: Final = re.compile(rb"PK\x03\x04|PK\x05\x06|\x1f\x8b|BZh[1-9]|\xfd7zXZ\x00|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd")


def holds_articles(archive: zipfile.ZipFile) -> bool:
    """Whether it is an archive of files, rather than one document that is packed so (DOCX, XLSX, ODT, EPUB)."""
    return "[Content_Types].xml" not in archive.namelist() and not any(
        _OFFICE.match(info.filename) for info in archive.infolist()[:1]
    )


def read_archive(
    archive: zipfile.ZipFile,
    *,
    until_s: float,
    clock: Callable[[], float],
    max_text_bytes: int,
    limits: ZipLimits = LIMITS,
) -> dict[str, Any]:
    """One row for each file; one that cannot be read has an ``error``.

    Args:
        archive: The archive.
        until_s: When to stop: the rows to come say so.
        clock: What time it is.
        max_text_bytes: UTF-8 of all texts together.
        limits: What may be unpacked.

    Returns:
        ``kind``, ``columns``, ``rows``, ``notes``.

    Raises:
        ReadError: There is no file in it.
    """
    rows: list[dict[str, Any]] = []
    unpacked = texts = left_out = 0
    for info in archive.infolist():
        if info.is_dir():
            continue
        if _NOT_ARTICLES.search(info.filename):
            left_out += 1
            continue
        row: dict[str, Any] = {"id": name_of(info), "title": None, "text": None, "url": None, "error": None}
        rows.append(row)
        try:
            if clock() > until_s:
                raise ReadError("it was not read: the time for one archive was up; send the rest in another")
            if (fault := fault_of(info, limits)) is not None:
                raise ReadError(fault)
            unpacked += info.file_size
            if unpacked > limits.max_total_bytes:
                raise ReadError(
                    f"it was not read: an archive may have {limits.max_total_bytes:,} bytes unpacked, and those before "
                    "it came to that; send the rest in another"
                )
            row["title"], text = _read(unpack(archive, info), row["id"])
            texts += len(text.encode())
            if texts > max_text_bytes:
                raise ReadError(f"it was not read: the texts come to more than {max_text_bytes:,} bytes; send fewer")
            row["text"] = text
        except ReadError as error:
            row["title"], row["error"] = None, error.words
    if not rows:
        raise ReadError(f"there is no file in this archive: {ARTICLES_IN_ZIP}")
    notes = [f"{left_out} files were left out that are no articles."] if left_out else []
    return {
        "kind": "zip",
        "columns": {"text": None, "title": None, "url": None, "id": None},
        "rows": rows,
        "notes": notes,
    }


def _read(data: bytes, name: str) -> tuple[str | None, str]:
    if _NESTED.match(data) and not _is_word(data):
        kind = kind_of_bytes(data)
        raise ReadError(f"it is {kind.what if kind else 'an archive'}, and archives in archives are not unpacked")
    try:
        document = read_article(data, name=name)
    except RecursionError:
        raise ReadError("it is nested more deeply than it can be read: save its text alone") from None
    return document.title, document.text


def _is_word(data: bytes) -> bool:
    return data.startswith(b"PK\x03\x04") and b"word/" in data
