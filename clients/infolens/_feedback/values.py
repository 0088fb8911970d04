"""What a server says of one prediction and its ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any


def text_of(document: Mapping[str, Any], name: str) -> str:
    """A member that is a text.

    Raises:
        KeyError: It is not there.
        TypeError: It is none.
    """
    value = document[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Rated:
    """A rating that the server has."""

    id: str
    """The rating's own id."""
    prediction: str = field(repr=False)
    kept: str
    """Where: in the ``database``, or, while that is away, in the ``spool``, from which it goes there."""
    repeated: bool
    """Whether it was there already, under the same idempotency key: it counts once."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Rated:
        """Read an answer.

        Raises:
            TypeError, KeyError: It is none.
        """
        told = {name: text_of(document, name) for name in ("id", "prediction", "kept")}
        return cls(**told, repeated=document["repeated"] is True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgotten:
    """A prediction that the server forgets, with all that was said of it."""

    prediction: str = field(repr=False)
    kept: str
    """Where the order is: carried out in the ``database``, or, while that is away, in the ``spool``."""

    @property
    def done(self) -> bool:
        """Whether it is gone now; otherwise it goes as soon as the database is back."""
        return self.kept == "database"

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Forgotten:
        """Read an answer.

        Raises:
            TypeError, KeyError: It is none.
        """
        return cls(prediction=text_of(document, "id"), kept=text_of(document, "kept"))


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptArticle:
    """What a server keeps of an article."""

    text_sha256: str
    """The SHA-256 of its text in UTF-8, in hexadecimal digits."""
    words: int
    title: str | None = field(default=None, repr=False)
    """None where the server keeps no texts."""
    text: str | None = field(default=None, repr=False)
    """None where the server keeps no texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptAnswer:
    """What a model has answered."""

    model: str
    version: str
    revision: str
    """The first digits of a hash of the model's files."""
    answer: Mapping[str, Any] = field(hash=False, repr=False)
    """The answer as JSON has it: ``text`` of a summary; ``label``, ``signal`` and ``probability`` of others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPrediction:
    """What a server keeps under the id of a prediction."""

    id: str = field(repr=False)
    made: datetime
    until: datetime
    """From then on it is gone."""
    article: KeptArticle
    answers: Mapping[str, KeptAnswer] = field(hash=False)
    """By task; those that a blind audit withholds are not there."""
    audit: bool = False
    """Whether somebody was asked for labels before these were shown."""
    timings: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Milliseconds, by what they were spent on."""
    feedback: tuple[Mapping[str, Any], ...] = field(default=(), hash=False, repr=False)
    """What was said of it, as JSON has it, the earliest first."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> KeptPrediction:
        """Read an answer.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: It is none.
        """
        article = document["article"]
        return cls(
            id=text_of(document, "id"),
            made=datetime.fromisoformat(text_of(document, "made")),
            until=datetime.fromisoformat(text_of(document, "until")),
            article=KeptArticle(
                text_sha256=text_of(article, "text_sha256"),
                words=int(article["words"]),
                title=article.get("title"),
                text=article.get("text"),
            ),
            answers=MappingProxyType({task: _answer(one) for task, one in document["answers"].items()}),
            audit=document.get("audit") is True,
            timings=MappingProxyType({name: float(value) for name, value in (document.get("timings") or {}).items()}),
            feedback=tuple(MappingProxyType(dict(one)) for one in document.get("feedback") or ()),
        )


def _answer(document: Mapping[str, Any]) -> KeptAnswer:
    about = {name: text_of(document, name) for name in ("model", "version", "revision")}
    return KeptAnswer(
        **about, answer=MappingProxyType({name: one for name, one in document.items() if name not in about})
    )
