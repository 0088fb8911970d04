"""Taking the newest version of a model out of a repository, so that the one before it answers again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.errors import RepositoryError
from infolens.contract import CONTRACTS, Task

from .contents import newest_version, require_artefacts, serving
from .deployment import stored_deployment
from .generated_files import write_generated
from .model_card import cards_after_removal
from .transaction import move_in, write_files
from .workspace import workspace


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What `remove` did."""

    version: int
    """The version that is gone."""
    now: int
    """The newest version from now on; 0 where the model is gone with its last one."""


def remove(repository: Path, model: str) -> Removed:
    """Delete the newest version of a model, with those of its tokenizer and postprocessor; the one before takes over.

    With its only version the whole model goes, unless it is the one that answers its task. The configurations are
    generated again, and the card of the version before comes back. A failure moves everything back.

    Args:
        repository: The model repository.
        model: Name of an exported model, as ``python -m export list`` shows it.

    Raises:
        RepositoryError: There is no such model; nothing would answer its task without it; the version before is
            incomplete; or the repository cannot be written.
        DeploymentError: A deployment file of the repository is wrong.
    """
    artefacts = require_artefacts(repository)
    if model not in artefacts:
        raise RepositoryError(f"{repository} has no model {model!r}; it has: {', '.join(artefacts)}")
    task = Task(artefacts[model].task)
    parts = CONTRACTS[task].served(model).chain
    version = newest_version(repository / model)
    older = version > min(_versions(repository / model))
    if not older and serving(artefacts, stored_deployment(repository))[task] == model:
        raise RepositoryError(
            f"version {version} is the only one of {model}, and {model} answers {task}: export another model or "
            f"version first, or let another one answer: python -m export serve {task} MODEL"
        )
    # The model goes first, because the tokenizer and the postprocessor are ignored without it.
    order = (model, *(part for part in parts if part != model))
    units = [f"{part}/{version}" if older else part for part in order]
    with workspace(repository) as staging:
        moved: list[tuple[Path, Path]] = []
        try:
            for unit in units:
                backup = staging / "old" / unit
                backup.parent.mkdir(parents=True, exist_ok=True)
                (repository / unit).rename(backup)
                moved.append((backup, repository / unit))
            write_generated(repository)
            if older:
                _bring_back_the_card(repository, model, version, staging)
        except BaseException:
            for backup, target in reversed(moved):
                backup.rename(target)
            raise
    return Removed(version=version, now=newest_version(repository / model))


def _bring_back_the_card(repository: Path, model: str, removed: int, staging: Path) -> None:
    """Have the model's card be that of the version that is now the newest."""
    now, artefact = newest_version(repository / model), require_artefacts(repository)[model]
    files, gone = cards_after_removal(repository, model, removed, now, artefact)
    write_files(staging / "new", files)
    move_in(staging, repository, [], files, gone)


def _versions(model: Path) -> list[int]:
    return [int(path.name) for path in model.iterdir() if path.name.isdecimal()]
