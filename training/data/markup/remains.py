"""Count the texts of a table that hold pieces of HTML, before cleaning and after it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

# Wider than what cleaning takes out, so that what it leaves is counted too.
_KINDS: Final = {
    "character references": re.compile(r"&(?:#\w{2,7}|[A-Za-z]\w{1,31});"),
    "references without their &": re.compile(
        r"(?:(?<![\w&])(?:amp|lt|gt|apos)|(?<!ali)quot|(?<!&)\#(?!(\d)\1\1;)\d{2,5});"
    ),
    "tags": re.compile(r"</?[A-Za-z!?][^<>]{0,500}>"),
}
_AROUND: Final = 16
"""Characters of an example on both sides of what was found."""
_EXAMPLES: Final = 3


@dataclass(kw_only=True)
class Remains:
    """How many rows hold pieces of HTML, by kind."""

    rows: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """Kind -> rows that have it; a row may have several."""
    examples: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Kind -> the first rows that have it, counted from 1, and what stands there."""

    def add(self, row: int, *texts: str) -> None:
        """Look at the texts of a row.

        Args:
            row: Its number, from 1.
            texts: Its article, and what else is read of it.
        """
        found = {kind: piece for text in texts for kind, piece in pieces(text)}
        self.rows += bool(found)
        for kind, piece in found.items():
            self.kinds[kind] += 1
            examples = self.examples.setdefault(kind, [])
            if len(examples) < _EXAMPLES:
                examples.append((row, piece))

    def told(self) -> str:
        """The kinds in words, the most frequent first, each with an example."""
        shown = (
            f"{kind} {rows:,} (row {self.examples[kind][0][0]}: {self.examples[kind][0][1]!r})"
            for kind, rows in sorted(self.kinds.items(), key=lambda item: (-item[1], item[0]))
        )
        return ", ".join(shown)

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "rows": self.rows,
            "kinds": {
                kind: {"rows": rows, "examples": [{"row": row, "text": text} for row, text in self.examples[kind]]}
                for kind, rows in sorted(self.kinds.items())
            },
        }


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """The kinds of HTML that a text holds, each with the first piece and a few characters around it."""
    if not (";" in text or "<" in text):
        return
    for kind, pattern in _KINDS.items():
        if match := pattern.search(text):
            end = min(match.end(), match.start() + 2 * _AROUND) + _AROUND
            yield kind, " ".join(text[max(0, match.start() - _AROUND) : end].split())
