"""Artefacts of models that were never exported, for the tests of files and configurations."""

from __future__ import annotations

from pathlib import Path

from export.architectures import architecture_of
from export.graph.model_file import MODEL_FILE, data_file
from export.repository.artefact import Artefact
from export.repository.publish import ExportedModel
from infolens.contract import CONTRACTS, Task


def artefact(
    task: Task, max_tokens: int = 300, *, model_type: str = "", labels: tuple[str, ...] | None = None
) -> Artefact:
    """An artefact as an export of ``task`` would write it: of the starter's architecture and labels by default."""
    contract = CONTRACTS[task]
    record = architecture_of(model_type or contract.architecture, contract.answers)
    return Artefact(
        task=task.value,
        architecture=record.model_class,
        model_type=record.model_type,
        precision="int8",
        checkpoint="tiny",
        max_tokens=max_tokens,
        vocabulary=100,
        parameters=1000,
        padding_side=record.padding_side,
        pad_id=1,
        pad_type_id=record.pad_type_id,
        token_types=record.token_types,
        labels=contract.default_labels if labels is None else labels,
    )


def exported(
    task: Task,
    folder: Path,
    content: bytes = b"graph",
    *,
    data: bytes = b"",
    name: str = "",
    max_tokens: int = 300,
    model_type: str = "",
    labels: tuple[str, ...] | None = None,
) -> ExportedModel:
    """An export whose graph is ``content`` and is in ``folder``, with ``data`` beside it if there is any."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / MODEL_FILE
    model.write_bytes(content)
    if data:
        data_file(model).write_bytes(data)
    made = artefact(task, max_tokens, model_type=model_type, labels=labels)
    name = name or CONTRACTS[task].model_name(made.model_type)
    return ExportedModel(name=name, artefact=made, model=model, tokenizer="{}")
