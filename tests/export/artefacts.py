"""Artefacts of models that were never exported, for the tests of files and configurations."""

from __future__ import annotations

from pathlib import Path

from export.artefact import Artefact
from export.model_file import MODEL_FILE, data_file
from export.repository import Export
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


def exported(
    task: Task, folder: Path, content: bytes = b"graph", *, max_tokens: int = 300, data: bytes = b""
) -> Export:
    """An export whose graph is ``content`` and stands in ``folder``, with ``data`` beside it if there is any."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / MODEL_FILE
    model.write_bytes(content)
    if data:
        data_file(model).write_bytes(data)
    return Export(task=task, artefact=artefact(task, max_tokens), model=model, tokenizer="{}")
