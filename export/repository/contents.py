"""The contents of a repository: its exported models, their newest versions, and which of them serve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.artefact import MANIFEST
from export.errors import RepositoryError
from export.graph.model_file import MODEL_FILE
from infolens.contract import CONTRACTS, Task

from .artefact import FILE_NAME, Artefact, read_artefact
from .deployment import DEPLOYMENT, Deployment

LABELS_FILE: Final = "labels.txt"
_MODEL_FILES: Final = {"loop": MODEL_FILE, "step": MANIFEST}
"""The file by which a version of a model is known, by its form."""
_FIRST: Final = "python -m export summary --checkpoint DIR"


def next_version(model: Path, *, replace: bool) -> int:
    """The version that a new export of the folder ``model`` gets; with ``replace`` the newest that is there."""
    newest = newest_version(model)
    return newest if replace and newest else newest + 1


def newest_version(model: Path) -> int:
    """The newest version of the folder ``model``; 0 if it has none."""
    if not model.is_dir():
        return 0
    return max((int(path.name) for path in model.iterdir() if path.name.isdecimal()), default=0)


def read_artefacts(repository: Path, *, without: str = "") -> dict[str, Artefact]:
    """The artefacts of the newest version of each exported model, by model name, in the order of the names.

    Args:
        repository: The model repository.
        without: A model that is left out, even if it is broken, because it is about to be overwritten.

    Raises:
        RepositoryError: An artefact is missing beside its model, or broken; or the models around it are of another
            version, as after an export that was killed.
    """
    artefacts = {}
    models = {path.parents[1] for file in _MODEL_FILES.values() for path in repository.glob(f"*/*/{file}")}
    for model in sorted(models - {repository / without}):
        version = newest_version(model)
        folder = model / str(version)
        if any((folder / file).is_file() for file in _MODEL_FILES.values()):
            artefacts[model.name] = artefact = read_artefact(folder / FILE_NAME)
            if not (folder / _MODEL_FILES[artefact.form]).is_file():
                raise RepositoryError(
                    f"{folder / FILE_NAME} says that the model is of the form {artefact.form}, but there is no "
                    f"{_MODEL_FILES[artefact.form]} beside it: export the model again"
                )
            _require_whole(repository, model.name, version, artefact)
    return artefacts


def task_of_model(model: Path) -> str | None:
    """The task of the model in a folder, even if it is broken; None if it cannot be read."""
    try:
        document = json.loads((model / str(newest_version(model)) / FILE_NAME).read_text(encoding="utf-8"))
        return str(document["task"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _require_whole(repository: Path, name: str, version: int, artefact: Artefact) -> None:
    contract = CONTRACTS[Task(artefact.task)]
    models = contract.served(name)
    newest = {model: newest_version(repository / model) for model in models.chain}
    if set(newest.values()) != {version}:
        found = ", ".join(f"{model} {number}" for model, number in newest.items())
        raise RepositoryError(
            f"the three models of {name} are of unequal versions ({found}): an export was killed, or a version was "
            f"deleted in part. Delete the folders of the newest version in {repository}, or export the model again"
        )
    labels = repository / models.postprocessor / str(version) / LABELS_FILE
    if artefact.labels and (not labels.is_file() or labels.read_bytes() != labels_text(artefact)):
        raise RepositoryError(
            f"{labels} does not hold the labels of {FILE_NAME}, {', '.join(artefact.labels)}: write them there, one on "
            "each line, or export the model again"
        )


def labels_text(artefact: Artefact) -> bytes:
    """The content of a ``labels.txt``: one label on each line."""
    return ("\n".join(artefact.labels) + "\n").encode()


def require_artefacts(repository: Path) -> dict[str, Artefact]:
    """`read_artefacts` of a repository that must hold a model.

    Raises:
        RepositoryError: It holds no model, or an artefact is broken.
    """
    artefacts = read_artefacts(repository)
    if not artefacts:
        raise RepositoryError(f"{repository} holds no exported model; export one first: {_FIRST}")
    return artefacts


def serving(artefacts: Mapping[str, Artefact], deployment: Deployment = DEPLOYMENT) -> dict[Task, str]:
    """The model that answers each task: the one that the deployment names, else the contract's, else the only one.

    Raises:
        RepositoryError: The deployment names a model that is missing, or none although several could answer.
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
