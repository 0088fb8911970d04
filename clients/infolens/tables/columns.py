"""Which column of a table is what, and rows of cells to rows of articles. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from infolens.errors import InvalidArticleError, InvalidTableError
from infolens.types import Article

from .values import ArticleRow, Table

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text", "body", "article", "content", "story"),
    "title": ("title", "headline"),
    "url": ("url", "link", "href"),
    "id": ("id", "name", "key", "uuid"),
}
"""The names of columns that are understood, by what they hold; an earlier one counts more."""
ROWS_LOOKED_AT: Final = 5
"""The line with the names of the columns is one of the first so many that are not empty."""
MAX_COLUMNS: Final = 256
_MAX_ID_CHARS: Final = 128
_MAX_URL_CHARS: Final = 2048
_LINK: Final = re.compile(r"(?i)https?://[^\s/?#]+\S*")
_NOT_IN_NAMES: Final = re.compile(r"[\s_\ufeff\u200b]+")
_HEAD: Final = re.compile(r"\w[\w .-]{0,39}")
_LONGEST_NAME_CHARS: Final = 80
_LONG_CHARS: Final = 80


def plain(name: str) -> str:
    """The name of a column without what does not matter: case, blanks and underscores."""
    return _NOT_IN_NAMES.sub("", name).casefold()


def choose(names: Sequence[str]) -> dict[str, int | None]:
    """Which column holds what, as its place among ``names``; None where no column does."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(plain(name), place)
    return {what: next((places[name] for name in known if name in places), None) for what, known in NAMES.items()}


def fits(names: Sequence[str]) -> bool:
    """Whether these are the names of columns of which one holds texts or links."""
    places = choose(names)
    return places["text"] is not None or places["url"] is not None


def find_head(rows: Sequence[Sequence[str]]) -> int | None:
    """Which of the first rows of a table has the names of its columns; None where none has.

    Such a row is made of short cells, of which one is a name for texts or links.
    """
    for place, row in enumerate(rows[:ROWS_LOOKED_AT]):
        if fits(row) and all(len(cell) <= _LONGEST_NAME_CHARS for cell in row):
            return place
    return None


def looks_like_names(cells: Sequence[str]) -> bool:
    """Whether the cells are short words, as names of columns are."""
    return all(map(_HEAD.fullmatch, cells))


def no_column(names: Sequence[str]) -> InvalidTableError:
    """The error for a table without a column that is needed."""
    shown = ", ".join(repr(name[:40]) for name in names[:12]) + (", ..." if len(names) > 12 else "")
    return InvalidTableError(
        f"a table needs a column with the texts ({', '.join(NAMES['text'])}) or with links "
        f"({', '.join(NAMES['url'])}), but this one has {shown}; name the column so in its first line"
    )


def is_link(value: str) -> bool:
    """Whether a cell holds an http or https link and nothing else."""
    return _LINK.fullmatch(value.strip()) is not None


def shown(value: object) -> str | None:
    """A cell as text; None for an empty one.

    Raises:
        ValueError: It holds no text and no number.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)
    if isinstance(value, bool | int | datetime | date | time | timedelta):
        return str(value)
    raise ValueError(f"a cell holds text, but this one holds a {type(value).__name__}; write the text itself there")


class Gathering:
    """Gathers the rows of a table, up to its limits, and what there is to say of them.

    Args:
        max_rows: Rows beyond are left out, with a note.
        max_bytes: So much text at most, counted as UTF-8; rows beyond are left out, with a note.
    """

    def __init__(self, *, max_rows: int, max_bytes: int) -> None:
        self.max_rows = max_rows
        self._max_bytes = max_bytes
        self._bytes = 0
        self._rows: list[ArticleRow] = []
        self._notes: list[str] = []
        self._no_links = 0
        self._cut_ids = 0

    def note(self, words: str) -> None:
        """Say something of the table to whoever reads it."""
        self._notes.append(words)

    def add(self, cells: Mapping[str, object], *, problem: str | None = None) -> bool:
        """Take a row.

        Args:
            cells: Its cells, by what they hold: keys of `NAMES`.
            problem: Why it is no article, where that is known already.

        Returns:
            Whether there is room for another one; where there is none, this one was left out.
        """
        if len(self._rows) >= self.max_rows:
            self.note(f"the table has more than {self.max_rows:,} rows: only the first {self.max_rows:,} were read")
            return False
        row = self._row(cells, problem)
        self._bytes += len((row.text or "").encode()) + len((row.title or "").encode())
        if self._bytes > self._max_bytes:
            self.note(
                f"the table has more than {self._max_bytes / 2**20:,.0f} MiB of text: only the first "
                f"{len(self._rows):,} rows were read"
            )
            return False
        self._rows.append(row)
        return True

    def _row(self, cells: Mapping[str, object], problem: str | None) -> ArticleRow:
        values: dict[str, str | None] = dict.fromkeys(NAMES)
        for what, cell in cells.items():
            try:
                values[what] = shown(cell)
            except ValueError as error:
                problem = problem or f"{what}: {error}"
        key, title, url = (value and value.strip() for value in (values["id"], values["title"], values["url"]))
        text = values["text"]
        if key and len(key) > _MAX_ID_CHARS:
            key, self._cut_ids = f"{key[: _MAX_ID_CHARS - 1]}…", self._cut_ids + 1
        if url and not (is_link(url) and len(url) <= _MAX_URL_CHARS):
            if text is None:
                problem = problem or (
                    f"a link begins with http:// or https:// and has at most {_MAX_URL_CHARS:,} characters, "
                    f"but this one is {url[:80]!r}"
                )
            self._no_links += text is not None
            url = None
        problem = problem or _problem(text, title, url)
        if problem is not None:
            # Of a title that is no title either, the beginning tells people which row it is.
            return ArticleRow(id=key, title=title and title[:200], url=url, error=problem)
        return ArticleRow(id=key, title=title, text=text, url=url)

    def table(self, kind: str, columns: Mapping[str, str | None]) -> Table:
        """The table of the rows that were taken.

        Raises:
            InvalidTableError: There are none.
        """
        if not self._rows:
            raise InvalidTableError("a table needs at least one row with an article, but this one has none")
        if self._no_links:
            self.note(f"{_rows(self._no_links)} a link that is no http or https link; it was left out")
        if self._cut_ids:
            self.note(f"{_rows(self._cut_ids)} an id of more than {_MAX_ID_CHARS} characters; it was cut")
        return Table(kind=kind, columns=columns, rows=tuple(self._rows), notes=tuple(self._notes))


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"


def _problem(text: str | None, title: str | None, url: str | None) -> str | None:
    """Why a row is no article; None where it is one."""
    if text is None:
        return None if url else "a row needs a text or a link, but this one has neither"
    try:
        Article(text=text, title=title)
    except InvalidArticleError as error:
        return str(error)
    return None


def gather_single(values: Sequence[str], gathering: Gathering) -> dict[str, str | None]:
    """Take the rows of a table with one column: texts, or links where every value is one.

    Args:
        values: Its cells that are not empty, from the first line on.
        gathering: Takes the rows.

    Returns:
        The columns, as `Table.columns` has them.
    """
    first, rest = values[0].strip("\ufeff \t\r\n"), values[1:]
    known = plain(first) in {name for names in NAMES.values() for name in names}
    if not known and rest and _HEAD.fullmatch(first) and all(len(one) > _LONG_CHARS or is_link(one) for one in rest):
        gathering.note(f"the first line, {first!r}, was taken for the name of the column")
        known = True
    name, found = (first, rest) if known else ("1", list(values))
    what = "url" if found and all(map(is_link, found)) else "text"
    gather([{what: value} for value in found], gathering)
    return {**dict.fromkeys(NAMES), what: name}


def gather(rows: Iterable[Mapping[str, object]], gathering: Gathering) -> None:
    """Take rows while there is room."""
    for row in rows:
        if not gathering.add(row):
            return


def note_above(rows: int, gathering: Gathering) -> None:
    """Say that rows above the names of the columns were left out."""
    if rows:
        gathering.note(f"what stands above the names of the columns was left out, rows: {rows}")
