"""Plain text: its title, its encoding, its size; and files that are refused in words."""

from __future__ import annotations

import gzip

import pytest

from infolens.contract import MAX_ARTICLE_BYTES
from serving.intake.errors import ReadError
from serving.intake.reading.articles import read_article
from serving.intake.reading.text import clean
from tests.serving.intake.made import PARAGRAPHS, WORDS, word, zipped

TEXT = "\n\n".join(PARAGRAPHS)


def test_a_short_first_line_is_the_title() -> None:
    found = read_article(f"Harbour bridge to close\r\n\r\n{TEXT}".encode())
    assert (found.kind, found.title, found.text) == ("text", "Harbour bridge to close", TEXT)
    assert read_article(TEXT.encode()).title is None


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_encodings_are_told(codec: str) -> None:
    text = f"{TEXT}\n\n\u00c4rger \u00fcber \u20ac 5"
    assert read_article(text.encode(codec)).text == text


def test_text_is_made_even() -> None:
    assert clean(" a\tb\u00a0 c \r\n d\x0b\n\n \n\ne\u00ad\u200b\0\ud800f\u2029") == "a b c\nd\n\ne" + "f"
    assert clean("\u05e9\u05dc\u05d5\u05dd \u200fabc") == "\u05e9\u05dc\u05d5\u05dd \u200fabc", (
        "marks of direction stay"
    )


def test_a_long_text_is_cut_at_a_paragraph() -> None:
    found = read_article("\n\n".join(f"{number}. {WORDS}" for number in range(2000)).encode())
    assert MAX_ARTICLE_BYTES - 2000 < len(found.text.encode()) <= MAX_ARTICLE_BYTES
    assert found.text.endswith(WORDS)
    assert found.notes == (
        "The text was cut: an article has at most 262,144 bytes, and the rest was left out.",
    )  # fmt: skip
    many = read_article("\u20ac".encode() * 100_000)
    assert len(many.text) == MAX_ARTICLE_BYTES // 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "this file is empty"),
        (b" \r\n\0\0", "this file is empty"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
            r"old Office document.*save it as plain text \(UTF-8\) first$",
        ),
        (rb"{\rtf1\ansi Hello.}", "a rich text document"),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"<a/>"}, 0), "OpenDocument"),
        (zipped({"mimetype": b"application/epub+zip", "a.html": b"<a/>"}, 0), "an e-book"),
        (zipped({"[Content_Types].xml": b"<a/>", "xl/workbook.xml": b"<a/>"}), "an Excel file: send a table"),
        (zipped({"[Content_Types].xml": b"<a/>", "ppt/presentation.xml": b"<a/>"}), "a PowerPoint file"),
        (zipped({"a.txt": TEXT.encode()}), "a ZIP archive: send one of several articles to POST /v1/tables/read"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", r"an image \(PNG\): read the words in it first$"),
        (b"ID3\x03\x00" + bytes(90), "a sound or a film: write down first"),
        (gzip.compress(TEXT.encode()), "packed with gzip: unpack it$"),
        (b'{"text": "one"}\n', "this is JSON, not one article: send a table"),
        (b"id,text\n1,Bridge\n2,Ferry\n", "a table .CSV., not one article"),
        (b"<?xml version='1.0'?><rss><item>x</item></rss>", "markup .XML or HTML., not one article"),
        (bytes(range(256)) * 40, "neither text nor a kind of document"),
        ("\u200b\u00ad ".encode(), "there is no text in this file"),
    ],
)
def test_what_is_no_article_is_told_so(content: bytes, words: str) -> None:
    with pytest.raises(ReadError, match=words):
        read_article(content)


def test_contents_count_more_than_names() -> None:
    document = word(lambda made: made.add_paragraph(WORDS))
    assert read_article(document, name="story.pdf", content_type="text/plain").kind == "docx"
    assert read_article(TEXT.encode(), name="story.docx", content_type="application/pdf").kind == "text"
    assert read_article(TEXT.encode(), name="story.html", content_type="text/html").kind == "text"
