"""Files that were made to do harm, each with what the door may say of it."""

from __future__ import annotations

import codecs
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.serving.intake.made import WORDS, assembled, page, pdf, repacked, shown, slow_pdf, word, zipped

MIB = 2**20
XMLNS = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
READ = "answered"


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One of them."""

    make: Callable[[], bytes]
    expected: str
    """A regular expression that fits the words of its refusal, or `READ` where it does no harm."""
    name: str = ""
    """Under which it is sent."""


def document() -> bytes:
    return word(lambda made: made.add_paragraph(WORDS))


def xml_bomb(root: bytes) -> bytes:
    entities = b'<!ENTITY a0 "lol">' + b"".join(
        b'<!ENTITY a%d "%s">' % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 10)
    )
    return b'<?xml version="1.0"?><!DOCTYPE a [' + entities + b"]>" + root.replace(b"TEXT", b"&a9;")


def word_with(body: bytes) -> bytes:
    return repacked(document(), word__document_dot_xml=body)


def deflated(size: int) -> bytes:
    """So many zeros, without having them."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


def flat_zip_bomb() -> bytes:
    """One lump of deflated zeros to which many entries point (Fifield, 2019)."""
    lump = deflated(15 * MIB)[2:-4]
    head = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 33, 0, len(lump), 15 * MIB, 1, 0) + b"a"
    entries = b"".join(
        struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 33, 0, len(lump), 15 * MIB, 1, 0, 0, 0, 0, 0, 0)
        + b"a"
        for _ in range(1500)
    )
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1500, 1500, len(entries), len(head) + len(lump), 0)
    return head + lump + entries + end


def nested_zip_bomb() -> bytes:
    inner = zipped({f"{number}.txt": bytes(MIB) for number in range(10)})
    for _ in range(3):
        inner = zipped({f"{number}.zip": inner for number in range(10)})
    return inner


def many_entries(count: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}", b"")
    return buffer.getvalue()


def encrypted_pdf() -> bytes:
    encrypt = b"<< /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <" + b"61" * 32 + b"> /U <" + b"62" * 32 + b"> >>"
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [] /Count 0 >>", 3: encrypt}
    return assembled(objects, "/Root 1 0 R /Encrypt 3 0 R /ID [<61> <61>]")


def looping_pages() -> bytes:
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 9999 >>",
        3: b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Parent 2 0 R /Count 9999 >>",
    }
    return assembled(objects, "/Root 1 0 R")


def looping_form() -> bytes:
    form = b"<< /Type /XObject /Subtype /Form /Resources << /XObject << /X 100 0 R >> >> /Length 10 >>\n"
    form += b"stream\n/X Do /X Do\nendstream"
    return pdf(b"/X Do " + shown([WORDS]), more=[form], resources="/XObject << /X 100 0 R >>")


def looping_xref() -> bytes:
    good = pdf(shown([WORDS]))
    start = good.rindex(b"startxref") + 10
    place = int(good[start:].split()[0])
    return good.replace(b"/Root 1 0 R", b"/Prev %d /Root 1 0 R" % place)


def workbook(sheet: bytes, strings: bytes = b"") -> bytes:
    """An Excel file written by hand."""
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = b"http://schemas.openxmlformats.org/package/2006"
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml."
    types = (
        b'<Types xmlns="%s/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
        % package
    )
    types += (
        b'package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="%ssheet.main+xml"/>' % kind
    )
    types += b'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="%sworksheet+xml"/></Types>' % kind
    book = b'<workbook xmlns="%s" xmlns:r="%s"><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>'
    link = b'<Relationships xmlns="%s/relationships"><Relationship Id="r1" Type="%s/%s" Target="%s"/></Relationships>'
    files = {
        "[Content_Types].xml": types,
        "_rels/.rels": link % (package, office, b"officeDocument", b"xl/workbook.xml"),
        "xl/workbook.xml": book % (main, office),
        "xl/_rels/workbook.xml.rels": link % (package, office, b"worksheet", b"worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": sheet.replace(b"MAIN", main),
    }
    if strings:
        files["xl/sharedStrings.xml"] = strings
    return zipped(files)


SHEET = (
    b'<worksheet xmlns="MAIN"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>'
    b'<row r="2"><c r="A2" t="inlineStr"><is><t>TEXT</t></is></c></row></sheetData></worksheet>'
)
ARTICLES = {
    "16 MiB of <div>": Hostile(make=lambda: b"<div>" * (16 * MIB // 5), expected="a page may have", name="a.html"),
    "a page of 60,000 elements": Hostile(
        make=lambda: page(end="<b>x</b>" * 60_000).encode(), expected="a page may have"
    ),
    "a page nested 100,000 deep": Hostile(
        make=lambda: b"<!DOCTYPE html><body>" + b"<i>" * 100_000 + WORDS.encode(), expected="a page may have|no article"
    ),
    "entities in a page": Hostile(
        make=lambda: xml_bomb(b"<html><body><p>TEXT</p></body></html>"), expected="no article|READ", name="a.html"
    ),
    "a file of the machine in a page": Hostile(
        make=lambda: (
            b'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><body><article><p>'
            + WORDS.encode()
            + b"</p><p>&x; is what stands there, and more than that.</p></article></body></html>"
        ),
        expected=READ,
    ),
    "a page with a million attributes": Hostile(
        make=lambda: b"<html><body><p " + b" ".join(b"a%d=1" % number for number in range(1_000_000)) + b">x",
        expected="no article|takes longer",
    ),
    "markup of reviews nested 100,000 deep": Hostile(
        make=lambda: page(
            head='<script type="application/ld+json">"ClaimReview"' + '[{"a":' * 100_000 + "</script>"
        ).encode(),
        expected=READ,
    ),
    "entities in a Word document": Hostile(
        make=lambda: word_with(
            xml_bomb(b"<w:document %s><w:body><w:p><w:r><w:t>TEXT</w:t></w:r></w:p></w:body></w:document>" % XMLNS)
        ),
        expected="document type or entities",
    ),
    "entities in UTF-16 in a Word document": Hostile(
        make=lambda: word_with(
            codecs.BOM_UTF16_LE
            + '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY a "b">]><a/>'.encode("utf-16-le")
        ),
        expected="document type or entities",
    ),
    "a Word document of 100 MiB": Hostile(
        make=lambda: repacked(document(), **{f"word__media__{number}": bytes(10 * MIB) for number in range(10)}),
        expected="unpacked, and this one has",
    ),
    "a Word document with a part of zeros": Hostile(
        make=lambda: repacked(document(), word__media__a=bytes(15 * MIB)), expected="200 times"
    ),
    "a Word document nested 2,000 deep": Hostile(
        make=lambda: word_with(
            b"<w:document %s><w:body>" % XMLNS + b"<w:sdt><w:sdtContent>" * 1_000 + b"</w:body></w:document>"
        ),
        expected="broken|nested",
    ),
    "a Word document whose names climb": Hostile(
        make=lambda: repacked(document(), **{"..__..__tmp__climbed": b"x"}), expected=READ
    ),
    "a Word document whose styles point outside": Hostile(
        make=lambda: repacked(
            document(),
            word___rels__document_dot_xml_dot_rels=b'<Relationships xmlns="http://schemas.openxmlformats.org/package/'
            b'2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
            b'relationships/styles" Target="http://127.0.0.1:9/styles.xml" TargetMode="External"/></Relationships>',
        ),
        expected="broken|READ",
    ),
    "an old Office document": Hostile(
        make=lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), expected="old Office"
    ),
    "a PDF with nothing in it": Hostile(
        make=lambda: b"%PDF-1.7\n" + bytes(range(256)) * 1000, expected="broken|no page"
    ),
    "a PDF with a password": Hostile(make=encrypted_pdf, expected="password|broken"),
    "a PDF whose pages are their own parents": Hostile(
        make=looping_pages, expected="broken|no page|takes longer|nested"
    ),
    "a PDF with a form within itself": Hostile(make=looping_form, expected="READ|broken|takes longer|nested"),
    "a PDF whose table of places points at itself": Hostile(make=looping_xref, expected="READ|broken"),
    "a PDF with a stream of 500 MiB": Hostile(
        make=lambda: assembled(
            {
                1: b"<< /Type /Catalog /Pages 2 0 R >>",
                2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
                3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
                4: (lambda body: b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(body), body))(
                    deflated(500 * MIB)
                ),
            },
            "/Root 1 0 R",
        ),
        expected="broken|memory|no page",
    ),
    "a PDF that is drawn for minutes": Hostile(
        make=slow_pdf,
        expected="takes longer than one may take",
    ),
    "a PDF that is a page too": Hostile(make=lambda: pdf(shown([WORDS])) + page().encode(), expected=READ),
    "a page that is an archive too": Hostile(make=lambda: page().encode() + zipped({"a.txt": b"x"}), expected=READ),
    "an image that is called a text": Hostile(
        make=lambda: b"\x89PNG\r\n\x1a\n" + bytes(900), expected="an image", name="story.txt"
    ),
    "16 MiB of zeros": Hostile(make=lambda: bytes(16 * MIB), expected="this file is empty"),
    "zeros in a text": Hostile(make=lambda: WORDS.encode().replace(b" ", b"\0 "), expected="neither text"),
    "halves of pairs in UTF-16": Hostile(
        make=lambda: codecs.BOM_UTF16_LE + f"{WORDS}\ud800 \udfff".encode("utf-16-le", "surrogatepass"), expected=READ
    ),
    "16 MiB of one word": Hostile(make=lambda: b"a" * (16 * MIB), expected=READ),
    "16 MiB of line ends": Hostile(make=lambda: b"a" + b"\r\n" * (8 * MIB - 1), expected=READ),
}
TABLES = {
    "a flat zip bomb": Hostile(make=flat_zip_bomb, expected=READ),
    "a nested zip bomb": Hostile(make=nested_zip_bomb, expected=READ),
    "an archive of 100,000 entries": Hostile(make=lambda: many_entries(100_000), expected="at most 2,000 entries"),
    "an archive whose names climb": Hostile(
        make=lambda: zipped({"../../../tmp/climbed.txt": WORDS.encode(), "/etc/climbed.txt": WORDS.encode()}),
        expected=READ,
    ),
    "an archive that is cut short": Hostile(make=lambda: zipped({"a.txt": WORDS.encode()})[:-30], expected="broken"),
    "entities in a workbook": Hostile(make=lambda: workbook(xml_bomb(SHEET)), expected="."),
    "a workbook of 100 MiB": Hostile(
        make=lambda: workbook(SHEET, b"<sst>" + b" " * (200 * MIB) + b"</sst>"), expected="."
    ),
    "formulas in cells": Hostile(
        make=lambda: b'id,title,text\r\n1,=HYPERLINK("http://a"),"=cmd|\' /C calc\'!A0 and words"\r\n', expected=READ
    ),
    "a table with a cell of 15 MiB": Hostile(make=lambda: b'text\r\n"' + b"a" * (15 * MIB) + b'"\r\n', expected=READ),
    "a table with a million columns": Hostile(make=lambda: b"text" + b",a" * 1_000_000 + b"\n", expected="."),
    "a table of a million rows": Hostile(make=lambda: b"text\n" + b"word and word\n" * 1_000_000, expected=READ),
    "JSON nested 1,000,000 deep": Hostile(make=lambda: b"[" * 1_000_000, expected="."),
    "a table with a quote that never ends": Hostile(
        make=lambda: b'id,text\n1,"' + b"word,\n" * 1_000_000, expected="."
    ),
}
