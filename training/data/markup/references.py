"""Character references of HTML, such as ``&quot;`` and ``&#39;``: those that are whole, and those without their ``&``.

Collections of news often went through a step that put a blank where the ``&`` was, or nothing: ``Britain #39;s``,
``S amp;P``, `` quot;yes quot;``. Such a blank is taken away where the words say that none was meant.
"""

from __future__ import annotations

import html
import re
from html.entities import html5
from typing import Final

_ROUNDS: Final = 5
"""How often a text may have been escaped: ``&amp;amp;nbsp;`` is two times more than once."""
_WHOLE: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Words of prose end like the first names ("lamp;", "salt;"); like the second ones none does but "aliquot".
_LOST: Final = re.compile(
    r"(?P<blank>\ {0,2})"
    r"(?:(?<![\w&])(?P<name>amp|lt|gt)"
    r"|(?<!&)(?<!ali)(?P<ending>quot|apos|nbsp|[lr][sd]quo|[mn]dash|hellip)"
    r"|(?<!&)(?:(?<!\w)amp)?\#(?P<number>\d{2,5}));"
)
_SUFFIX: Final = re.compile(r"(?:s|t|re|ve|ll|d|m)\b", re.IGNORECASE)
_PREFIX: Final = re.compile(r"\b[ODL]\Z", re.IGNORECASE)
"""``O #39;Neill`` and ``d #39;Or``."""
_APART: Final = frozenset("&–—")
"""Characters that touch the words on both sides, or none."""
_PUNCTUATION: Final = frozenset(
    code
    for codes in (
        *(range(33, 48), range(58, 65), range(91, 97), range(123, 127)),
        *(range(130, 141), range(145, 157), range(160, 256)),  # as Windows counts, and Latin-1
        *(range(0x2010, 0x2045), range(0x20AC, 0x20AD), range(0x2122, 0x2123)),
    )
    for code in codes
)
"""What ``#39;`` may stand for; other numbers are ranks, or colours of a style sheet."""


def with_characters(text: str) -> str:
    """A text with characters in place of the references to them, however often they were escaped."""
    for _ in range(_ROUNDS if ";" in text else 0):
        found = _LOST.sub(_restored, _unescaped(text))
        if found == text:
            break
        text = found
    return text


def _unescaped(text: str) -> str:
    for _ in range(_ROUNDS if "&" in text else 0):
        found = _WHOLE.sub(_character, text)
        if found == text:
            break
        text = found
    return text


def _character(match: re.Match[str]) -> str:
    reference = match[0]
    # `html.unescape` takes the beginning of an unknown name for a known one: "&notice;" would be "¬ice;".
    return html.unescape(reference) if reference[1] == "#" or reference[1:] in html5 else reference


def _restored(match: re.Match[str]) -> str:
    number = match["number"]
    if number:
        colour = len(number) == 3 and len(set(number)) == 1
        if colour or int(number) not in _PUNCTUATION:
            return match[0]
        character = html.unescape(f"&#{number};")
    else:
        character = html5[f"{match['name'] or match['ending']};"]
    return (" " if _keeps_blank(match, character) else "") + character


def _keeps_blank(match: re.Match[str], character: str) -> bool:
    """Whether a blank stands before the character, beside the one that the ``&`` may have left."""
    if len(match["blank"]) != 1:
        return bool(match["blank"])
    following = match.string[match.end() : match.end() + 3]
    if character in _APART:
        return following[:1].isspace()
    before = match.string[max(0, match.start() - 2) : match.start()]
    joins = character in "'’" and (_SUFFIX.match(following) or _PREFIX.search(before))
    return following[:1].isalnum() and not joins
