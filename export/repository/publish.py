"""Publishing an export into a model repository: the models of a checkpoint appear together, or not at all."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from export.errors import RepositoryError
from export.graph.model_file import model_files
from infolens.contract import CONTRACTS, EVIDENCE_MODEL, INFO_LENS, AnswerKind, Task
from reading.reference import FILE as REFERENCE_FILE

from .artefact import FILE_NAME, Artefact
from .contents import (
    LABELS_FILE,
    labels_text,
    newest_version,
    next_version,
    read_artefacts,
    require_artefacts,
    serving,
    task_of_model,
)
from .deployment import parse_stored, stored_texts, with_serving
from .generated_files import generated_files, named_configs, outlived, write_generated
from .model_card import PICTURE, cards_of
from .transaction import move_in, write_files
from .workspace import workspace

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """An exported checkpoint, ready to be published."""

    name: str
    """The model's name in the repository."""
    artefact: Artefact
    model: Path
    """The file of the ONNX graph, with its weights beside it if they are large, or the folder of an engine's files; all
    of them are moved away."""
    tokenizer: str
    """The text of ``tokenizer.json``."""
    reference: str = ""
    """The text of ``reference.json``, what its training articles were like; empty where nobody counted them."""


def publish(exported: ExportedModel, repository: Path, *, replace: bool = False, serve: bool = True) -> int:
    """Write an export into the repository: all of its models, or none.

    The files are first written to a folder beside the repository and then moved in; a failure half-way moves everything
    back. All configurations are generated again, also those of the ensembles and of every deployment. The model gets a
    card of its own; the card of the version before goes into that version's folder.

    Args:
        exported: The model to publish.
        repository: The model repository; created if it does not exist.
        replace: Overwrite the newest version in place of writing the next one.
        serve: Whether the model answers its task from now on; otherwise the present model continues to.

    Returns:
        The version that was written.

    Raises:
        RepositoryError: The name is another task's, the repository cannot be written, or the disk is full.
        DeploymentError: A deployment file of the repository is wrong.
    """
    task = Task(exported.artefact.task)
    contract = CONTRACTS[task]
    models = contract.served(exported.name)
    before = require_place(repository, task, exported.name)
    version = max(next_version(repository / part, replace=replace) for part in models.chain)
    folder = str(version)
    last: dict[AnswerKind, tuple[str, bytes]] = {
        AnswerKind.TEXT: ("tokenizer.json", exported.tokenizer.encode()),
        AnswerKind.LABELS: (LABELS_FILE, labels_text(exported.artefact)),
    }
    file, content = last[contract.answers]
    versions: dict[str, bytes | Path] = {
        f"{models.tokenizer}/{folder}/tokenizer.json": exported.tokenizer.encode(),
        **{f"{models.name}/{folder}/{path.name}": path for path in model_files(exported.model)},
        f"{models.name}/{folder}/{FILE_NAME}": exported.artefact.to_json().encode(),
        f"{models.postprocessor}/{folder}/{file}": content,
    }
    if exported.reference:
        versions[f"{models.name}/{folder}/{REFERENCE_FILE}"] = exported.reference.encode()
    artefacts = {**before, exported.name: exported.artefact}
    texts = stored_texts(repository)
    wanted = exported.name if serve else (_serves(before, texts, task) or exported.name)
    if _serves(artefacts, texts, task) != wanted:
        texts[None] = with_serving(texts[None], task, wanted)
    generated = generated_files(artefacts, texts)
    last_version = newest_version(repository / exported.name)
    cards = cards_of(repository, exported.name, last_version, version, exported.artefact, exported.reference)
    gone = [f"{exported.name}/{PICTURE}", *outlived(repository, generated)]
    with workspace(repository) as staging:
        write_files(staging / "new", {**versions, **generated, **cards})
        # Versions before configurations, so that no configuration names a version that is missing; and the model last,
        # because the tokenizer and the postprocessor are ignored without it.
        parts = (models.tokenizer, models.postprocessor, models.name)
        folders = [f"{part}/{folder}" for part in parts]
        move_in(staging, repository, folders, sorted(generated | cards), gone)
    for path in named_configs(repository):
        if path not in generated:
            _LOG.warning("%s has no deployment file, so it was not updated: delete it, or see --deployment", path)
    _LOG.info("published %s as version %d in %s", exported.name, version, repository)
    return version


def require_place(repository: Path, task: Task, name: str) -> dict[str, Artefact]:
    """The other models of a repository into which a model may be published.

    Raises:
        RepositoryError: The name is another model's, or the repository is broken.
        DeploymentError: A deployment file of the repository is wrong.
    """
    parse_stored(stored_texts(repository))
    before = read_artefacts(repository, without=name)
    theirs = task_of_model(repository / name)
    if theirs is not None and theirs != task:
        raise RepositoryError(f"{name} is a model for {theirs} in {repository}; give it another name with --name")
    _require_free(name, task, before, repository)
    return before


def _serves(artefacts: dict[str, Artefact], texts: dict[str | None, str], task: Task) -> str | None:
    """The model that answers a task; None if there is none, or none was chosen."""
    try:
        return serving(artefacts, parse_stored(texts)[None]).get(task)
    except RepositoryError:
        return None


def _require_free(name: str, task: Task, before: dict[str, Artefact], repository: Path) -> None:
    """Refuse a name that other models of the repository, or of the contract, have already."""
    taken = dict.fromkeys(before, "a model of its own")
    taken |= {contract.ensemble: "the ensemble of a task" for contract in CONTRACTS.values()}
    taken |= {INFO_LENS: "the model of all tasks", EVIDENCE_MODEL: "the model of evidence"}
    for other, one in before.items():
        taken |= dict.fromkeys(CONTRACTS[Task(one.task)].served(other).chain[::2], f"a part of {other}")
    for model in CONTRACTS[task].served(name).chain:
        if what := taken.get(model):
            raise RepositoryError(
                f"{name} needs the name {model}, which is {what} in {repository}; give it another name with --name"
            )


def serve(repository: Path, task: Task, model: str) -> list[str]:
    """Let a model of the repository answer a task from the server's next start on; returns the paths that changed.

    The deployment names it only where another one answered, so that what is so already changes nothing.

    Raises:
        RepositoryError: The repository has no such model for the task, or cannot be written.
    """
    artefacts = require_artefacts(repository)
    names = [name for name, artefact in artefacts.items() if artefact.task == task]
    if model not in names:
        raise RepositoryError(
            f"{repository} has no model {model!r} for {task}; it has: {', '.join(names) or 'none'}. See: python -m "
            "export list"
        )
    texts = stored_texts(repository)
    if _serves(artefacts, texts, task) == model:
        return write_generated(repository).written
    return write_generated(repository, {None: with_serving(texts[None], task, model)}).written
