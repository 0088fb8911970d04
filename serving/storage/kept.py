"""What a store is for, in the words of the messages about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ServingError


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One kind of things that are kept."""

    what: str
    """Their name, such as ``keys``."""
    file: str
    """The file in the cache where nobody names a place, such as ``keys/keys.sqlite3``."""
    option: str
    """What names another place on the command line, such as ``--keys-url``..."""
    variable: str
    """...and in the environment."""
    error: type[ServingError]
    """Raised where the store cannot be used..."""
    away: type[ServingError]
    """...and where it does not answer now; a kind of ``error``."""

    def file_in(self, cache: Path) -> Path:
        """The file in a cache."""
        return cache.resolve() / self.file


def file_named(url: str) -> Path | None:
    """The file of an address as `serving.storage.location.read_url` gives it; None for a database that is no file."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def why_not(path: Path) -> str:
    """Why a file, or a folder, cannot be written or made; empty where it can. Nothing is made by the look."""
    folder = next(one for one in path.parents if one.exists())
    if not folder.is_dir():
        return f"{folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written"
    return "" if not path.exists() or os.access(path, os.R_OK | os.W_OK) else "the file cannot be written"
