"""The architectures by the ``model_type`` of their checkpoints.

Each stands in a module of its own in this folder, which names its record ``ARCHITECTURE``: a new file is all that a new
one takes. `register` adds one that stands elsewhere.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import BaseModelError

from .record import Architecture

_ADDED: Final[dict[str, Architecture]] = {}


def architectures() -> dict[str, Architecture]:
    """``model_type`` -> record of every architecture."""
    return {**_of_this_folder(), **_ADDED}


def architecture_of(model_type: str) -> Architecture:
    """The record of an architecture.

    Raises:
        BaseModelError: There is none.
    """
    known = architectures()
    if model_type not in known:
        raise BaseModelError(
            f"there is no architecture {model_type!r} in training; there are: {', '.join(sorted(known))}. A new one is "
            "a new file in training/architectures/"
        )
    return known[model_type]


def answering(answers: AnswerKind) -> list[Architecture]:
    """The architectures that give a kind of answers, by name."""
    found = (record for record in architectures().values() if record.answers is answers)
    return sorted(found, key=lambda record: record.model_type)


def usual_architecture(task: Task) -> Architecture:
    """The architecture of a task's starter, which is also what its messages suggest."""
    return architecture_of(CONTRACTS[task].architecture)


def register(architecture: Architecture) -> None:
    """Add an architecture that has no file in this folder.

    Raises:
        ValueError: Its type has a record already.
    """
    if architecture.model_type in architectures():
        raise ValueError(f"the architecture {architecture.model_type!r} has a record already")
    _ADDED[architecture.model_type] = architecture


@functools.cache
def _of_this_folder() -> dict[str, Architecture]:
    package = __package__ or ""
    names = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    modules = [importlib.import_module(f"{package}.{name}") for name in names]
    records: list[Architecture] = [vars(module)["ARCHITECTURE"] for module in modules if "ARCHITECTURE" in vars(module)]
    return {record.model_type: record for record in records}
