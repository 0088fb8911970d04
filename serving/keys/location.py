"""Where the keys are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL

from serving.errors import KeysAwayError, KeysError
from serving.storage import location
from serving.storage.kept import Kept
from serving.storage.location import shown

from .records import VARIABLE

__all__ = ["KEPT", "VARIABLE", "read_url", "shown"]

KEPT: Final = Kept(
    what="keys",
    file="keys/keys.sqlite3",
    option="--keys-url",
    variable=VARIABLE,
    error=KeysError,
    away=KeysAwayError,
)


def read_url(given: str | None, cache: Path) -> URL:
    """The address of the store: `serving.storage.location.read_url` of the keys.

    Raises:
        KeysError: It is no address of a store. Its words never repeat the address, which may hold a password.
    """
    return location.read_url(KEPT, given, cache)
