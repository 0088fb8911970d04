"""``artefact.json``: what an exported model is, beside the model. The configuration is generated from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS

from .errors import RepositoryError

FILE_NAME: Final = "artefact.json"


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """Facts about one version of an exported model."""

    task: str
    architecture: str
    """Name of the class in ``transformers``."""
    model_type: str
    """The architecture, as ``config.json`` of the checkpoint names it."""
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
    token_types: bool
    """Whether the graph has the input ``token_type_ids``."""
    labels: tuple[str, ...] = ()
    """Of a classifier, in the order of its classes."""
    exporter: str = "own"
    """What wrote the graph: ``own`` or ``optimum``."""
    parity: dict[str, float] = field(default_factory=dict)
    """Outcome of the parity check at the export."""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that made the export."""

    def with_parity(self, figures: dict[str, float]) -> Artefact:
        """The same facts with the outcome of a parity check."""
        return replace(self, parity=figures)

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_artefact(path: Path) -> Artefact:
    """Read an ``artefact.json``.

    Raises:
        RepositoryError: The file is missing, broken, of an earlier version, or of a task that is not registered.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        artefact = Artefact(**{**document, "labels": tuple(document.get("labels", ()))})
    except FileNotFoundError as error:
        raise RepositoryError(f"{path} is missing; export the model again") from error
    except (ValueError, TypeError) as error:
        raise RepositoryError(f"{path} cannot be read ({error}); export the model again") from error
    if artefact.task not in CONTRACTS:
        raise RepositoryError(f"{path} is of the task {artefact.task!r}, and there are {', '.join(CONTRACTS)}")
    return artefact
