"""What was read out of a file: one article, or a table of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

Kind = Literal["text", "html", "docx", "pdf"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
MAX_REVIEWS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Review:
    """What somebody else found out about a claim, as a page says it in ClaimReview markup (schema.org)."""

    claim: str
    rating: str
    """In the reviewer's words, such as "Mostly false"; "2 of 5" where there are only numbers."""
    publisher: str | None = None
    url: str | None = None
    """Where the review stands: http or https."""
    date: str | None = None
    """``YYYY-MM-DD``."""


@dataclass(frozen=True, kw_only=True)
class ArticleDocument:
    """An article that was read out of a file or page."""

    kind: Kind
    text: str
    """Paragraphs, with a blank line between them. With the title it has at most ``MAX_ARTICLE_BYTES`` of UTF-8."""
    title: str | None = None
    author: str | None = None
    date: str | None = None
    """``YYYY-MM-DD``."""
    site: str | None = None
    language: str | None = None
    """What the document says of itself, such as ``en``."""
    reviews: tuple[Review, ...] = ()
    """At most `MAX_REVIEWS`."""
    notes: tuple[str, ...] = ()
    """Sentences for people: what was left out, and what may be wrong."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "title": self.title,
            "text": self.text,
            "author": self.author,
            "date": self.date,
            "site": self.site,
            "language": self.language,
            "reviews": [dataclasses.asdict(review) for review in self.reviews],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> ArticleDocument:
        """What `to_dict` gave; each value is looked at, since a reading process is not trusted.

        Raises:
            ValueError: It is not of that shape.
        """
        kind, text = document.get("kind"), document.get("text")
        reviews, notes = document.get("reviews"), document.get("notes")
        if kind not in KINDS or not isinstance(text, str):
            raise ValueError("an article has a kind and a text")
        if not isinstance(reviews, list) or len(reviews) > MAX_REVIEWS or not isinstance(notes, list):
            raise ValueError("an article has lists of reviews and notes")
        if not all(isinstance(note, str) for note in notes):
            raise ValueError("notes are texts")
        return cls(
            kind=kind,
            text=text,
            title=_text(document, "title"),
            author=_text(document, "author"),
            date=_text(document, "date"),
            site=_text(document, "site"),
            language=_text(document, "language"),
            reviews=tuple(_review(one) for one in reviews),
            notes=tuple(notes),
        )


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is a text or null")
    return value


def _review(document: Any) -> Review:
    if not isinstance(document, dict):
        raise ValueError("a review is an object")
    claim, rating = _text(document, "claim"), _text(document, "rating")
    if claim is None or rating is None:
        raise ValueError("a review has a claim and a rating")
    publisher, url, date = (_text(document, name) for name in ("publisher", "url", "date"))
    if url is not None and not url.startswith(("http://", "https://")):
        raise ValueError("the url of a review is one of http or https")
    return Review(claim=claim, rating=rating, publisher=publisher, url=url, date=date)


@dataclass(frozen=True, kw_only=True)
class TableDocument:
    """A table of articles, or an archive of them, as the JSON that goes to whoever sent it."""

    json: bytes
    """``kind``, ``columns``, ``rows`` and ``notes``: up to 64 MiB, so nobody parses it on the way."""

    def to_dict(self) -> dict[str, Any]:
        """The document itself."""
        found: dict[str, Any] = json.loads(self.json)
        return found
