"""Lines of printed pages to paragraphs: running heads dropped, words mended, lines joined."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

_EDGE_LINES: Final = 3
"""Running heads and feet are looked for in so many lines at each end of a page."""
_LEAST_PAGES: Final = 3
_NUMBER: Final = re.compile(r"\d+")
_PAGE_NUMBER: Final = re.compile(
    r"(?i)[-\u2013\s]*(?:page|p\.|seite)?\s*\d{1,4}(?:\s*(?:/|of|von)\s*\d{1,4})?[-\u2013\s]*"
)
_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])[-\u2010]$")
_SENTENCE_END: Final = re.compile(r"[.!?:][\"'\u201d\u2019)\]]*$")
_SHORT: Final = 0.75
"""A line this much shorter than others, with which a paragraph begins, is a heading."""
_FITS: Final = 0.9
"""Where a sentence ends and the next word would have fitted into so much of the line, a paragraph ends."""


def join_pages(pages: Sequence[str]) -> str:
    """The text of pages as paragraphs with a blank line between them.

    Args:
        pages: The text of each page that has any, in lines as they were printed.
    """
    split = [page.split("\n") for page in pages]
    heads = _running(split)
    kept = [text for page in split for text in _kept(page, heads)]
    # Where nothing else is on the pages, what they share is the text.
    return _paragraphs(kept or [text for page in split for text in page])


def _form(text: str) -> str:
    """A line without its numbers: the head of page 3 is that of page 4."""
    return _NUMBER.sub("#", text.strip().lower())


def _ends(page: Sequence[str]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The outermost lines at both ends of a page: place and distance, which is below 0 from the bottom."""
    places = [index for index, text in enumerate(page) if text.strip()]
    top = [(index, number) for number, index in enumerate(places[:_EDGE_LINES])]
    return top, [(index, -1 - number) for number, index in enumerate(places[: -1 - _EDGE_LINES : -1])]


def _running(pages: Sequence[Sequence[str]]) -> frozenset[tuple[int, str]]:
    """Lines that stand at the same distance from an end of most pages: distance and form."""
    if len(pages) < _LEAST_PAGES:
        return frozenset()
    counts = Counter((distance, _form(page[index])) for page in pages for end in _ends(page) for index, distance in end)
    return frozenset(line for line, count in counts.items() if count > len(pages) / 2)


def _kept(page: Sequence[str], heads: frozenset[tuple[int, str]]) -> list[str]:
    """The lines of a page but its head and foot: running lines, from the outermost on, and the number of the page."""
    dropped: set[int] = set()
    for end in _ends(page):
        for index, distance in end:
            if (distance, _form(page[index])) not in heads and not _PAGE_NUMBER.fullmatch(page[index]):
                break
            dropped.add(index)
    return [text for index, text in enumerate(page) if index not in dropped]


def _width(lines: Sequence[str]) -> int:
    """How long a full line is: nine of ten are no longer."""
    lengths = sorted(len(text) for text in lines if text)
    return lengths[len(lengths) * 9 // 10] if lengths else 0


def _paragraphs(lines: Sequence[str]) -> str:
    width = _width(lines)
    paragraphs, current = [], ""
    for text, after in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        parted = _HYPHEN.search(text) is not None
        if current and _HYPHEN.search(current) and text:
            # "govern-" and "ment" are one word; "Franco-" and "German" keep their hyphen.
            current = (current[:-1] if text[0].islower() else current) + text
        elif not current and not parted and len(text) < _SHORT * width:
            current, text = text, ""  # a heading, or a paragraph of one line
        else:
            current = f"{current} {text}" if current and text else current or text
        first = after.partition(" ")[0]
        ended = _SENTENCE_END.search(text) is not None and len(text) + 1 + len(first) <= _FITS * width
        if not text or ended:
            paragraphs.append(current)
            current = ""
    return "\n\n".join(one for one in (*paragraphs, current) if one.strip())
