"""Lists in one option, such as ``Sports,Sci/Tech=Business``; double quotes hold a name that has a comma or ``=``.

As in CSV a quote inside of quotes is written twice: ``"Law, Order"="Crime & Courts"``, ``"the ""new"" west, 2"``.
Quotes in the middle of a name are a part of it.
"""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?=[,=]|\Z)')


def split_outside(text: str, separator: str) -> list[str]:
    """The parts of a text between the separators that stand outside of quotes; quotes stay."""
    found, start, position, opens = [], 0, 0, True
    while position < len(text):
        if opens and (quoted := _QUOTED.match(text, position)):
            position, opens = quoted.end(), False
            continue
        if text[position] == separator:
            found.append(text[start:position])
            start = position + 1
        opens = text[position] in ",="
        position += 1
    return [*found, text[start:]]


def unquoted(part: str) -> str:
    """A part without blanks at its ends and, where it stands in quotes as a whole, without these."""
    whole = _QUOTED.fullmatch(part)
    return whole[1].replace('""', '"') if whole else part.strip()


def quoted(name: str) -> str:
    """A name as it is written in a list: in quotes where it needs them."""
    if name != name.strip() or name.startswith('"') or "," in name or "=" in name:
        return '"' + name.replace('"', '""') + '"'
    return name
