"""What is kept: predictions, what people said of them, and orders to forget; it passes the spool as JSON."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

ID_CHARACTERS: Final = 22
MAX_STARS: Final = 5
MAX_NOTE_CHARACTERS: Final = 2000
MAX_BETTER_CHARACTERS: Final = 4000
MAX_RATER_CHARACTERS: Final = 64
MAX_TOKEN_CHARACTERS: Final = 64
"""An idempotency key has no more characters."""
_ID_BYTES: Final = 16
_ID: Final = re.compile(rf"[\w-]{{{ID_CHARACTERS}}}", re.ASCII)
_TOKEN: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_TOKEN_CHARACTERS}}}")


def make_id() -> str:
    """A new id of nearly 128 random bits: whoever has a prediction's may rate it. A command takes it for no option."""
    while (made := secrets.token_urlsafe(_ID_BYTES)).startswith("-"):
        pass
    return made


def is_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """Whether a text can be an idempotency key: 1 to `MAX_TOKEN_CHARACTERS` visible characters of ASCII."""
    return _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What one model answered for an article."""

    task: str
    model: str
    version: str
    revision: str
    """The first digits of the SHA-256 of its files."""
    label: str = ""
    """The most probable label; empty for a text."""
    signal: str = ""
    """What was shown in its place: the label, or the words of doubt (`no clear signal`, `unsure`)."""
    probability: float | None = None
    output: Mapping[str, Any] = field(default_factory=dict)
    """The answer as `/v1/analyze` has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """One count towards the drift of a model's articles: they arrive without their texts."""

    task: str
    model: str
    revision: str
    what: str
    """``label``, ``shown`` (whether a label was shown), ``words`` (length) or ``vocabulary``."""
    bucket: str
    """A label; ``shown`` or ``doubt``; the lower end of a range of lengths; a word of the reference, or `other`."""
    count: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """One answer of the server, by its id. Times are microseconds since 1970."""

    KIND: ClassVar[str] = "prediction"

    id: str = field(repr=False)
    made_us: int
    key: str = ""
    """The name of the caller's key; empty where none was needed."""
    route: str = ""
    """By which it was asked, as the metrics name it: ``analyze``, ``analyze_batch``, ``infer``, ..."""
    text_sha256: str
    """The SHA-256 of the article's text in UTF-8."""
    words: int
    """How many the text has, between blanks."""
    title: str | None = field(default=None, repr=False)
    """None where the server keeps no texts."""
    text: str | None = field(default=None, repr=False)
    """None where the server keeps no texts."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds, as the answer has them."""
    answers: tuple[Answered, ...] = ()
    audit: bool = False
    """Whether labels were withheld until the caller has said his own (a blind audit)."""
    tallies: tuple[Tally, ...] = ()

    def answer(self, task: str) -> Answered | None:
        """What was answered for a task."""
        return next((one for one in self.answers if one.task == task), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rating:
    """What one person says of one answer. Exactly one of `stars`, `right` and `label` is needed."""

    task: str
    stars: int | None = None
    """1 to 5, of a text."""
    better: str | None = field(default=None, repr=False)
    """A better text."""
    right: bool | None = None
    """Whether a label is right; None in an audit and where only `label` was given: what was answered decides then."""
    label: str | None = None
    """The right label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What somebody says of a prediction, at once."""

    KIND: ClassVar[str] = "submission"

    id: str = field(repr=False)
    made_us: int
    prediction: str = field(repr=False)
    """The id of the prediction."""
    token: str
    """The idempotency key: of two submissions with the same one the first counts."""
    digest: str
    """The SHA-256 of what was submitted: the same token with another one is an error of the caller."""
    key: str = ""
    """The name of the caller's key; empty where none was needed."""
    rater: str = ""
    """Who says so, as the caller names people; of one rater the latest rating of an answer counts."""
    ratings: tuple[Rating, ...] = ()
    note: str | None = field(default=None, repr=False)
    consent: bool = False
    """Whether it may be used to train models."""
    audit: bool = False
    """Whether it was said before the answer was shown; no ratings then mean that the person passed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Erasure:
    """An order to forget a prediction and all that was said of it."""

    KIND: ClassVar[str] = "erasure"

    prediction: str = field(repr=False)
    made_us: int


Entry = Prediction | Submission | Erasure
_KINDS: Final[Mapping[str, type[Any]]] = {one.KIND: one for one in (Prediction, Submission, Erasure)}
_PARTS: Final[Mapping[str, type[Any]]] = {"answers": Answered, "tallies": Tally, "ratings": Rating}


def to_document(entry: Entry) -> dict[str, Any]:
    """An entry as JSON has it."""
    return {"kind": entry.KIND, **dataclasses.asdict(entry)}


def of_document(document: Mapping[str, Any]) -> Entry:
    """The entry of a document of `to_document`.

    Raises:
        KeyError: It has no kind of ours.
        TypeError: Its fields are not those of the kind.
    """
    values = dict(document)
    kind = _KINDS[values.pop("kind")]
    for name, part in _PARTS.items():
        if name in values:
            values[name] = tuple(part(**one) for one in values[name])
    entry: Entry = kind(**values)
    return entry
