"""What a repository holds: its exported models, with their newest versions, and which of them serve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infolens.contract import CONTRACTS, Task

from .artefact import FILE_NAME, Artefact, read_artefact
from .deployment import DEPLOYMENT, Deployment
from .errors import RepositoryError
from .model_file import MODEL_FILE

_FIRST: Final = "python -m export summary --checkpoint DIR"


def next_version(model: Path, *, replace: bool) -> int:
    """The version that a new export of the folder ``model`` gets; with ``replace`` the newest that is there."""
    versions = [int(path.name) for path in model.iterdir() if path.name.isdecimal()] if model.is_dir() else []
    newest = max(versions, default=0)
    return newest if replace and newest else newest + 1


def read_artefacts(repository: Path) -> dict[str, Artefact]:
    """The artefacts of the newest version of each exported model, by model name, in the order of the names.

    Raises:
        RepositoryError: An artefact is missing beside its model, or broken.
    """
    artefacts = {}
    for model in sorted(path.parents[1] for path in repository.glob(f"*/*/{MODEL_FILE}")):
        version = model / str(next_version(model, replace=True))
        if model.name not in artefacts and (version / MODEL_FILE).is_file():
            artefacts[model.name] = read_artefact(version / FILE_NAME)
    return artefacts


def require_artefacts(repository: Path) -> dict[str, Artefact]:
    """`read_artefacts` of a repository that must hold a model.

    Raises:
        RepositoryError: It holds none, or an artefact is broken.
    """
    artefacts = read_artefacts(repository)
    if not artefacts:
        raise RepositoryError(f"{repository} holds no exported model; export one first: {_FIRST}")
    return artefacts


def serving(artefacts: Mapping[str, Artefact], deployment: Deployment = DEPLOYMENT) -> dict[Task, str]:
    """The model that answers each task: the one that the deployment names, else the contract's, else the only one.

    Raises:
        RepositoryError: The deployment names one that is not there, or does not say which of several.
    """
    found: dict[Task, str] = {}
    for task, contract in CONTRACTS.items():
        names = [name for name, artefact in artefacts.items() if artefact.task == task]
        named = deployment.serves.get(task)
        if named is not None and named not in names:
            raise RepositoryError(
                f"[serves] lets {named} answer {task}, but the repository has {', '.join(names) or 'no model for it'}; "
                f"say which: python -m export serve {task} MODEL"
            )
        wanted = named or (contract.model if contract.model in names else "")
        if not wanted and len(names) > 1:
            raise RepositoryError(
                f"{' and '.join(names)} could all answer {task}; say which: python -m export serve {task} MODEL"
            )
        if names:
            found[task] = wanted or names[0]
    return found
