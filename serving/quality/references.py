"""What the served models' articles were like in training: ``reference.json`` beside each model, read once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from reading.reference import FILE, parse

_HOW: Final = "`python -m export reference {model} --data FILE` counts it from the articles that it was trained on"


class NoReferenceError(Exception):
    """A model has no reference, or one that cannot be read; the message says which, and the way out."""


class References:
    """The references of a model repository. Any thread may ask.

    Args:
        repository: The folder that holds a folder for each model.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._read: dict[tuple[str, str], tuple[object, Mapping[str, Any] | NoReferenceError]] = {}

    def find(self, model: str, version: str) -> Mapping[str, Any]:
        """The document of a model's version, as `reading.reference` describes it; read anew when the file changes.

        Raises:
            NoReferenceError: It has none that can be read.
        """
        path = self._repository / model / version / FILE
        try:
            about = path.stat()
        except OSError:
            raise NoReferenceError(f"{model}/{version} has no {FILE}: {_HOW.format(model=model)}") from None
        stamp = about.st_mtime_ns, about.st_size
        known = self._read.get((model, version))
        if known is None or known[0] != stamp:
            known = self._read[model, version] = (stamp, _parsed(path, model, version))
        if isinstance(known[1], NoReferenceError):
            raise known[1]
        return known[1]


def _parsed(path: Path, model: str, version: str) -> Mapping[str, Any] | NoReferenceError:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        how = _HOW.format(model=model)
        return NoReferenceError(f"the {FILE} of {model}/{version} cannot be read ({words}): {how} anew")
