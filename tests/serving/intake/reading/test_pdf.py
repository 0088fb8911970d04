"""PDF: lines to paragraphs, running heads, titles, scans, passwords."""

from __future__ import annotations

import io
import textwrap

import pytest
from pypdf import PdfReader, PdfWriter

from serving.intake.errors import ReadError
from serving.intake.reading.articles import read_article
from serving.intake.reading.lines import join_pages
from tests.serving.intake.made import PARAGRAPHS, WORDS, pdf, shown

LINES = [line for one in PARAGRAPHS for line in textwrap.wrap(one, 70)]
TITLE = "Harbour bridge to close"


def encrypted(password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(shown(LINES)))))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_lines_become_paragraphs(packed: bool) -> None:
    found = read_article(pdf(shown([TITLE, *LINES]), packed=packed))
    assert found.text == "\n\n".join(PARAGRAPHS)
    assert (found.kind, found.title, found.notes) == ("pdf", TITLE, ())


def test_running_heads_and_numbers_of_pages_are_dropped() -> None:
    pages = [
        shown(["The Harbour Post, 1 June 2026", *LINES[start : start + 5], f"Page {start // 5 + 1} of 3"])
        for start in range(0, len(LINES), 5)
    ]
    assert len(pages) >= 3
    found = read_article(pdf(*pages, info=f"<< /Title ({TITLE}) /Author (Jane Doe) >>"))
    assert "Harbour Post" not in found.text
    assert "Page" not in found.text
    assert " ".join(found.text.split()) == WORDS
    assert (found.title, found.author) == (TITLE, "Jane Doe")


def test_lines_that_only_look_alike_are_kept() -> None:
    pages = [f"{one}\nThe council met.\n{one}" for one in PARAGRAPHS]
    assert join_pages(pages).count("The council met.") == len(PARAGRAPHS), "within the page"
    assert join_pages(["Vote 1 failed.\nYes.", "Vote 2 failed.\nNo."]).count("Vote") == 2, "two pages are too few"
    assert "It closes." in join_pages(["It closes."] * 5), "there is nothing else"
    assert join_pages([]) == ""


def test_words_that_were_parted_are_mended() -> None:
    page = (
        "The council and the govern-\nment of the region have now\nagreed on a plan by Franco-\nGerman "
        "engineers, all of them\nof this town. It takes the even-\ning of Monday, and they left."
    )
    assert join_pages([page]) == (
        "The council and the government of the region have now agreed on a plan by Franco-German engineers, all of "
        "them of this town. It takes the evening of Monday, and they left."
    )


@pytest.mark.parametrize("title", ["Microsoft Word - x.doc", "untitled", "layout1.indd", "  ", "12_34"])
def test_titles_of_programs_are_none(title: str) -> None:
    assert read_article(pdf(shown([TITLE, *LINES]), info=f"<< /Title ({title}) >>")).title == TITLE


def test_scans_are_told() -> None:
    with pytest.raises(ReadError, match="no page of this PDF has text"):
        read_article(pdf(b"0 0 m 10 10 l S", b""))
    found = read_article(pdf(shown(LINES), b"", b"q Q"))
    assert found.notes == ("2 of 3 pages have no text: they may be scans.",)


def test_no_more_than_two_hundred_pages_are_read() -> None:
    found = read_article(
        pdf(*[shown([f"{chr(97 + number % 26) * 9} is the word of page {number}."]) for number in range(205)])
    )
    assert found.notes == ("The first 200 of 205 pages were read.",)
    assert "page 199." in found.text
    assert "page 200." not in found.text


def test_passwords() -> None:
    assert read_article(encrypted("")).text == "\n\n".join(PARAGRAPHS)
    with pytest.raises(ReadError, match="locked with a password"):
        read_article(encrypted("secret"))


def test_a_broken_one_is_told() -> None:
    for broken in (b"%PDF-1.4\n%%EOF", pdf(shown(LINES))[:200], b"%PDF-1.7\n" + bytes(range(256)) * 100):
        with pytest.raises(ReadError, match=r"this PDF is broken|no page of this PDF has text"):
            read_article(broken)
