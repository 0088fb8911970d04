"""Where something is kept: a file of SQLite, or a PostgreSQL that several servers share."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from .kept import Kept

_TIMEOUT_S: Final = 3
"""How long a connection may take to be made, and a statement to be answered."""


def read_url(kept: Kept, given: str | None, cache: Path) -> URL:
    """The address of a store.

    Args:
        kept: What is kept there; it names the errors.
        given: What the command line says; None or empty for the environment variable, and without that a file in the
            cache.
        cache: The folder of the cache.

    Raises:
        ServingError: It is no address of a store. Its words never repeat the address, which may hold a password.
    """
    file = kept.file_in(cache)
    text = given or os.environ.get(kept.variable, "")
    if not text:
        return URL.create("sqlite", database=str(file))
    ways = (
        f"write sqlite:////absolute/path/{file.name} or postgresql+psycopg://USER@HOST/DATABASE ({kept.option} or "
        f"{kept.variable})"
    )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise kept.error(f"the URL of the {kept.what} cannot be read: {ways}") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise kept.error(f"{kept.what} are kept in sqlite or postgresql+psycopg, not in '{url.drivername:.40}': {ways}")
    if url.drivername == "sqlite" and (not url.database or url.database == ":memory:" or url.query):
        raise kept.error(f"the URL of the {kept.what} names no file: {ways}")
    return url


def file_of(url: URL) -> Path | None:
    """The file of a store of SQLite; None for another."""
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def shown(url: URL) -> str:
    """An address as people may read it, without a password."""
    file = file_of(url)
    return str(file) if file is not None else url.set(query={}).render_as_string(hide_password=True)


def make_engine(kept: Kept, url: URL, *, held: int = 0) -> Engine:
    """What connects to a store; it connects to nothing yet.

    Args:
        kept: What is kept there.
        url: Where it is.
        held: Connections that stay open for whoever uses the store all the time; with 0 a file is opened for each use.

    Raises:
        ServingError: The library for PostgreSQL is not there.
    """
    if (file := file_of(url)) is not None:
        address = f"file:{quote(str(file))}?mode=rw"  # a file that is gone is not made anew, and empty, by a look

        def connect() -> Any:
            return sqlite3.connect(address, uri=True, timeout=_TIMEOUT_S, check_same_thread=False)

        if held:
            return create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=held, max_overflow=held)
        return create_engine("sqlite://", creator=connect, poolclass=NullPool)
    arguments = {
        "connect_timeout": _TIMEOUT_S,
        "options": f"-c statement_timeout={1000 * _TIMEOUT_S}",
        "tcp_user_timeout": 1000 * _TIMEOUT_S,  # a machine that is gone without a word
        "application_name": "infolens",
    }
    size = max(held, 1)
    try:
        return create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_size=size, max_overflow=size)
    except ModuleNotFoundError:
        raise kept.error(
            f"{kept.what} in PostgreSQL need the library psycopg, which is not here: .venv/bin/python -m pip install "
            "'psycopg[binary]'"
        ) from None
