"""Where the sentences of an English news text are, by rules.

A sentence ends at a full stop, an exclamation or question mark or an ellipsis, with the quotation marks and brackets
that close after it, when what follows may begin one; and at a line break, unless the text is wrapped there. The rules
know abbreviations, initials, decimals, lists, addresses of the web, and who said what was quoted. No model and no
library, so that training, export and serving find the same sentences, in a fraction of a millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_TITLES: Final = _words("mr mrs ms mx dr prof messrs mme mlle")
"""After these no sentence ends."""
_SHORT: Final = _words(
    "rev hon st ste sr jr gen col lt sgt capt cmdr maj adm gov sen rep reps sens pres supt det insp cpl pvt atty",
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat",
    "inc ltd co corp bros plc llc univ assn intl ave blvd rd dept ft mt hwy",
    "ala ariz ark calif colo conn del fla ga ill ind kan ky la md mass mich minn miss mo mont neb nev okla ore pa tenn",
    "tex vt va wash wis wyo ont",
)
"""With a capital: names of months, firms, states and offices. A sentence ends after them only if a word follows that
seldom stands in a name."""
_SMALL: Final = _words("vs etc est approx cf ca al viz resp e.g i.e a.m p.m")
"""Like those, in small letters too."""
_NUMBERED: Final = _words(
    "no nos fig figs vol pp p sec ch art pt jan feb mar apr jun jul aug sep sept oct nov dec",
)
"""After these no sentence ends if a number follows."""
_OPENERS: Final = _words(
    "the a an he she it they we i you this that these those there here but and or so yet in on at for from with by to",
    "of as when while after before if since until although though because despite during under over about into once",
    "what who why how where which his her its their our my your no not some many most all both each every one another",
    "such than then now still also however meanwhile instead later earlier only even just perhaps according nor among",
)
"""Words that open sentences and are seldom the second word of a name."""
_LETTERED: Final = _words("plan vitamin hepatitis group type class grade category section part phase option")
"""A single letter after these is no initial."""
_EXCLAIMED: Final = _words("yahoo jeopardy")
"""Names with an exclamation mark."""
_DOMAINS: Final = _words("com org net gov edu js io tv uk")
_SAYING: Final = "said|says|asked|asks|told|wrote|writes|added|tweeted|shouted|cried|replied|wondered"

_QUOTES = "\"'”’»"
_END: Final = re.compile(
    rf"""(?P<stop>[.!?…](?<![.!?…][.!?…])[.!?…]*+)(?P<close>[{_QUOTES})\]]*+(?:\[\d{{1,3}}\])*+)
        (?:(?P<gap>\s++(?:[•*–—-]++\s*+)?+["'“‘«(\[$£€]*+)|[“‘«(\[]?)
        (?=(?P<next>\w+))""",
    re.VERBOSE,
)
"""Nothing in it is tried twice at a place, so that no text takes long; it begins with a set of characters, which `re`
finds several times as fast as an assertion."""
_LAST_WORD: Final = re.compile(r"[^\s\"'“‘«(\[–—]++$")
_SAID: Final = re.compile(rf"(?:[A-Z][\w.’'-]*\s+){{1,4}}(?:{_SAYING})\b")
_DOTTED: Final = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]|[Pp]h\.D")
_LINE: Final = re.compile(r"[^\n\r\v\f\x85\u2028\u2029]+")
_BREAK: Final = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_ITEM: Final = re.compile(r"\s*(?:[•*·‣▪–—-]\s|\(?\w{1,2}[.)]\s)")
_NARROWEST, _WIDEST = 50, 120
"""A text whose longest line has fewer or more characters is not wrapped."""


def split(text: str) -> list[tuple[int, int]]:
    """Find the sentences of a text.

    Args:
        text: Any text. One without capitals is split where small letters follow a full stop.

    Returns:
        The first character of each sentence and the one past its last, in order and without overlap. None begins or
        ends with a blank, and each has a letter or a digit; all letters and digits of the text are in one of them.
    """
    found: list[tuple[int, int]] = []
    small = not any(map(str.isupper, text))
    for begin, end in _blocks(text):
        start = begin
        for match in _END.finditer(text, begin, end):
            if _ends(text, start, match, small=small):
                _keep(found, text, start, match.end("close"))
                start = match.end("close")
        _keep(found, text, start, end)
    return found


def _keep(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    if any(map(str.isalnum, piece)):
        left = len(piece) - len(piece.lstrip())
        found.append((start + left, start + len(piece.rstrip())))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """The lines of a text, and those together that are one line, wrapped."""
    spans = [match.span() for match in _LINE.finditer(text) if not match.group().isspace()]
    lines = [text[start:end].rstrip() for start, end in spans]
    width = max(map(len, lines), default=0)
    near = [len(_BREAK.findall(text, one[1], other[0])) == 1 for one, other in pairwise(spans)]
    full = [close and _full(*pair, width) for close, pair in zip(near, pairwise(lines), strict=True)]
    wrapped = _NARROWEST <= width <= _WIDEST and sum(near) >= 2 and 2 * sum(full) >= sum(near)
    begin = 0
    for index, (_, end) in enumerate(spans):
        if index < len(near) and near[index] and _goes_on(*lines[index : index + 2], wrapped=wrapped and full[index]):
            continue
        yield spans[begin][0], end
        begin = index + 1


def _full(line: str, following: str, width: int) -> bool:
    """Whether the first word of the following line would have made a line too long."""
    return len(line) + 1 + len(following.split(maxsplit=1)[0]) > width


def _goes_on(line: str, following: str, *, wrapped: bool) -> bool:
    """Whether a line goes on in the following one."""
    if _ITEM.match(following):
        return False
    return wrapped or (following.lstrip()[0].islower() and line[-1] not in ".!?…:;")


def _ends(text: str, start: int, match: re.Match[str], *, small: bool) -> bool:
    """Whether a sentence that began at ``start`` ends where ``match`` has found a sign of it."""
    stop, close, following = match.group("stop", "close", "next")
    found = _LAST_WORD.search(text, max(start, match.start() - 40), match.start())
    word = found.group() if found else ""
    if match.group("gap") is None:
        return _missing_blank(word, match)
    if not (following[0].isupper() or following[0].isdigit() or small or re.match("[a-z]{1,2}[A-Z]", following)):
        return False
    opens = following.lower() in _OPENERS or (following[0].islower() and not small)
    quoted = any(map(_QUOTES.__contains__, close))
    if stop[-1] in "!?":
        said = quoted and not opens and _SAID.match(text, match.start("next"))
        return not said and not (word.lower() in _EXCLAIMED and not opens)
    if stop != "." or quoted:
        return True
    lower = word.lower()
    if lower in _TITLES or (lower in _NUMBERED and following[0].isdigit()):
        return False
    before = text[max(start, match.start() - len(word) - 40) : match.start() - len(word)].split()
    if word.isdigit() and len(word) <= 3 and not before:
        return False  # the number of an item
    if lower in _SMALL or (lower in _SHORT and (small or word[0].isupper())) or _DOTTED.fullmatch(word):
        return opens
    if len(word) == 1 and word.isalpha():
        lettered = before and (before[-1].lower() in _LETTERED or (word == "I" and before[-1].islower()))
        return opens or bool(lettered)
    return True


def _missing_blank(word: str, match: re.Match[str]) -> bool:
    """Whether a sentence ends and the next one begins without a blank between them, as where a page was scraped."""
    following = match.group("next")
    text, after = match.string, match.end("next")
    return (
        word.isalpha()
        and word[1:].islower()
        and len(word) > 1
        and len(match.group("stop")) == 1
        and following[0].isupper()
        and (following[1:].islower() or following in ("A", "I"))
        and following.lower() not in _DOMAINS
        and text[after : after + 1] in (" ", ",", "’", "'")
    )
