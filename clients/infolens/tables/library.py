"""The library for Excel files, which not every installation has."""

from __future__ import annotations

import importlib
from types import ModuleType

from infolens.errors import InvalidTableError


def load_openpyxl(what: str) -> ModuleType:
    """The module ``openpyxl``.

    Args:
        what: What it is needed for, for the message.

    Raises:
        InvalidTableError: It is not installed.
    """
    try:
        return importlib.import_module("openpyxl")
    except ImportError as error:
        raise InvalidTableError(
            f"{what} needs openpyxl, which is not installed: pip install 'infolens[tables]'; or use CSV"
        ) from error
