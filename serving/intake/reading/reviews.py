"""ClaimReview markup (https://schema.org/ClaimReview): what others have found out about claims of a page."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import lxml.etree
from extruct.jsonld import JsonLdExtractor
from extruct.w3cmicrodata import MicrodataExtractor

from serving.intake.documents import MAX_REVIEWS, Review

from .text import line

_TYPE: Final = re.compile(r"(?:https?://schema\.org/|schema:)?ClaimReview")
_SCRIPTS: Final = lxml.etree.XPath("//script[@type='application/ld+json']")
_MICRODATA: Final = lxml.etree.XPath("boolean(//*[@itemscope and contains(@itemtype, 'ClaimReview')])")
_MAX_SCRIPTS: Final = 50
_MAX_SCRIPT_CHARS: Final = 512 * 1024
_MAX_DEPTH: Final = 12
_MAX_CLAIM_CHARS: Final = 2_000
_MAX_URL_CHARS: Final = 2_048
_URL: Final = re.compile(r"(?i)https?://[^\s<>\"'\\]+")
_DATE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")
# What a broken or wild piece of markup makes the extractors raise.
_BROKEN: Final = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, lxml.etree.LxmlError)


def find_reviews(tree: Any, url: str) -> tuple[Review, ...]:
    """The reviews in a page's JSON-LD and microdata, at most `MAX_REVIEWS`; broken markup holds none."""
    found: dict[Review, None] = {}
    for item in _items(tree, url):
        for node in _nodes(item):
            review = _review(node)
            if review is not None:
                found[review] = None
            if len(found) >= MAX_REVIEWS:
                return tuple(found)
    return tuple(found)


def _items(tree: Any, url: str) -> Iterator[Any]:
    extractor = JsonLdExtractor()
    for script in _SCRIPTS(tree)[:_MAX_SCRIPTS]:
        content = script.text or ""
        if "ClaimReview" in content and len(content) <= _MAX_SCRIPT_CHARS:
            with contextlib.suppress(*_BROKEN):  # each by itself: one that is broken hides no other
                yield from extractor.extract_items(script)
    if _MICRODATA(tree):
        with contextlib.suppress(*_BROKEN):
            yield from MicrodataExtractor().extract_items(tree, url or None)


def _nodes(item: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """All objects in a piece of markup, outer ones first; those of microdata as JSON-LD has them."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(item, list):
        for one in item:
            yield from _nodes(one, depth + 1)
    elif isinstance(item, dict):
        flat = _flat(item)
        yield flat
        for value in flat.values():
            yield from _nodes(value, depth + 1)


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    properties = item.get("properties")
    return {"@type": item.get("type"), **properties} if isinstance(properties, dict) else item


def _review(node: dict[str, Any]) -> Review | None:
    kinds = node.get("@type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not any(isinstance(kind, str) and _TYPE.fullmatch(kind) for kind in kinds):
        return None
    claim, rating = _words(node.get("claimReviewed"), _MAX_CLAIM_CHARS), _rating(node.get("reviewRating"))
    if claim is None or rating is None:
        return None
    url, date = _words(node.get("url"), _MAX_URL_CHARS), _DATE.fullmatch(_words(node.get("datePublished")) or "")
    return Review(
        claim=claim,
        rating=rating,
        publisher=_name(node.get("author")) or _name(node.get("publisher")),
        url=url if url is not None and _URL.fullmatch(url) else None,
        date=date[1] if date else None,
    )


def _rating(value: Any) -> str | None:
    """A rating in words; ``2 of 5`` where it has numbers alone."""
    rating = _first(value)
    if not isinstance(rating, dict):
        return _words(rating)
    rating = _flat(rating)
    words = _words(rating.get("alternateName")) or _words(rating.get("name"))
    number, best = _words(rating.get("ratingValue")), _words(rating.get("bestRating"))
    return words or (f"{number} of {best}" if number and best else number)


def _name(value: Any) -> str | None:
    found = _first(value)
    return _words(_flat(found).get("name")) if isinstance(found, dict) else _words(found)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _words(value: Any, most: int = 200) -> str | None:
    value = _first(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = json.dumps(value)
    return line(value, most)
