"""Writing a model repository: a task's models appear together, or not at all."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import text_format

from infolens.contract import CONTRACTS, ENSEMBLE, Task

from .artefact import FILE_NAME, Artefact, read_artefact
from .configs import LABELS_FILE, all_configs, from_text, to_text
from .deployment import DEPLOYMENT, Deployment
from .errors import RepositoryError
from .model_file import MODEL_FILE, model_files
from .workspace import workspace

_LOG = logging.getLogger(__name__)

CONFIG: Final = "config.pbtxt"
_KEEP: Final = ".gitkeep"


@dataclass(frozen=True, kw_only=True)
class Export:
    """What an exported task consists of, ready to be published."""

    task: Task
    artefact: Artefact
    model: Path
    """The file of the ONNX graph, with its weights beside it if they are large; both are moved away."""
    tokenizer: str
    """The text of ``tokenizer.json``."""


def publish(export: Export, repository: Path, *, replace: bool = False) -> int:
    """Write an export into the repository: all of its models, or none.

    The files are written to a folder beside the repository first and then moved in; a failure on the way moves
    everything back. The configurations are written anew, those of the ensembles too.

    Args:
        export: What to publish.
        repository: The model repository; made if it does not exist.
        replace: Overwrite the newest version in place of writing the next one.

    Returns:
        The version that was written.

    Raises:
        RepositoryError: The repository cannot be written, or the disk is full.
    """
    contract = CONTRACTS[export.task]
    version = next_version(repository / contract.model, replace=replace)
    folder = str(version)
    files: dict[str, bytes | Path] = {
        f"{contract.tokenizer}/{folder}/tokenizer.json": export.tokenizer.encode(),
        **{f"{contract.model}/{folder}/{file.name}": file for file in model_files(export.model)},
        f"{contract.model}/{folder}/{FILE_NAME}": export.artefact.to_json().encode(),
    }
    if contract.post == "text":
        files[f"{contract.postprocessor}/{folder}/tokenizer.json"] = export.tokenizer.encode()
    else:
        files[f"{contract.postprocessor}/{folder}/{_KEEP}"] = b""
    artefacts = {**read_artefacts(repository), export.task: export.artefact}
    files |= generated_files(artefacts)
    with workspace(repository) as staging:
        _write(staging / "new", files)
        _move_in(staging, repository, files, folder)
    _LOG.info("published %s as version %d in %s", contract.model, version, repository)
    return version


def next_version(model: Path, *, replace: bool) -> int:
    """The version that a new export of ``model`` gets."""
    versions = [int(path.name) for path in model.iterdir() if path.name.isdecimal()] if model.is_dir() else []
    newest = max(versions, default=0)
    return newest if replace and newest else newest + 1


def read_artefacts(repository: Path) -> dict[Task, Artefact]:
    """The artefacts of the newest version of each exported task, in the order of the contract.

    Raises:
        RepositoryError: An artefact is missing beside its model, or broken.
    """
    artefacts = {}
    for task, contract in CONTRACTS.items():
        model = repository / contract.model
        if (model / str(next_version(model, replace=True)) / MODEL_FILE).is_file():
            version = next_version(model, replace=True)
            artefacts[task] = read_artefact(model / str(version) / FILE_NAME, task)
    return artefacts


def generated_files(
    artefacts: dict[Task, Artefact], deployment: Deployment = DEPLOYMENT, config_name: str | None = None
) -> dict[str, bytes]:
    """Every generated file of a repository with the given tasks, by its path in the repository.

    Args:
        artefacts: The tasks.
        deployment: The numbers.
        config_name: Only the configurations, as those of one kind of machine: ``<model>/configs/<name>.pbtxt``.
    """
    file = CONFIG if config_name is None else f"configs/{config_name}.pbtxt"
    files = {f"{name}/{file}": to_text(config).encode() for name, config in all_configs(artefacts, deployment).items()}
    if config_name is not None:
        return files
    for task in artefacts:
        contract = CONTRACTS[task]
        files[f"{contract.ensemble}/1/{_KEEP}"] = b""  # Triton wants a version folder, and git keeps no empty one.
        if contract.labels:
            files[f"{contract.postprocessor}/{LABELS_FILE}"] = ("\n".join(contract.labels) + "\n").encode()
    if set(artefacts) == set(Task):
        files[f"{ENSEMBLE}/1/{_KEEP}"] = b""
    return files


def write_generated(repository: Path, deployment: Deployment = DEPLOYMENT, config_name: str | None = None) -> list[str]:
    """Write every generated file of the repository; returns the paths of those that were not in step.

    Args:
        repository: Holds the models.
        deployment: As of `generated_files`.
        config_name: As of `generated_files`.

    Raises:
        RepositoryError: There is nothing to generate from, or the repository cannot be written.
    """
    stale = check_generated(repository, deployment, config_name)
    files = generated_files(_require_artefacts(repository), deployment, config_name)
    with workspace(repository) as staging:
        _write(staging, {path: files[path] for path in stale})
        for path in stale:
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).replace(repository / path)
    return stale


def check_generated(repository: Path, deployment: Deployment = DEPLOYMENT, config_name: str | None = None) -> list[str]:
    """The generated files that are missing or out of step with the contract and the artefacts.

    Raises:
        RepositoryError: The repository holds no exported model, or an artefact is broken.
    """
    files = generated_files(_require_artefacts(repository), deployment, config_name)
    return [path for path, content in files.items() if not _in_step(repository / path, content)]


def _require_artefacts(repository: Path) -> dict[Task, Artefact]:
    artefacts = read_artefacts(repository)
    if not artefacts:
        raise RepositoryError(
            f"{repository} holds no exported model; export one first: python -m export summary --checkpoint DIR"
        )
    return artefacts


def _in_step(path: Path, content: bytes) -> bool:
    if not path.is_file():
        return False
    found = path.read_bytes()
    if found == content or path.name != CONFIG:
        return found == content
    try:  # The text format may differ between versions of protobuf; what counts is what Triton reads.
        return bool(from_text(found.decode()) == from_text(content.decode()))
    except (text_format.ParseError, UnicodeDecodeError):
        return False


def _write(folder: Path, files: Mapping[str, bytes | Path]) -> None:
    """Put files into place: bytes are written, and files, which are large, are moved."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.move(content, target)
            continue
        with target.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def _move_in(staging: Path, repository: Path, files: Iterable[str], version: str) -> None:
    """Move version folders and single files into place, and back again if one move fails."""
    units = {path if path.count("/") == 1 else path.rsplit("/", 1)[0] for path in files}
    units = {unit for unit in units if unit.endswith(f"/{version}") or not (repository / unit).is_dir()}
    made: list[Path] = []
    saved: list[tuple[Path, Path]] = []
    try:
        # Artefacts before configurations, so that a configuration never speaks of a version that is not there.
        for unit in sorted(units, key=lambda unit: (unit.endswith(CONFIG), unit)):
            source, target = staging / "new" / unit, repository / unit
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                backup = staging / "old" / unit
                backup.parent.mkdir(parents=True, exist_ok=True)
                target.rename(backup)
                saved.append((backup, target))
            source.rename(target)
            made.append(target)
    except OSError:
        for target in reversed(made):
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        for backup, target in reversed(saved):
            backup.rename(target)
        raise
