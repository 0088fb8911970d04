"""Split news prose into sentences with a regular expression.

No model and no download: the splitter has to run at training time on hundreds of thousands of articles and must give
the same sentences everywhere. It knows the abbreviations that news uses most, initials, decimal numbers and quotes.
"""

from __future__ import annotations

import re
from typing import Final

_SHORT_FORMS = """
    mr mrs ms dr prof rev hon st sr jr gen col lt sgt capt cmdr maj adm gov sen rep pres supt
    jan feb mar apr jun jul aug sep sept oct nov
    dec vs etc inc ltd co corp bros no nos vol fig al ft mt ave blvd rd dept
    est approx cf ca e.g i.e a.m p.m u.s u.k u.n e.u d.c ph.d
"""
_ABBREVIATIONS: Final = frozenset(_SHORT_FORMS.split())
"""Words, lower case and without their last full stop, after which a full stop seldom ends a sentence."""

_RARELY_LAST: Final = frozenset(
    {"a.m", "p.m", "u.s", "u.k", "u.n", "e.u", "d.c", "inc", "ltd", "co", "corp", "etc", "jr", "sr"}
)
"""Abbreviations that may end a sentence: they do when a capitalised function word follows."""

_OPENING_WORDS = """
    the a an he she it they we i you this that these those but and in on at for as when while after before if there
"""
_OPENERS: Final = frozenset(_OPENING_WORDS.split())

_BOUNDARY: Final = re.compile(
    r"""(?P<stop>[.!?…]+["'”’)\]]*)   # the end of a sentence, with its closing quotes and brackets
        \s+
        (?=["'“‘(\[]*[A-Z0-9])        # the next one opens with a capital or a digit
    """,
    re.VERBOSE,
)
_PARAGRAPH: Final = re.compile(r"\s*\n\s*")
_LAST_WORD: Final = re.compile(r"(\S+)$")


def split_sentences(text: str) -> list[str]:
    """Split a text into sentences, in order, stripped and never empty.

    A line break always ends a sentence. White space inside a sentence is collapsed to single blanks.
    """
    sentences: list[str] = []
    for paragraph in _PARAGRAPH.split(text):
        start = 0
        for match in _BOUNDARY.finditer(paragraph):
            if _is_boundary(paragraph, match):
                _keep(sentences, paragraph[start : match.end("stop")])
                start = match.end()
        _keep(sentences, paragraph[start:])
    return sentences


def _keep(sentences: list[str], sentence: str) -> None:
    sentence = " ".join(sentence.split())
    if sentence:
        sentences.append(sentence)


def _is_boundary(paragraph: str, match: re.Match[str]) -> bool:
    stop = match.group("stop")
    if stop != ".":
        return True  # "!", "?", an ellipsis or a closing quote: no abbreviation ends so
    last = _LAST_WORD.search(paragraph, max(0, match.start() - 40), match.start())
    if last is None:
        return True
    word = last.group(1).lower().lstrip("\"'“‘([")
    following = re.match(r"[\"'“‘(\[]*(\w+)", paragraph[match.end() :])
    opens = following is not None and following.group(1).lower() in _OPENERS
    if word in _ABBREVIATIONS:
        return word in _RARELY_LAST and opens
    if len(word) == 1 and word.isalpha() and word != "i":
        return False  # an initial: "George W. Bush"
    if re.fullmatch(r"(?:[a-z]\.)+[a-z]", word):
        return opens  # "F.B.I.", "J.R.R."
    return True
