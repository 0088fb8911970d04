"""What a store is for, in the words of the messages about it."""

from __future__ import annotations

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
