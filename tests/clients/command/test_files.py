"""Files that hold no article: each is told what it is, and where its text is to be had."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infolens.testing import FakeTransport

TEXT = "The harbour bridge will close in June, the city said. Ferries will cross every ten minutes. " * 5


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "what", "way_out"),
    [
        (b"%PDF-1.4\n1 0 obj << >> endobj\n%%EOF\n", "a PDF", "pdftotext"),
        (b"%PDF-1.4\n" + bytes(range(256)) * 8_000, "a PDF", "pdftotext"),
        (zipped(word__document="x"), "a Word document", "pandoc"),
        (zipped(mimetype="application/vnd.oasis.opendocument.text"), "an OpenDocument file", "pandoc"),
        (zipped(a=TEXT), "a zip archive", "unpack"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Office document", "antiword"),
        (rb"{\rtf1\ansi Hello.}", "a rich text document", "pandoc"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)), "an image (JPEG)", "tesseract"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "an image (PNG)", "tesseract"),
        (b"ID3\x03\x00" + bytes(90), "a sound or a film", "write down"),
        (gzip.compress(TEXT.encode()), "packed with gzip", "zcat"),
        (tarred(), "a tar archive", "unpack"),
        (b"\n<!-- x -->\n<!DOCTYPE html><html><p>" + TEXT.encode(), "HTML", "pandoc -f html"),
        (("\ufeff<HTML lang=en><p>" + TEXT).encode("utf-16"), "HTML", "pandoc -f html"),
        (f"<p>{TEXT}</p>".encode(), "markup", "its article alone"),
        (b"<?xml version='1.0'?><rss><item>x</item></rss>", "markup", "its article alone"),
        (f'{{"text": "{TEXT}"}}'.encode(), "JSON", "/v1/analyze/batch"),
        (b'{"text": "one"}\n{"text": "two"}\n', "JSON", "analyze_batch"),
        (b'["one", "two"]', "JSON", "analyze_batch"),
        (f'id,title,text\n1,Bridge,"{TEXT}\nMore."\n'.encode(), "a table", "analyze_batch"),
        (f"title\ttext\nBridge\t{TEXT}\n".encode(), "a table", "/v1/analyze/batch"),
        (b"title,text\n" + b"Bridge,It closes.\n" * 90_000, "a table", "/v1/analyze/batch"),
        (struct.pack("<2000I", *range(2000)), "it is no text", "extract its text"),
    ],
)
def test_it_is_told_what_it_is(run: Any, use: Any, tmp_path: Path, content: bytes, what: str, way_out: str) -> None:
    fake = use(FakeTransport())
    file = tmp_path / "file"
    file.write_bytes(content)
    code, out, err = run("analyze", str(file))
    assert (code, out, fake.requests) == (1, "", [])
    assert what in err
    assert way_out in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[Reuters] - The bank, it said, won.\nMore, it said.",
        "[] is what it says.",
        "{A play} opens on Monday.",
        "<Reuters> said so.",
        "5 < 6, and <b is no tag.",
        "Title, text\nThe text, it goes on.",
        "London,Monday\nThe minister,who resigned.",
        "title,text",
        "MZ and PKZIP are names. GIF is one too.",
        '"We won," she said.\n"They lost," he said.',
    ],
)
def test_what_is_an_article_is_taken(run: Any, use: Any, tmp_path: Path, text: str) -> None:
    fake = use(FakeTransport())
    (tmp_path / "file").write_text(text, encoding="utf-8")
    assert run("analyze", str(tmp_path / "file"))[0] == 0
    assert [article.text for article in fake.articles] == [text]


def test_the_option_text_takes_any_text(run: Any, use: Any) -> None:
    fake = use(FakeTransport())
    assert run("analyze", "--text", "<html>no</html>")[0] == 0
    assert len(fake.requests) == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_text_without_its_mark_is_still_known(run: Any, use: Any, tmp_path: Path, encoding: str) -> None:
    use(FakeTransport())
    (tmp_path / "file").write_bytes(TEXT.encode(encoding))
    _, _, err = run("analyze", str(tmp_path / "file"))
    assert f"iconv -f {encoding.replace('-le', 'le').replace('-be', 'be')} -t utf-8" in err


def test_names_that_are_no_file(run: Any, use: Any, tmp_path: Path) -> None:
    use(FakeTransport())
    assert "curl -sL 'ftp://example.com/a?b=1' | infolens analyze -" in run("analyze", "ftp://example.com/a?b=1")[2]
    assert f"{tmp_path}/*.txt" in run("analyze", str(tmp_path))[2]
    assert "pattern" in run("analyze", f"{tmp_path}/*.text")[2]
    assert "No such file" in run("analyze", f"{tmp_path}/none.txt")[2]
