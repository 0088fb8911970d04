"""Documents, made on the spot."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import docx

PARAGRAPHS = (
    "The old bridge over the harbour will close for repairs in June, the city said on Monday. Ferries will cross every "
    "ten minutes until the work is done.",
    "Engineers found cracks in two of its piers last winter, when divers looked there for the first time in years.",
    "The repairs will cost twelve million and take until autumn, according to the council. Half of that comes from the "
    "region, which owns the road on the northern bank.",
    "Shopkeepers on both sides fear for their trade. One of them, who sells boats, called the plan a summer without "
    "guests.",
    "The mayor promised free tickets for all who work across the water. Her office will publish a timetable next week.",
    "A second bridge has been talked about since the war, and nothing was ever built.",
)
WORDS = " ".join(PARAGRAPHS)
REVIEW = """{"@context": "https://schema.org", "@graph": [{"@type": "WebPage"}, {"@type": ["ClaimReview"],
"claimReviewed": "The bridge has sunk.", "url": "https://check.example/bridge",
"datePublished": "2026-05-01T08:00:00Z", "author": {"@type": "Organization", "name": "Checkers"},
"reviewRating": {"@type": "Rating", "ratingValue": 2, "bestRating": 5}}]}"""
MICRODATA = """<div itemscope itemtype="http://schema.org/ClaimReview">
<span itemprop="claimReviewed">Ferries are free.</span><a itemprop="url" href="javascript:alert(1)">x</a>
<span itemprop="author" itemscope itemtype="http://schema.org/Person"><span itemprop="name">Ann Lee</span></span>
<span itemprop="reviewRating" itemscope itemtype="http://schema.org/Rating">
<span itemprop="alternateName">Mostly false</span><span itemprop="ratingValue">1</span></span></div>"""


def page(*, head: str = "", end: str = "", paragraphs: Sequence[str] = PARAGRAPHS, lang: str = "en-GB") -> str:
    """A page of a newspaper, with all that stands around an article."""
    body = "".join(f"<p>{one}</p>" for one in paragraphs)
    return f"""<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8"><title>Harbour bridge to close</title>
<meta property="og:site_name" content="The Harbour Post"><meta name="author" content="Jane Doe">
<meta property="article:published_time" content="2026-06-01T10:00:00Z">{head}</head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/sport">Sport and weather</a></li></ul></nav>
<div class="advertisement"><p>Buy our wonderful running shoes today, only here and only now.</p></div>
<article><h1>Harbour bridge to close</h1>{body}</article>
<div id="comments" class="comments"><p>I have always hated it, writes user77, and I am not alone.</p></div>
<footer><p>Copyright The Harbour Post, all rights reserved, imprint, privacy</p></footer>{end}</body></html>"""


def word(build: Callable[[Any], None], **properties: str) -> bytes:
    """A Word document."""
    document = docx.Document()
    build(document)
    for name, value in properties.items():
        setattr(document.core_properties, name, value)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def repacked(data: bytes, **parts: bytes) -> bytes:
    """A ZIP archive with some parts put in the place of others; ``__`` in a name is a slash, ``_dot_`` a point."""
    new = {name.replace("__", "/").replace("_dot_", "."): content for name, content in parts.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for info in old.infolist():
            if info.filename not in new:
                archive.writestr(info.filename, old.read(info))
        for name, content in new.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def shown(lines: Sequence[str]) -> bytes:
    """The content of a page with these lines; an empty one is a blank line."""
    escaped = (line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in lines)
    return b"BT /F1 12 Tf 14 TL 72 760 Td\n" + "".join(f"({line}) Tj T*\n" for line in escaped).encode("cp1252") + b"ET"


def pdf(
    *contents: bytes, info: str = "", packed: bool = False, more: Sequence[bytes] = (), resources: str = ""
) -> bytes:
    """A PDF of one page for each content stream; ``more`` are objects with numbers from 100 on."""
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"}
    kids = []
    for number, content in enumerate(contents):
        place = 4 + 2 * number
        kids.append(f"{place} 0 R")
        objects[place] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {place + 1} 0 R "
            f"/Resources << /Font << /F1 3 0 R >> {resources} >> >>"
        ).encode()
        body, filtered = (zlib.compress(content), "/Filter /FlateDecode") if packed else (content, "")
        objects[place + 1] = f"<< /Length {len(body)} {filtered} >>\nstream\n".encode() + body + b"\nendstream"
    objects[2] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    objects |= dict(enumerate(more, 100))
    if info:
        objects[99] = info.encode("cp1252")
    return assembled(objects, "/Root 1 0 R" + (" /Info 99 0 R" if info else ""))


def slow_pdf() -> bytes:
    """One whose reading takes many minutes: 200 pages with the same million operators."""
    content = zlib.compress(b"BT /F1 1 Tf " + b"(a) Tj " * 1_000_000 + b"ET")
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{' '.join(f'{number} 0 R' for number in range(10, 210))}] /Count 200 >>".encode(),
        3: f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n".encode() + content + b"\nendstream",
        4: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    for number in range(10, 210):
        objects[number] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 3 0 R "
            b"/Resources << /Font << /F1 4 0 R >> >> >>"
        )
    return assembled(objects, "/Root 1 0 R")


def assembled(objects: dict[int, bytes], trailer: str) -> bytes:
    """A PDF of these objects."""
    data = b"%PDF-1.4\n"
    places = {}
    for number, content in objects.items():
        places[number] = len(data)
        data += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    start = len(data)
    data += b"xref\n0 1\n0000000000 65535 f \n"
    data += b"".join(f"{number} 1\n{place:010d} 00000 n \n".encode() for number, place in places.items())
    size = max(objects) + 1
    return data + f"trailer\n<< /Size {size} {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
