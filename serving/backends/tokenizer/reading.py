"""Which texts can be read: the rules that all tasks share. `infolens.types` has that of blank texts too."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter

if __package__:
    from .language import is_foreign
else:  # Triton imports its backend as the module "model", with its folder on the path
    from language import is_foreign  # type: ignore[import-not-found, no-redef]

FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc")
"""Letters and symbols of Unicode that show nothing."""
REPLACEMENT = "\ufffd"
"""What decoders write for bytes that they cannot decode; counts as a letter that nobody can read."""
REPLACED = "REPLACEMENT"
"""The first word of its name, which tells the alphabet of letters."""
_NO_ASCII_LETTERS = bytes(byte for byte in range(128) if chr(byte) not in string.ascii_letters)
_FOREIGN = "cannot be read: the models read English, and by its commonest words it is of another language"
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
    ascii_part = text.encode("ascii", "ignore")
    latin = len(ascii_part.translate(None, _NO_ASCII_LETTERS))
    # As in most articles: at least half of the letters are of ASCII, whatever the other characters are.
    if latin and latin >= len(text) - len(ascii_part):
        return _FOREIGN if is_foreign(text) else None
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
        return _FOREIGN if is_foreign(text) else None
    alphabet = others.most_common(1)[0][0]
    if alphabet == REPLACED:
        return f"cannot be read: {share:.0%} of its letters are U+FFFD, as after decoding with a wrong encoding"
    return (
        f"cannot be read: the models read English, but {share:.0%} of its letters are not of the Latin alphabet, most "
        f"are {alphabet if alphabet == 'CJK' else alphabet.capitalize()}"
    )
