"""Files that are meant to do harm, or are broken: each ends in an error with a way out, or in a harmless table."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable

import pytest

from infolens import InvalidTableError
from infolens.tables import read_table
from tests.clients.tables.excel_files import ROWS, part, with_parts, workbook

SHEET = "xl/worksheets/sheet1.xml"
XMLNS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def changed(old: bytes, new: bytes, name: str = SHEET) -> bytes:
    data = workbook(A=ROWS)
    content = part(data, name)
    assert old in content
    return with_parts(data, {name: content.replace(old, new, 1)})


def bomb(size_bytes: int) -> bytes:
    return with_parts(workbook(A=ROWS), {SHEET: b"<a>" * (size_bytes // 3)})


def with_entity(text: str, encoding: str) -> bytes:
    xml = f'<?xml version="1.0" encoding="{encoding}"?>{text}<worksheet xmlns="{XMLNS}"/>'
    return with_parts(workbook(A=ROWS), {SHEET: xml.encode("utf-16" if encoding == "UTF-16" else "ascii")})


def lying(size_bytes: int) -> bytes:
    """The sizes of a part are smaller in the directory than it is."""
    data = bytearray(with_parts(workbook(A=ROWS), {SHEET: b"<a>" * 10**6}))
    at = data.rindex(SHEET.encode()) - 46
    data[at + 24 : at + 28] = struct.pack("<I", size_bytes)
    return bytes(data)


def encrypted() -> bytes:
    data = bytearray(workbook(A=ROWS))
    for at in [at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"]:
        data[at + 8] |= 1
    return bytes(data)


def many_parts() -> bytes:
    buffer = io.BytesIO(workbook(A=ROWS))
    with zipfile.ZipFile(buffer, "a") as archive:
        for number in range(2_500):
            archive.writestr(f"xl/{number}", b"")
    return buffer.getvalue()


def archive(**parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return buffer.getvalue()


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty"),
    "blanks": (lambda: b"\xef\xbb\xbf \r\n\t", "empty"),
    "zeros": (lambda: bytes(1000), "zero bytes"),
    "half of UTF-16": (lambda: b"\xff\xfet\x00e\x00x", "mark of UTF-16"),
    "no column": (lambda: b"a,b\n1,2\n3,4\n", "needs a column with the texts"),
    "a head alone": (lambda: b"id,text\n", "at least one row"),
    "a PDF": (lambda: b"%PDF-1.4 text,title", "a PDF"),
    "old Excel": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Excel file"),
    "gzip": (lambda: b"\x1f\x8b\x08text", "a packed file"),
    "HTML named .csv": (lambda: b" <html><table><tr><td>text</table>", "HTML or XML"),
    "XML with entities": (lambda: b'<?xml version="1.0"?>' + LAUGHS.encode(), "HTML or XML"),
    "a deep array": (lambda: b"[" * 10**6, "is broken in line 1"),
    "an array that ends": (lambda: b'[{"text": "a"}, {"text"', "is broken in line 1"),
    "an array of numbers": (lambda: b"[[1], [2]]", "at least one|needs a column|this one is a list"),
    "a bomb of 300 MB": (lambda: bomb(300 * 10**6), "when it is unpacked"),
    "a bomb of 60 MB": (lambda: bomb(60 * 10**6), "times larger than packed"),
    "a bomb that lies": (lambda: lying(900_000), "archive, but this one is broken|cannot be read"),
    "laughs": (lambda: with_entity(LAUGHS, "UTF-8"), "defines no entities"),
    "laughs in UTF-16": (lambda: with_entity(LAUGHS, "UTF-16"), "must be UTF-8"),
    "laughs in UTF-7": (lambda: with_entity(LAUGHS.replace("<", "+ADw-"), "UTF-7"), "must be UTF-8"),
    "a file of this machine": (
        lambda: with_entity('<!DOCTYPE x SYSTEM "file:///etc/passwd">', "UTF-8"),
        "defines no entities",
    ),
    "a type elsewhere": (
        lambda: with_parts(workbook(A=ROWS), {"docProps/core.xml": b'<!doctype x SYSTEM "http://127.0.0.1:9/">'}),
        "defines no entities",
    ),
    "a password": (encrypted, "no password"),
    "2,500 parts": (many_parts, "at most 2,000 parts"),
    "half an archive": (lambda: workbook(A=ROWS)[:3000], "whole ZIP archive"),
    "no sheets": (lambda: changed(b"sheet1.xml", b"sheet9.xml", "xl/_rels/workbook.xml.rels"), "is empty"),
    "a sheet of garbage": (lambda: with_parts(workbook(A=ROWS), {SHEET: b"\x00garbage"}), "cannot be read|UTF-8"),
    "an xlsb": (lambda: archive(**{"xl/workbook.bin": b"x"}), r"\.xlsb"),
    "a Word document": (lambda: archive(**{"[Content_Types].xml": b"", "word/document.xml": b""}), "another archive"),
    "an archive of texts": (lambda: archive(**{"../../a.txt": b"text"}), "another archive"),
    "a row that is no number": (lambda: changed(b'<row r="2"', b'<row r="x"'), "cannot be read"),
    "a string that is not there": (
        lambda: changed(b't="inlineStr"><is><t>1</t></is>', b't="s"><v>99</v>'),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(name: str) -> None:
    make, words = REFUSED[name]
    try:
        table = read_table(make(), "table.csv")
    except InvalidTableError as error:
        told = str(error)
    else:
        assert all(row.error for row in table.rows)
        told = table.rows[0].error or ""
    assert re.search(words, told), told
    assert len(told) < 400


def test_a_sheet_with_a_cell_in_the_last_corner_is_read_at_once() -> None:
    row = b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
    table = read_table(changed(b"</sheetData>", row))
    assert [one.text for one in table.rows] == ["The bridge is closed."]


def test_a_row_far_beyond_the_last_is_not_waited_for() -> None:
    row = b'<row r="99999999999999"><c r="A1" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
    assert len(read_table(changed(b"</sheetData>", row)).rows) == 1


def test_a_dimension_that_lies() -> None:
    data = changed(b'<dimension ref="A1:B2"', b'<dimension ref="A1:A1"')
    assert read_table(data).rows[0].text == "The bridge is closed."


def test_macros_are_passed_over() -> None:
    types = part(workbook(A=ROWS), "[Content_Types].xml").replace(
        b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
        b"application/vnd.ms-excel.sheet.macroEnabled.main+xml",
    )
    data = with_parts(workbook(A=ROWS), {"[Content_Types].xml": types, "xl/vbaProject.bin": b"Sub Auto_Open()"})
    assert read_table(data, "x.xlsm").rows[0].text == "The bridge is closed."


def test_a_formula_counts_as_what_it_last_gave() -> None:
    table = read_table(workbook(A=[["id", "text"], [1, '=HYPERLINK("http://127.0.0.1:9/","x")']]))
    assert "neither" in (table.rows[0].error or "")


def test_a_quotation_mark_that_is_never_closed_is_told() -> None:
    table = read_table(b'id,text\n1,fine\n2,"open\n3,lost\n4,lost\n')
    assert [row.id for row in table.rows] == ["1", "2"]
    assert "quotation marks near line" in table.notes[0]


def test_zeros_controls_and_lone_surrogates_in_cells() -> None:
    table = read_table(
        b'{"text": "a\\u0000\\ud83d\\ude00\\ud800b", "id": "\\udfff"}\n{"text": " \\u200b ", "id": 1e999}'
    )
    assert table.rows[0].text == "a\0\U0001f600\ufffdb"
    assert table.rows[0].id == "\ufffd"
    assert "blank" in (table.rows[1].error or "")


def test_a_million_columns() -> None:
    assert "cells" in (read_table(b"id,text\n1," + b"x," * 10**6).rows[0].error or "")


def test_hidden_sheets_are_not_read() -> None:
    data = workbook(A=[["x"]], B=ROWS)
    hidden = part(data, "xl/workbook.xml").replace(b'sheetId="2" state="visible"', b'sheetId="2" state="veryHidden"')
    assert b"veryHidden" in hidden
    table = read_table(with_parts(data, {"xl/workbook.xml": hidden}))
    assert [row.text for row in table.rows] == ["x"]
