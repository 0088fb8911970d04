"""The tables of the store."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table

VERSION: Final = 1
"""The version of the tables below. Whoever changes them raises it, and has `KeyStore` bring older stores up to it."""

metadata = MetaData()

about = Table(
    "infolens_keys_about",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    # Another one after each change of a key: whoever has read all keys sees by it whether to read them again.
    Column("stamp", String(32), nullable=False),
)
"""One row about the store itself."""

keys = Table(
    "infolens_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("start", String(16), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("current", Boolean, nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger),
    Column("revoked_s", BigInteger),
    Column("last_used_s", BigInteger),
    Column("rate_per_minute", Integer),
    Column("concurrency", Integer),
)
"""One row for each key that was ever made, with the fields of `serving.keys.records.KeyRecord`."""

Index(
    "infolens_keys_current",
    keys.c.name,
    unique=True,
    sqlite_where=keys.c.current.is_(True),
    postgresql_where=keys.c.current.is_(True),
)
