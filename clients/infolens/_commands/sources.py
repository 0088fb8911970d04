"""What the command is asked about: files, links, a text, or the rows of a table."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infolens._transports.url import DEFAULT_HTTP_URL, URL_VARIABLE, parse_url
from infolens.errors import InvalidArticleError, InvalidSettingError, InvalidTableError
from infolens.tables import ArticleRow, Table, read_table
from infolens.types import Article

from .articles import STDIN, parse_article, read_article
from .pages import Page

Work = Article | Page
MAX_TABLE_ROWS: Final = 100_000
MAX_TABLE_BYTES: Final = 256 * 2**20
_TEXT_NAME: Final = "--text"
_HTTP_ADDRESS: Final = "name its HTTP address with --server http://HOST:8000"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where one article comes from."""

    name: str
    """What people call it: a file's name, a link, a row."""
    id: str
    """What it is called in a table of answers."""
    load: Callable[[], Work]
    """Reads it; raises `InfoLensError` where it is no article."""
    title: str | None = None
    url: str | None = None
    is_link: bool = False
    """Whether the server must fetch it."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """All the articles that the command is asked about."""

    all: Sequence[Source]
    notes: Sequence[str] = ()
    """What there is to say of the table that they come from."""
    digest: str = ""
    """Tells one set of articles from another."""

    def __iter__(self) -> Iterator[Source]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)


def find_sources(options: argparse.Namespace) -> Sources:
    """The articles that the options name.

    Raises:
        InvalidSettingError: The options do not fit together, or name none.
        InvalidTableError: The file of ``--in`` is no table of articles.
    """
    if options.table is not None:
        return _of_table(options)
    names: list[str] = options.files
    if options.text is not None:
        if names:
            raise InvalidSettingError(f"--text stands instead of files, but there are {len(names)}; give either")
        names = [_TEXT_NAME]
    if not names:
        raise InvalidSettingError(
            "there is no article; give a FILE, a link, - for the standard input, --text, or a table with --in"
        )
    if names.count(STDIN) > 1:
        raise InvalidSettingError("the standard input holds one article, so - may be given once")
    if options.title is not None and len(names) > 1:
        raise InvalidSettingError(
            f"--title is the title of one article, but there are {len(names)}; put titles into the files instead"
        )
    digest = hashlib.sha256(json.dumps([*names, options.text, options.title]).encode(errors="replace")).hexdigest()
    return Sources(all=[_of_name(name, options) for name in names], digest=digest)


def choose_server(options: argparse.Namespace, sources: Sources) -> None:
    """Have links sent to a server over HTTP: to the usual address where none is named.

    Raises:
        InvalidSettingError: There are links, and the server that is named is spoken to over gRPC.
    """
    links = [source for source in sources if source.is_link]
    if not links:
        return
    to_http(options, f"a link ({links[0].url}) is fetched")


def to_http(options: argparse.Namespace, what: str) -> None:
    """Have the server spoken to over HTTP: at the usual address where none is named.

    Args:
        options: The command's; ``server`` is filled in.
        what: What needs that, for a message: ``a link is fetched``.

    Raises:
        InvalidSettingError: The server that is named is spoken to over gRPC.
    """
    if options.server is None and not os.environ.get(URL_VARIABLE):
        options.server = DEFAULT_HTTP_URL
    if not (url := parse_url(options.server)).is_http:
        raise InvalidSettingError(f"{what} by a server over HTTP, but {url} is an address of gRPC; {_HTTP_ADDRESS}")


def _of_name(name: str, options: argparse.Namespace) -> Source:
    if options.text is not None:
        return Source(name=name, id=name, load=lambda: parse_article(options.text, options.title), title=options.title)
    if re.match(r"(?i)https?://", name):
        page = Page(url=name, title=options.title)
        return Source(name=name, id=name, load=lambda: page, title=options.title, url=name, is_link=True)
    return Source(name=name, id=name, load=lambda: _of_file(name, options), title=options.title)


def _of_file(name: str, options: argparse.Namespace) -> Work:
    def document(data: bytes, refused: InvalidArticleError) -> Page:
        """A document instead of the refusal of a file that is no plain text, where the server can read it."""
        if not parse_url(options.server).is_http:
            raise InvalidArticleError(f"{refused}; or let a server read it: {_HTTP_ADDRESS}") from refused
        return Page(data=data, name=Path(name).name, title=options.title)

    return read_article(name, options.title, document=document)


def _of_table(options: argparse.Namespace) -> Sources:
    for given, flag in ((options.files, "a FILE"), (options.text, "--text"), (options.title, "--title")):
        if given:
            raise InvalidSettingError(f"--in names a table of articles, so {flag} has no place beside it; leave it out")
    data = _read(options.table)
    table: Table = read_table(data, options.table, max_rows=MAX_TABLE_ROWS, max_bytes=MAX_TABLE_BYTES)
    numbered = table.columns["id"] is None
    rows = [_of_row(row, number, numbered=numbered) for number, row in enumerate(table.rows, start=1)]
    return Sources(all=rows, notes=table.notes, digest=hashlib.sha256(data).hexdigest())


def _read(name: str) -> bytes:
    try:
        if name == STDIN:
            return sys.stdin.buffer.read(MAX_TABLE_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_TABLE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InvalidTableError(
            f"--in must name a table that can be read, but {name}: {getattr(error, 'strerror', None) or error}"
        ) from error


def _of_row(row: ArticleRow, number: int, *, numbered: bool) -> Source:
    def load() -> Work:
        if row.error is not None:
            raise InvalidArticleError(row.error)
        if row.text is None:
            return Page(url=row.url, title=row.title)
        return Article(text=row.text, title=row.title)

    return Source(
        name=f"row {number}" if row.id is None else f"row {number} ({row.id})",
        id=row.id or (str(number) if numbered else ""),
        load=load,
        title=row.title,
        url=row.url,
        is_link=row.error is None and row.text is None,
    )
