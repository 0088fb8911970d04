"""Brings a database from one version of the tables to another, with Alembic."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

FOLDER: Final = Path(__file__).parents[1] / "migrations"
BASE: Final = "base"
"""The version without any tables."""


def known() -> tuple[str, ...]:
    """The versions that this program knows, the oldest first."""
    scripts = ScriptDirectory.from_config(_configuration())
    return tuple(one.revision for one in scripts.walk_revisions())[::-1]


def migrate(connection: Connection, now: str, version: str) -> None:
    """Bring the tables up or down to a version.

    Args:
        connection: Inside a transaction: all of it happens or nothing.
        now: The version that they have; `BASE` for none.
        version: One of `known`, or `BASE`.

    Raises:
        ValueError: There is no such version, or the database has one that is not known.
    """
    versions = (BASE, *known())
    for one in (now, version):
        if one not in versions:
            raise ValueError(f"there is no version '{one:.40}' of the tables: it is one of {', '.join(versions)}")
    configuration = _configuration()
    configuration.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)  # else two lines about its kind of database
    change = command.downgrade if versions.index(version) < versions.index(now) else command.upgrade
    change(configuration, version)


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration
