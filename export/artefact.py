"""``artefact.json``: what an exported model is, beside the model. The configuration is generated from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task

from .errors import RepositoryError

FILE_NAME: Final = "artefact.json"


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """Facts about one version of an exported model."""

    task: str
    architecture: str
    precision: str
    checkpoint: str
    """Folder name or hub id of the checkpoint."""
    max_tokens: int
    """Longest input, special tokens included."""
    vocabulary: int
    parameters: int
    """Number of weights of the checkpoint."""
    padding_side: str
    pad_id: int
    pad_type_id: int
    parity: dict[str, float]
    """Outcome of the parity check at the export."""
    packages: dict[str, str]
    """Versions of the packages that made the export."""

    def with_parity(self, figures: dict[str, float]) -> Artefact:
        """The same facts with the outcome of a parity check."""
        return replace(self, parity=figures)

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_artefact(path: Path, task: Task) -> Artefact:
    """Read an ``artefact.json``.

    Raises:
        RepositoryError: The file is missing, broken, or of another task.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        artefact = Artefact(**document)
    except FileNotFoundError as error:
        raise RepositoryError(f"{path} is missing; export the {task.value} model again") from error
    except (ValueError, TypeError) as error:
        raise RepositoryError(f"{path} cannot be read ({error}); export the {task.value} model again") from error
    if artefact.task != task.value:
        raise RepositoryError(f"{path} is of the task {artefact.task!r}, not {task.value!r}; export the model again")
    return artefact
