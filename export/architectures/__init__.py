"""The architectures that can be exported: one module for each, with everything that is special to it.

Every module of this folder that has an ``ARCHITECTURE`` is found automatically; a new architecture is one new file.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from export.errors import CheckpointError
from infolens.contract import AnswerKind

from .record import Architecture, Spacing, SpecialToken, Trained

__all__ = ["Architecture", "Spacing", "SpecialToken", "Trained", "architecture_of", "architectures", "examples"]


@cache
def architectures() -> dict[str, Architecture]:
    """Every architecture by its ``model_type``; tests may add to it."""
    found = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        record = getattr(importlib.import_module(f"{__name__}.{module}"), "ARCHITECTURE", None)
        if record is not None:
            found[record.model_type] = record
    return found


def architecture_of(model_type: str, answers: AnswerKind) -> Architecture:
    """The architecture with this ``model_type``, which must give this kind of answers.

    Raises:
        CheckpointError: It is unknown, or gives answers of another kind.
    """
    record = architectures().get(model_type)
    if record is None or record.answers is not answers:
        known = ", ".join(name for name, one in architectures().items() if one.answers is answers)
        what = "is not known" if record is None else f"gives {record.answers.value}, not {answers.value}"
        raise CheckpointError(
            f"the architecture must be one of {known}, but the checkpoint's, {model_type!r}, {what}; fine-tune for "
            f"example {examples(answers)}"
        )
    return record


def examples(answers: AnswerKind) -> str:
    """Public checkpoints that give this kind of answers, separated by commas, for the messages."""
    return ", ".join(sorted({one.example for one in architectures().values() if one.answers is answers}))
