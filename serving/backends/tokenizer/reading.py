"""Which texts can be read: the rules that all tasks share. `infolens.types` has that of blank texts too."""

from __future__ import annotations

import unicodedata
from collections import Counter

FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc")
"""Letters and symbols of Unicode that show nothing."""
REPLACEMENT = "\ufffd"
"""What decoders write for bytes that they cannot decode; counts as a letter that nobody can read."""
REPLACED = "REPLACEMENT"
"""The first word of its name, which tells the alphabet of letters."""
LARGEST_SHARE = 0.5
"""So much of a text's letters may be of other alphabets: a quotation is, a whole text is not."""


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: white space, control and format characters, marks without a letter."""
    return not any(unicodedata.category(char)[0] in "LNPS" and char not in FILLERS for char in text)


def why_unreadable(text: str) -> str | None:
    """Why models of English cannot read a text that is not blank; None when they can.

    Tokenizers do not tell: one that falls back to bytes has no unknown tokens, and others know letters of alphabets
    that their model never learned to read. So the letters decide.
    """
    if text.isascii():
        return None if any(map(str.isalpha, text)) else "has no letter, and the models read English sentences"
    letters = Counter({char: n for char, n in Counter(text).items() if char.isalpha() or char == REPLACEMENT})
    if not letters:
        return "has no letter, and the models read English sentences"
    others: Counter[str] = Counter()
    for char, count in letters.items():
        alphabet = unicodedata.name(char, "UNKNOWN").split()[0]
        if alphabet != "LATIN":
            others[alphabet] += count
    share = others.total() / letters.total()
    if share <= LARGEST_SHARE:
        return None
    alphabet = others.most_common(1)[0][0]
    if alphabet == REPLACED:
        return f"cannot be read: {share:.0%} of its letters are U+FFFD, as after decoding with a wrong encoding"
    return (
        f"cannot be read: the models read English, but {share:.0%} of its letters are not of the Latin alphabet, most "
        f"are {alphabet if alphabet == 'CJK' else alphabet.capitalize()}"
    )
