"""Word documents (DOCX): paragraphs and tables in their order. Macros and embedded objects are never looked at."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

import docx
from docx.oxml.ns import qn

from serving.intake.documents import ArticleDocument
from serving.intake.errors import ReadError

from .plain import titled
from .text import MAX_TITLE_CHARS, clean, line
from .zips import check_office, unpack

_WHAT: Final = "a Word document"
_BROKEN: Final = "this Word document is broken: open it, save it anew as .docx, and send that"
_TYPES: Final = "[Content_Types].xml"
_PARAGRAPH, _TABLE = qn("w:p"), qn("w:tbl")
_AROUND: Final = frozenset(map(qn, ("w:sdt", "w:sdtContent", "w:ins", "w:moveTo", "w:customXml", "w:smartTag")))
"""What stands around paragraphs without being one: content controls, changes that were taken on."""
_LEFT_OUT: Final = frozenset(
    {*map(qn, ("w:del", "w:moveFrom", "w:txbxContent", "w:pict", "w:object", "w:rPr", "w:pPr")),
     "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"}
)  # fmt: skip
"""What was deleted, boxes beside the text, pictures, objects."""
_CHARACTERS: Final[Mapping[str, str]] = {
    qn("w:tab"): " ",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
}
_TEXT: Final = qn("w:t")
_TITLES: Final = frozenset({"title", "heading 1"})
_NO_TITLE: Final = re.compile(
    r"(?i)(untitled|microsoft word|word document|document ?\d*|dokument ?\d*)\b.{0,40}|.*\.docx?"
)


def read_word(data: bytes, archive: zipfile.ZipFile) -> ArticleDocument:
    """The article of a Word document.

    Raises:
        ReadError: It is broken, has macros (.docm), or holds no text.
    """
    check_office(archive, _WHAT)
    names = archive.namelist()
    if _TYPES in names and b"macroEnabled" in unpack(archive, archive.getinfo(_TYPES)):
        raise ReadError(
            "text, HTML, DOCX and PDF are read, and this is a Word file with macros (.docm): save it as .docx"
        )
    try:
        document: Any = docx.Document(io.BytesIO(data))
        styles = {style.style_id: style.name.lower() for style in document.styles if style.name}
        blocks = [(text, style) for text, style in _blocks(document.element.body, styles) if text]
        properties = document.core_properties
        title, author = line(properties.title, MAX_TITLE_CHARS), line(properties.author)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # the library raises whatever it stumbles over
        raise ReadError(_BROKEN) from None
    if not blocks:
        raise ReadError("there is no text in this Word document (pictures and boxes are not read): send its text")
    author = None if author == "python-docx" else author
    found = _titled(blocks, None if title is None or _NO_TITLE.fullmatch(title) else title)
    notes = ("The macros in this document were not looked at.",) if any("vbaProject" in name for name in names) else ()
    return ArticleDocument(kind="docx", text=found.text, title=found.title, author=author, notes=notes)


def _titled(blocks: list[tuple[str, str]], core: str | None) -> ArticleDocument:
    """The title: a paragraph in that style, else what the document's properties say, else a short first line."""
    for index, (text, style) in enumerate(blocks[:5]):
        heading = line(text, MAX_TITLE_CHARS)
        if heading and style in _TITLES and len(blocks) > 1 and (style == "title" or index == 0):
            rest = [one for place, (one, _) in enumerate(blocks) if place != index]
            return ArticleDocument(kind="docx", text="\n\n".join(rest), title=heading)
    if core is not None:
        rest = [text for text, _ in blocks]
        rest = rest[1:] if len(rest) > 1 and line(rest[0]) == core else rest
        return ArticleDocument(kind="docx", text="\n\n".join(rest), title=core)
    return titled("\n\n".join(text for text, _ in blocks))


def _blocks(parent: Any, styles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Texts of paragraphs and rows in order, each with the name of its style."""
    for element in parent:
        if element.tag == _PARAGRAPH:
            style = element.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
            name = "" if style is None else styles.get(style.get(qn("w:val"), ""), "")
            yield clean("".join(_characters(element))), name
        elif element.tag == _TABLE:
            for row in element.findall(qn("w:tr")):
                yield from _row(row, styles)
        elif element.tag in _AROUND:
            yield from _blocks(element, styles)


def _row(row: Any, styles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    cells = [[text for text, _ in _blocks(cell, styles) if text] for cell in row.findall(qn("w:tc"))]
    cells = [cell for cell in cells if cell]
    if len(cells) == 1:  # a frame around text, not a table
        yield from ((text, "") for text in cells[0])
    elif cells:
        yield " | ".join(" ".join(cell) for cell in cells), ""


def _characters(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == _TEXT:
            yield child.text or ""
        elif child.tag in _CHARACTERS:
            yield _CHARACTERS[child.tag]
        elif child.tag not in _LEFT_OUT:
            yield from _characters(child)
