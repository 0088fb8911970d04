"""Cells that no spreadsheet program takes for a formula, whoever wrote what is in them. Pure.

After "CSV Injection" of the OWASP Foundation: a text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage
return may be run when the file is opened, and may send the other cells away.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_STARTS: Final = frozenset("=+-@\u2212")
"""What a formula begins with; the last one is the minus sign of typesetters."""
_CONTROLS: Final = frozenset("\t\r\n")
_INNER: Final = re.compile(r"([;\t][ \t]{0,8})(?=[=+\-@])")
"""A formula behind a character that separates cells where a list is written so, as in German spreadsheets."""


def is_formula(text: str) -> bool:
    """Whether a text may be taken for a formula: blanks and marks that are not seen may stand before it."""
    for char in text:
        if char in _CONTROLS:
            return True
        if not (char.isspace() or unicodedata.category(char) in ("Cc", "Cf")):
            # Full-width, small and raised forms become the plain ones.
            return unicodedata.normalize("NFKC", char)[:1] in _STARTS
    return False


def defused(text: str) -> str:
    """The text with an apostrophe before what may be taken for a formula, which has it taken for a text."""
    text = _INNER.sub(r"\1'", text)
    return f"'{text}" if is_formula(text) else text
