"""Artefacts of models that were never exported, for the tests of files and configurations."""

from __future__ import annotations

from export.artefact import Artefact
from infolens.contract import Task


def artefact(task: Task, max_tokens: int = 300) -> Artefact:
    """An artefact as an export of ``task`` would write it."""
    return Artefact(
        task=task.value,
        architecture="Any",
        precision="int8",
        checkpoint="tiny",
        max_tokens=max_tokens,
        vocabulary=100,
        parameters=1000,
        padding_side="left" if task is Task.VERACITY else "right",
        pad_id=1,
        pad_type_id=3 if task is Task.VERACITY else 0,
        parity={},
        packages={},
    )
