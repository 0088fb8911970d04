"""Where the keys are kept: a file of SQLite, or a PostgreSQL that several servers share."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from serving.errors import KeysError

VARIABLE: Final = "INFOLENS_KEYS_URL"
_TIMEOUT_S: Final = 3
"""How long a connection may take to be made, and a statement to be answered."""
_FORMS: Final = "sqlite:////absolute/path/keys.sqlite3 or postgresql+psycopg://USER@HOST/DATABASE"


def read_url(given: str | None, cache: Path) -> URL:
    """The address of the store.

    Args:
        given: What the command line says; None or empty for the environment variable `VARIABLE`, and without that a
            file in the cache.
        cache: The folder of the cache.

    Raises:
        KeysError: It is no address of a store. Its words never repeat the address, which may hold a password.
    """
    text = given or os.environ.get(VARIABLE, "")
    if not text:
        return URL.create("sqlite", database=str(cache.resolve() / "keys" / "keys.sqlite3"))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise KeysError(f"the URL of the keys cannot be read: write {_FORMS} (--keys-url or {VARIABLE})") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise KeysError(
            f"keys are kept in sqlite or postgresql+psycopg, not in '{url.drivername:.40}': write {_FORMS} "
            f"(--keys-url or {VARIABLE})"
        )
    if url.drivername == "sqlite" and (not url.database or url.database == ":memory:" or url.query):
        raise KeysError(f"the URL of the keys names no file: write {_FORMS} (--keys-url or {VARIABLE})")
    return url


def file_of(url: URL) -> Path | None:
    """The file of a store of SQLite; None for another."""
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def shown(url: URL) -> str:
    """An address as people may read it, without a password."""
    file = file_of(url)
    return str(file) if file is not None else url.set(query={}).render_as_string(hide_password=True)


def make_engine(url: URL) -> Engine:
    """What connects to a store; it connects to nothing yet.

    Raises:
        KeysError: The library for PostgreSQL is not there.
    """
    if (file := file_of(url)) is not None:
        address = f"file:{quote(str(file))}?mode=rw"  # a file that is gone is not made anew, and empty, by a look

        def connect() -> Any:
            return sqlite3.connect(address, uri=True, timeout=_TIMEOUT_S, check_same_thread=False)

        return create_engine("sqlite://", creator=connect, poolclass=NullPool)
    arguments = {
        "connect_timeout": _TIMEOUT_S,
        "options": f"-c statement_timeout={1000 * _TIMEOUT_S}",
        "tcp_user_timeout": 1000 * _TIMEOUT_S,  # a machine that is gone without a word
        "application_name": "infolens",
    }
    try:
        return create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_size=1, max_overflow=1)
    except ModuleNotFoundError:
        raise KeysError(
            "keys in PostgreSQL need the library psycopg, which is not here: .venv/bin/python -m pip install "
            "'psycopg[binary]'"
        ) from None
