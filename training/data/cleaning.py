"""Strip what leaks a label without saying anything about the article, and find duplicates.

A model that learns "(Reuters)" means real and "VIDEO:" means fake is worthless on other text. These functions are
pure: text in, text out. They take away pieces of HTML (`markup`), datelines with their agency, bylines, markers in
brackets or capitals, names of the fact-checkers that the collections were built with, publisher boilerplate, and links.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from .markup.stripping import without_markup

_AGENCIES: Final = (
    r"(?:Thomson\s+)?Reuters(?:\s+Health|\s+Breakingviews)?|AP|Associated Press|AFP|UPI|CNN|Bloomberg|WaPo"
)

_DATELINE: Final = re.compile(
    rf"""^\s*
        (?:[A-Z][\w.'’/-]*(?:[ ,]+[\w.'’/-]+){{0,6}}\s*,?\s*)?   # LONDON, or WEST PALM BEACH, Fla.
        \(\s*(?:{_AGENCIES})\s*\)\s*
        (?:[-–—:]+\s*)?
    """,
    re.VERBOSE | re.MULTILINE,
)
_AGENCY_IN_BRACKETS: Final = re.compile(rf"\(\s*(?:{_AGENCIES})\s*\)\s*(?:[-–—]+\s*)?")
_CAPITALS_DATELINE: Final = re.compile(
    r"^\s*[A-Z][A-Z.'’ ]{3,30}(?:,\s*[A-Z][\w. ]{1,15})?\s*(?:--|–|—)\s+(?=[A-Z\"“‘'])", re.MULTILINE
)
_REUTERS: Final = re.compile(
    r"\b(?:told|tells|telling)\s+(?:Thomson\s+)?Reuters\b|\b(?:Thomson\s+)?Reuters(?:[’']s?)?\b\s*"
)
_CHECKERS: Final = re.compile(
    r"\b(?:Gossip\s?Cop(?:[’']s)?|GossipCop|Snopes(?:\.com)?|PolitiFact(?:\.com)?|FactCheck\.org|21st Century Wire"
    r"|21WIRE|InfoWars|Infowars|Breitbart)\b",
    re.IGNORECASE,
)
_MEDIA: Final = re.compile(
    r"[\[(]\s*(?:VIDEOS?|IMAGES?|PHOTOS?|PICS?|PICTURES?|AUDIO|GRAPHIC|TWEETS?|SCREENSHOTS?|DETAILS|WATCH|UPDATED?)"
    r"[^\])]{0,30}[\])]",
    re.IGNORECASE,
)
_MARKER: Final = re.compile(
    r"(?:^|(?<=[.!?|\n]))\s*(?:WATCH|VIDEO|BREAKING(?:\s+NEWS|\s+VIDEO)?|JUST IN|EXCLUSIVE|Exclusive|UPDATE(?:\s+\d+)?"
    r"|BOMBSHELL|BOOM|OOPS|WOW|LOL|ALERT|PHOTOS?|LISTEN|REPORT|FLASHBACK|Factbox|Fact [Cc]heck|Explainer|Timeline"
    r"|Highlights)\s*(?:[:!|–—]|-\s)+\s*",
    re.MULTILINE,
)
_TAIL_MARKER: Final = re.compile(
    r"\s{0,20}[-–—|:(\[]{0,20}\s{0,20}\b(?:VIDEO|WATCH|PHOTOS|READ MORE)\b[\s!.)\]]*$", re.MULTILINE
)
_BYLINE: Final = re.compile(
    r"^[^\S\n]*(?:By|BY|Written by|Posted by|Reported by)(?:[^\S\n]+(?:and|[A-Z][\w.'’-]*),?){1,7}"
    r"(?:[^\S\n]*\|.{0,60}|[^\S\n]+(?:Staff|Contributor|Editor|Reporter|Correspondent).{0,40})?[^\S\n]*$",
    re.MULTILINE,
)
_REPORTING: Final = re.compile(
    r"[\[(]?\b(?:Additional\s+)?(?:Reporting|Writing|Editing|Compiled)\s+by\s+[^.\n]{3,160}(?:[.\n]|$)"
)
_BOILERPLATE: Final = re.compile(
    r"^(?=.{0,200}$).*(?:Our Standards: The Thomson|All rights reserved|Featured image|Image via|Photo by|Getty Images"
    r"|via AP|Screen ?capture|This material may not be published|Read more:|Sign up for|Subscribe to|Follow us on"
    r"|Follow .{1,30} on Twitter|Copyright ©).*$",
    re.IGNORECASE | re.MULTILINE,
)
"""Only short lines: in a text without line breaks the whole article would go with the phrase."""

_TITLE_TAIL: Final = re.compile(r"\s+(?:[|»•]|[-–—]{1,2})\s+[^|»•–—]{2,40}$")
_LINK: Final = re.compile(
    r"(?:https?://|www\.|pic\.twitter\.com/|t\.co/|bit\.ly/)\S+"
    r"|\b[\w-]{1,60}(?:\.[\w-]{1,60}){0,4}\.(?:com|org|net|co|info)\b(?:/\S*)?"
    r"|(?<!\w)@\w{2,30}"
)
_ROOM: Final = re.compile(r"\s{20,}")
"""White space without end, at each character of which a pattern would look for its beginning again."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028\u2029\ufeff\ufffd]+")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r"\s*\n\s*")
_NOT_WORD: Final = re.compile(r"[\W_]+")


def clean_text(text: str) -> str:
    """An article without HTML, links, datelines, bylines, markers and boilerplate; paragraphs end in one line break."""
    text = _ROOM.sub(_narrowed, _CONTROL.sub(" ", without_markup(text)))
    text = _LINK.sub(" ", text)
    for pattern in (_BOILERPLATE, _BYLINE, _REPORTING, _DATELINE, _AGENCY_IN_BRACKETS, _CAPITALS_DATELINE, _MEDIA):
        text = pattern.sub(" ", text)
    for pattern in (_MARKER, _CHECKERS, _REUTERS):
        text = pattern.sub(" ", text)
    return _collapse(text)


def clean_title(title: str) -> str:
    """A headline without HTML, markers such as ``WATCH:`` and ``[VIDEO]``, and the publisher's name at its end."""
    title = _ROOM.sub(" ", _CONTROL.sub(" ", without_markup(title)))
    title = _LINK.sub(" ", title).replace("\n", " ").strip()
    title = _MEDIA.sub(" ", title).strip()
    if len(title.split()) > 5:  # a short title may be all that stands before the dash
        title = _TITLE_TAIL.sub("", title)
    title = _TAIL_MARKER.sub("", _MARKER.sub(" ", title))
    title = _REUTERS.sub(" ", _CHECKERS.sub(" ", title))
    return _collapse(title)


def clean_summary(summary: str) -> str:
    """A reference summary without HTML, which a model would learn to write; one without any comes back as it is."""
    plain = without_markup(summary)
    return summary if plain == summary else _collapse(plain)


def _narrowed(room: re.Match[str]) -> str:
    return "\n" if "\n" in room[0] else " "


def _collapse(text: str) -> str:
    return _LINES.sub("\n", _BLANKS.sub(" ", text)).strip()


def fingerprint(text: str) -> str:
    """A hash of the words of a text: equal for texts that differ in case, punctuation and white space only."""
    words = _NOT_WORD.sub(" ", text.lower()).strip()
    return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()


def split_of(text: str, *, validation: float, test: float) -> str:
    """Assign a text to ``train``, ``validation`` or ``test`` by its fingerprint, the same on every machine.

    Raises:
        ValueError: The fractions are negative or leave nothing to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        raise ValueError(
            f"validation and test are fractions that leave something to train on, not {validation} and {test}"
        )
    position = int(fingerprint(text)[:12], 16) / 16**12  # uniform in [0, 1)
    if position < test:
        return "test"
    return "validation" if position < test + validation else "train"
