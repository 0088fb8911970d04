"""What the tests of the page do over and over: paste, drop, wait; and files that they make."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

TITLE = "Harbour bridge to close"
TEXT = (
    "The old bridge over the harbour will close for repairs in June, the city said on Monday. Ferries will cross every "
    "ten minutes until the work ends in autumn. Shop owners on the north shore fear for their trade."
)
_DROP = """async ([name, data, type]) => {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


def paste(page: Page, text: str, title: str = "") -> None:
    """Fill the form, and ask."""
    page.get_by_label("Headline").fill(title)
    page.get_by_label("Article text").fill(text)
    page.get_by_role("button", name="Analyze").click()


def answered(page: Page) -> None:
    """Wait for all three answers."""
    page.locator(".summary-text").wait_for()
    page.locator(".category .bars").first.wait_for()
    page.locator(".veracity .bars").first.wait_for()


def until(page: Page, holds: Callable[[], bool], patience_s: float = 60.0) -> None:
    """Wait until something holds. (Playwright's own way of waiting would need a policy that lets strings be code.)"""
    ends_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < ends_s, page.locator("main").inner_text()
        page.wait_for_timeout(30)


def drop(page: Page, name: str, data: bytes, media_type: str) -> None:
    """Drop a file on the page, as from the desktop."""
    page.evaluate(_DROP, [name, base64.b64encode(data).decode(), media_type])


def a_pdf(title: str, sentences: Sequence[str]) -> bytes:
    """A PDF of one page: a line for every eight words."""
    lines = [title, ""]
    for sentence in sentences:
        words = sentence.split()
        lines += [" ".join(words[start : start + 8]) for start in range(0, len(words), 8)]
    shown = "\n".join(f"({line.translate({40: '[', 41: ']'})}) Tj T*" for line in lines)
    content = f"BT /F1 11 Tf 14 TL 60 780 Td\n{shown}\nET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    body, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end
