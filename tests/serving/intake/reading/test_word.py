"""Word documents: paragraphs and tables in order, title and author; nothing of macros, boxes and what was deleted."""

from __future__ import annotations

from typing import Any

import pytest
from docx.oxml import parse_xml

from serving.intake.errors import ReadError
from serving.intake.reading.articles import read_article
from tests.serving.intake.made import PARAGRAPHS, WORDS, repacked, word

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MACROS = b"application/vnd.ms-word.document.macroEnabled.main+xml"
PLAIN = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"


def test_paragraphs_and_tables_come_in_their_order() -> None:
    def build(document: Any) -> None:
        document.add_heading("Harbour bridge to close", 0)
        document.add_paragraph(PARAGRAPHS[0])
        table = document.add_table(2, 2)
        for cell, text in zip(table._cells, ("Pier", "Cracks", "North", "4"), strict=True):
            cell.text = text
        frame = document.add_table(1, 1).cell(0, 0)
        frame.text = PARAGRAPHS[1]
        frame.add_paragraph(PARAGRAPHS[2])
        document.add_paragraph("A line\tand\nanother\u00a0one")

    found = read_article(word(build, author="Jane Doe", title="Template for news"))
    expected = [PARAGRAPHS[0], "Pier | Cracks", "North | 4", *PARAGRAPHS[1:3], "A line and\nanother one"]
    assert found.text == "\n\n".join(expected)
    assert (found.kind, found.title, found.author) == ("docx", "Harbour bridge to close", "Jane Doe")


def test_changes_controls_and_boxes() -> None:
    def build(document: Any) -> None:
        run = "<w:r><w:t>{}</w:t></w:r>"
        box = f"<w:r><w:pict><w:txbxContent><w:p>{run.format('An advertisement.')}</w:p></w:txbxContent></w:pict></w:r>"
        for content in (
            f"<w:p {W}><w:ins w:id='1' w:author='a'>{run.format('The bridge ')}</w:ins>"
            f"<w:del w:id='2' w:author='a'><w:r><w:delText>does not </w:delText></w:r></w:del>{run.format('closes.')}"
            f"{box}</w:p>",
            f"<w:sdt {W}><w:sdtContent><w:p>{run.format('Ferries cross.')}</w:p></w:sdtContent></w:sdt>",
            f"<w:p {W}><w:hyperlink>{run.format('A link')}</w:hyperlink>{run.format(' ends it.')}</w:p>",
        ):
            document.element.body.insert(len(document.element.body) - 1, parse_xml(content))

    assert read_article(word(build)).text == "The bridge closes.\n\nFerries cross.\n\nA link ends it."


@pytest.mark.parametrize(
    ("title", "first", "expected"),
    [
        ("Harbour bridge to close", WORDS, "Harbour bridge to close"),
        ("Harbour bridge to close", "Harbour bridge to close", "Harbour bridge to close"),
        ("Microsoft Word - draft.doc", "The bridge closes", "The bridge closes"),
        ("Document1", "The bridge closes", "The bridge closes"),
        ("", "The bridge closes", "The bridge closes"),
        ("", "The bridge closes.", None),
    ],
)
def test_its_title(title: str, first: str, expected: str | None) -> None:
    def build(document: Any) -> None:
        document.add_paragraph(first)
        document.add_paragraph(PARAGRAPHS[1])

    found = read_article(word(build, title=title))
    assert found.title == expected
    assert found.text.endswith(PARAGRAPHS[1])
    assert (first in found.text) is (first != expected)


def test_macros_are_refused_by_type_and_passed_over_by_presence() -> None:
    plain = word(lambda document: document.add_paragraph(WORDS))
    with_macros = repacked(plain, word__vbaProject_dot_bin=b"\xd0\xcf\x11\xe0 Sub AutoOpen()")
    found = read_article(with_macros)
    assert (found.text, found.notes) == (WORDS, ("The macros in this document were not looked at.",))
    types = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override '
    types += b'PartName="/word/document.xml" ContentType="' + MACROS + b'"/></Types>'
    with pytest.raises(ReadError, match=r"with macros \(.docm\): save it as .docx"):
        read_article(repacked(with_macros, **{"[Content_Types]_dot_xml": types}))


def test_one_without_text_is_told() -> None:
    with pytest.raises(ReadError, match="there is no text in this Word document"):
        read_article(word(lambda document: None))
