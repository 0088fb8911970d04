"""The generated files of a repository: configurations, labels, and the placeholders that Triton and git need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import text_format

from export.errors import RepositoryError
from infolens.contract import CONTRACTS, EVIDENCE_MODEL, INFO_LENS, Task
from infolens.targets import TARGETS

from .artefact import Artefact
from .configs import HEADER, all_configs, from_text, to_text
from .contents import LABELS_FILE, labels_text, require_artefacts
from .deployment import deployment_file, parse_stored, stored_texts
from .transaction import write_files
from .workspace import workspace

CONFIG: Final = "config.pbtxt"
KEEP: Final = ".gitkeep"


def generated_files(artefacts: Mapping[str, Artefact], texts: Mapping[str | None, str]) -> dict[str, bytes]:
    """Every generated file of a repository with the given models, by its path in the repository.

    Args:
        artefacts: The models, by name.
        texts: Its deployment files, by name, as `stored_texts` returns them; each gets its own configurations.

    Raises:
        RepositoryError: A deployment names a model that is missing, or none although several could answer.
        DeploymentError: A deployment has a setting that is unknown, of another type or out of its range.
    """
    files: dict[str, bytes] = {}
    for name, deployment in parse_stored(texts).items():
        file = CONFIG if name is None else f"configs/{name}.pbtxt"
        try:
            configs = all_configs(artefacts, deployment)
        except RepositoryError as error:
            raise RepositoryError(f"{deployment_file(name)}: {error}") from error
        files |= {f"{model}/{file}": to_text(config).encode() for model, config in configs.items()}
    files |= {deployment_file(name): text.encode() for name, text in texts.items() if text}
    for name, artefact in artefacts.items():
        contract = CONTRACTS[Task(artefact.task)]
        files[f"{contract.ensemble}/1/{KEEP}"] = b""  # Triton wants a version folder, and git keeps no empty one.
        if artefact.labels:
            files[f"{contract.served(name).postprocessor}/{LABELS_FILE}"] = labels_text(artefact)
    files |= {f"{name}/1/{KEEP}": b"" for name in (INFO_LENS, EVIDENCE_MODEL) if f"{name}/{CONFIG}" in files}
    return files


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What `write_generated` did."""

    written: list[str]
    """The paths of the files that were out of step."""
    left_over: list[str]
    """The result of `left_over`: files that cannot be generated again."""


def write_generated(repository: Path, changed: Mapping[str | None, str] | None = None) -> Generated:
    """Write every generated file of a repository that is not in step.

    Args:
        repository: Holds the models.
        changed: New texts of deployment files, by name.

    Raises:
        RepositoryError: There is nothing to generate from, or the repository cannot be written.
        DeploymentError: A deployment is wrong.
    """
    files = _wanted(repository, changed)
    stale = _stale(repository, files)
    with workspace(repository) as staging:
        write_files(staging, {path: files[path] for path in stale})
        for path in stale:
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).replace(repository / path)
        for path in outlived(repository, files):
            (repository / path).unlink()
    return Generated(written=stale, left_over=left_over(repository, files))


def check_generated(repository: Path, changed: Mapping[str | None, str] | None = None) -> list[str]:
    """The generated files that are missing, out of step or `left_over`; arguments and errors: see `write_generated`."""
    files = _wanted(repository, changed)
    return _stale(repository, files) + left_over(repository, files)


def left_over(repository: Path, files: Mapping[str, bytes]) -> list[str]:
    """The generated configurations of a repository that are not among the ``files`` that would be generated.

    These belong to models that were partly deleted, or are a ``configs/NAME.pbtxt`` without its deployment file.
    """
    found = sorted(path.relative_to(repository).as_posix() for path in repository.glob(f"*/{CONFIG}"))
    strays = [path for path in found if path not in files]
    ours = [path for path in strays if (repository / path).read_text(errors="replace").startswith(HEADER)]
    return ours + [path for path in named_configs(repository) if path not in files]


def outlived(repository: Path, files: Mapping[str, bytes]) -> list[str]:
    """The configurations for GPUs of models that can no longer run there, as they are not among ``files``.

    A server would take one, as long as it lies there, for the model that took the other's place.
    """
    names = {record.config_name for record in TARGETS.values()}
    ours = [path for path in named_configs(repository) if path not in files and Path(path).stem in names]
    return [path for path in ours if (repository / path).read_text(errors="replace").startswith(HEADER)]


def named_configs(repository: Path) -> list[str]:
    """The paths in a repository of all ``configs/NAME.pbtxt``."""
    return sorted(path.relative_to(repository).as_posix() for path in repository.glob("*/configs/*.pbtxt"))


def _wanted(repository: Path, changed: Mapping[str | None, str] | None) -> dict[str, bytes]:
    return generated_files(require_artefacts(repository), {**stored_texts(repository), **(changed or {})})


def _stale(repository: Path, files: Mapping[str, bytes]) -> list[str]:
    return [path for path, content in files.items() if not _in_step(repository / path, content)]


def _in_step(path: Path, content: bytes) -> bool:
    if not path.is_file():
        return False
    found = path.read_bytes()
    if found == content or path.suffix != ".pbtxt":
        return found == content
    try:  # The text format may differ between versions of protobuf; what counts is what Triton reads.
        return bool(from_text(found.decode()) == from_text(content.decode()))
    except (text_format.ParseError, UnicodeDecodeError):
        return False
