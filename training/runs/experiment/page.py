"""The files of a report: ``index.html``, which needs nothing else, and ``report.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.runs.output import check_place, write_whole
from training.runs.pages.rendering import render

from .picture import picture
from .report import NO_RUNS, markdown, origin, sections, title
from .tell import Told

PAGE: Final = "index.html"
TABLES: Final = "report.md"
_TEMPLATE: Final = Path(__file__).with_name("page.html.j2")

_WORDS: Final = frozenset(
    {"alias", "base", "file", "articles", "hashes", "why", "status", "promoted, or why not", "other settings"}
)
"""Columns of words, which begin at the left."""


def write_pages(told: Told, folder: Path) -> tuple[Path, Path]:
    """Write the page and the Markdown; what is there already is replaced. Returns their paths.

    Raises:
        StorageError: The folder cannot be written to.
    """
    check_place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / PAGE, page(told))
    write_whole(folder / TABLES, markdown(told))
    return folder / PAGE, folder / TABLES


def page(told: Told) -> str:
    """The page as HTML."""
    pictures = [picture(one) for one in told.tasks]
    return render(
        _TEMPLATE,
        title=title(told),
        origin=origin(told),
        sections=list(zip(sections(told), pictures, strict=True)),
        empty=NO_RUNS,
        words=_WORDS,
    )
