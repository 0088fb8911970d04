"""Web pages: the article without menus, advertisements and comments, by trafilatura, on our bytes alone.

A. Barbaresi, "Trafilatura: A Web Scraping Library and Command-Line Tool for Text Discovery and Extraction", ACL 2021.
Nothing is fetched and nothing written: it gets a parsed tree.
"""

from __future__ import annotations

import re
from typing import Any, Final

import lxml.html
from lxml import etree
from trafilatura import bare_extraction

from serving.intake.documents import ArticleDocument
from serving.intake.errors import ReadError

from .charset import decode
from .reviews import find_reviews
from .text import MAX_TITLE_CHARS, clean, line

MAX_ELEMENTS: Final = 50_000
"""A long page of a newspaper has some 5,000."""
_MAX_DEPTH: Final = 200
"""The libraries go down a page by calling themselves."""
_LEAST_CHARS: Final = 250
"""A shorter article is looked for again, less strictly."""
_LINE: Final = re.compile(r"\n+")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_LANGUAGE: Final = re.compile(r"(?i)\s*([a-z]{2,3})\b")
_DATES: Final = {"extensive_search": False, "original_date": True, "outputformat": "%Y-%m-%d"}
_NOTHING: Final = (
    "no article was found in this page: it may be a list of articles, be written by a script, or have to be paid for; "
    "copy the text of the article and send that"
)


def read_page(data: bytes, *, url: str = "", header: str = "") -> ArticleDocument:
    """The article of a web page, with what the page says of it and the reviews of claims in its markup.

    Args:
        data: The page.
        url: Where it was fetched; empty for a file.
        header: The ``Content-Type`` with which it came.

    Raises:
        ReadError: It is nested or built too heavily, or holds no article.
    """
    tree = _parse(decode(data, header=header, markup=True))
    reviews = find_reviews(tree, url)
    language = _LANGUAGE.match(tree.get("lang") or tree.get("{http://www.w3.org/XML/1998/namespace}lang") or "")
    strict = _extract(tree, url, strict=True)
    found, notes = strict, tuple[str, ...]()
    if strict is None or len(strict.text or "") < _LEAST_CHARS:
        loose = _extract(tree, url, strict=False)
        if loose is not None and len(loose.text or "") > 2 * len(strict.text or "" if strict else ""):
            found = loose
            notes = ("The article could not be told from the rest of the page for certain: see whether this is it.",)
    if found is None or not clean(found.text or ""):
        raise ReadError(_NOTHING)
    title = line(found.title, MAX_TITLE_CHARS)
    return ArticleDocument(
        kind="html",
        title=title,
        text=_body(found.text, title),
        author=line((found.author or "").replace(";", ",")),
        date=found.date if isinstance(found.date, str) and _DATE.fullmatch(found.date) else None,
        site=line(found.sitename),
        language=language[1].lower() if language else None,
        reviews=reviews,
        notes=notes,
    )


def _parse(text: str) -> Any:
    """The tree of a page; entities that it declares are never resolved, as HTML has it."""
    parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        tree = lxml.html.document_fromstring(text.replace("\0", "").encode("utf-8", "replace"), parser=parser)
    except (etree.LxmlError, ValueError, AssertionError):
        raise ReadError(_NOTHING) from None
    depth = most = count = 0
    for event, _ in etree.iterwalk(tree, events=("start", "end")):
        count += event == "start"
        depth += 1 if event == "start" else -1
        most = max(most, depth)
        if count > MAX_ELEMENTS or most > _MAX_DEPTH:
            raise ReadError(
                f"a page may have {MAX_ELEMENTS:,} elements, {_MAX_DEPTH} deep, and this one has more: copy the text "
                "of its article and send that"
            )
    return tree


def _extract(tree: Any, url: str, *, strict: bool) -> Any:
    """What trafilatura finds; None where that is nothing, or where it stumbles over the page."""
    try:
        return bare_extraction(
            tree,
            url=url or None,
            include_comments=False,
            include_tables=True,
            with_metadata=True,
            date_extraction_params=dict(_DATES),
            favor_precision=strict,
            favor_recall=not strict,
        )
    except (MemoryError, RecursionError):
        raise
    except Exception:  # broken markup: the library raises whatever it stumbles over
        return None


def _body(text: str, title: str | None) -> str:
    """Its paragraphs, each of which is a line; a first one that only repeats the title is left out."""
    # Rows of tables come as | one | two |, lines under their heads as | --- |.
    paragraphs = [one.strip("| ") for one in _LINE.split(clean(text)) if one.strip("| -")]
    if len(paragraphs) > 1 and title is not None and line(paragraphs[0]) == title:
        paragraphs = paragraphs[1:]
    return "\n\n".join(paragraphs)
