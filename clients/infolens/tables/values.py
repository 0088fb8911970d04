"""What a table of articles holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

MAX_ROWS: Final = 10_000
MAX_TEXT_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class ArticleRow:
    """A row of a table: an article by its text or by its link, or why it is none."""

    id: str | None = None
    """The table's own name for it, of at most 128 characters."""
    title: str | None = None
    text: str | None = None
    url: str | None = None
    """An http or https link."""
    error: str | None = None
    """Why the row cannot be analyzed, in a sentence; then ``text`` is None."""

    def to_dict(self) -> dict[str, str | None]:
        """``{"id": ..., "title": ..., "text": ..., "url": ..., "error": ...}``, each a string or None."""
        return {"id": self.id, "title": self.title, "text": self.text, "url": self.url, "error": self.error}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of articles."""

    kind: str
    """``csv`` (whatever stands between the cells), ``xlsx``, ``jsonl`` or ``json``."""
    columns: Mapping[str, str | None]
    """Which of the table's columns was taken for ``text``, ``title``, ``url`` and ``id``; None where none was."""
    rows: tuple[ArticleRow, ...]
    notes: tuple[str, ...] = ()
    """Sentences for people on what was read otherwise than they may expect, and on what was left out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON has it: ``{"kind", "columns": {...}, "rows": [{...}, ...], "notes": [...]}``."""
        return {
            "kind": self.kind,
            "columns": dict(self.columns),
            "rows": [row.to_dict() for row in self.rows],
            "notes": list(self.notes),
        }
