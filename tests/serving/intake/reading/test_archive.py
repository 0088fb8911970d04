"""ZIP archives: an article a file, a row for each; bombs, passwords and archives within are told row by row."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from serving.intake.errors import ReadError
from serving.intake.reading.archive import holds_articles, read_archive
from serving.intake.reading.zips import ZipLimits, open_zip
from tests.serving.intake.made import PARAGRAPHS, WORDS, page, pdf, shown, word, zipped

LIMITS = ZipLimits(max_entries=20, max_entry_bytes=100_000, max_total_bytes=150_000)


def rows(data: bytes, *, now_s: float = 0.0, limits: ZipLimits = LIMITS, most: int = 2**20) -> list[dict[str, Any]]:
    with open_zip(data, limits) as archive:
        assert holds_articles(archive)
        found = read_archive(archive, until_s=1.0, clock=lambda: now_s, max_text_bytes=most, limits=limits)
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def test_each_file_is_an_article() -> None:
    files = {
        "a.txt": f"Bridge\n\n{WORDS}".encode(),
        "more/b.html": page().encode(),
        "c.docx": word(lambda document: document.add_paragraph(WORDS)),
        "d.pdf": pdf(shown(PARAGRAPHS[1:2])),
        "__MACOSX/._a.txt": b"\0\5\26\7",
        "more/.DS_Store": b"\0",
        "e.png": b"\x89PNG\r\n\x1a\n",
    }
    found = {row["id"]: row for row in rows(zipped(files))}
    assert list(found) == ["a.txt", "more/b.html", "c.docx", "d.pdf", "e.png"]
    assert found["a.txt"] == {"id": "a.txt", "title": "Bridge", "text": WORDS, "url": None, "error": None}
    assert found["more/b.html"]["title"] == "Harbour bridge to close"
    assert all(found[name]["text"] for name in ("c.docx", "d.pdf"))
    assert "an image (PNG)" in found["e.png"]["error"]


def test_names_are_labels() -> None:
    archive = zipped(
        {"../../etc/passwd": WORDS.encode(), "/abs\x1b[31m.txt": WORDS.encode(), "\u00e9.txt": WORDS.encode()}
    )
    unmarked = archive.replace("\u00e9.txt".encode(), b"\xc3\xa9.txt")
    assert [row["id"] for row in rows(unmarked)] == ["../../etc/passwd", "/abs [31m.txt", "\u00e9.txt"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("a" * 500 + ".txt", WORDS)
    assert rows(buffer.getvalue())[0]["id"] == "a" * 124 + ".txt"


def test_a_bad_entry_is_a_row_with_an_error() -> None:
    good = zipped({"a.txt": WORDS.encode(), "b.txt": WORDS.encode()}, zipfile.ZIP_STORED)
    broken = good.replace(b"The old", b"The odd", 1)  # not what its checksum says
    assert [row["error"] is None for row in rows(broken)] == [False, True]
    locked = bytearray(good)
    start = locked.index(b"PK\x01\x02")
    locked[start + 8] |= 1
    assert "encrypted" in rows(bytes(locked))[0]["error"]
    inner = zipped({"inner.zip": good, "inner.gz": b"\x1f\x8b\x08" + bytes(20), "a.txt": WORDS.encode()})
    errors = [row["error"] for row in rows(inner)]
    assert "archives in archives are not unpacked" in errors[0]
    assert "archives in archives are not unpacked" in errors[1]
    assert errors[2] is None


def test_what_would_be_too_large_is_not_unpacked() -> None:
    assert "100,001 bytes unpacked" in rows(zipped({"a.txt": b"word " * 20_000 + b"x"}))[0]["error"]
    bomb = zipped({"a.txt": bytes(2 * 2**20)})
    assert "200 times" in rows(bomb, limits=ZipLimits())[0]["error"]
    several = zipped({f"{number}.txt": b"word " * 12_000 for number in range(4)})
    assert [row["error"] is None for row in rows(several)] == [True, True, False, False]
    assert [row["error"] is None for row in rows(several, most=100_000)] == [True, False, False, False]


def test_when_its_time_is_up_the_rest_is_told_so() -> None:
    found = rows(zipped({"a.txt": WORDS.encode()}), now_s=2.0)
    assert "the time for one archive was up" in found[0]["error"]


def test_too_many_entries_and_none() -> None:
    with pytest.raises(ReadError, match="at most 20 entries"):
        open_zip(zipped({f"{number}": b"" for number in range(21)}), LIMITS)
    with pytest.raises(ReadError, match="there is no file in this archive"):
        rows(zipped({"folder/": b""}))
    with pytest.raises(ReadError, match="broken or cut short"):
        open_zip(zipped({"a.txt": b"a"})[:-10])
