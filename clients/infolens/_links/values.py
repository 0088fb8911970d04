"""What a server has read at a link, and what it answers about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from infolens.types import Report


@dataclass(frozen=True, kw_only=True)
class LinkedArticle:
    """The article that a server has read at a link."""

    url: str
    """Where it was in the end, after redirects."""
    text: str
    """Its paragraphs; places of sentences in the answers count in it."""
    title: str | None = None
    """The headline that the models got."""
    author: str | None = None
    date: str | None = None
    """``YYYY-MM-DD``."""
    site: str | None = None
    language: str | None = None
    reviews: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    """What others have found out about claims, as the page says it: ``claim``, ``rating``, ``publisher``, ``url``,
    ``date``."""
    notes: tuple[str, ...] = ()
    """Sentences for people: what was left out, and what may be wrong."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> LinkedArticle:
        """Read the ``article`` of an answer.

        Raises:
            ValueError, TypeError, KeyError: It is none.
        """
        url, text = document["url"], document["text"]
        if not isinstance(url, str) or not isinstance(text, str):
            raise TypeError("url and text of an article must be strings")
        told = {name: document.get(name) for name in ("title", "author", "date", "site", "language")}
        return cls(
            url=url,
            text=text,
            reviews=tuple(MappingProxyType(dict(review)) for review in document.get("reviews") or ()),
            notes=tuple(map(str, document.get("notes") or ())),
            **{name: value if isinstance(value, str) else None for name, value in told.items()},
        )


@dataclass(frozen=True, kw_only=True)
class LinkedReport:
    """The answers for the article behind a link."""

    report: Report
    article: LinkedArticle
    """What was read there: look at it before you believe what is said about it."""
