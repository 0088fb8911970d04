"""The tables of the store."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table

from .records import ID_CHARACTERS

VERSION: Final = 1
"""The version of the tables below. Whoever changes them raises it, and has `ReportStore` bring older ones up to it."""

metadata = MetaData()

about = Table(
    "infolens_reports_about",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""One row about the store itself."""

reports = Table(
    "infolens_reports",
    metadata,
    Column("id", String(ID_CHARACTERS), primary_key=True),
    Column("made_s", BigInteger, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("key", String(64), nullable=False),
    # JSON, compressed by zlib.
    Column("document", LargeBinary, nullable=False),
)
"""One row for each report, with the fields of `serving.reports.records.KeptReport`."""

Index("infolens_reports_until", reports.c.until_s)
