"""The numbers of the deployment that no contract fixes: batches, queues, instances, threads, length buckets.

`DEPLOYMENT` is what the committed repository is generated from: a machine of two cores; `BASES` has those of GPUs.
Another machine's numbers come from a TOML file (`read_deployment`), which names only what differs; ``python -m
benchmarks tune`` writes one. A repository keeps its files beside its models: ``deployment.toml`` for ``config.pbtxt``,
and ``deployment-NAME.toml`` for ``configs/NAME.pbtxt``, so that every export generates all of them again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from export.errors import DeploymentError
from infolens.contract import CONTRACTS, LENGTH_BUCKETS, AnswerKind, Task
from infolens.targets import TARGETS, Target

from .limits import AUTO, fault_of_deployment, fault_of_model, first_fault


@dataclass(frozen=True, kw_only=True)
class ModelDeployment:
    """How one ONNX model is run."""

    max_batch_size: int
    """Maximum number of articles in one execution."""
    batch_together: int = 0
    """Maximum number of articles of different requests in one execution; 0 for ``max_batch_size``."""
    instances: int = 1
    """Copies of the model that run side by side."""
    threads: int = 1
    """Threads of one execution."""
    tokenizers: int = 1
    """Copies of its tokenizer that run side by side."""
    postprocessors: int = 1
    """Copies of what makes texts or labels of its numbers."""
    device: str = AUTO
    """Where a summarizer in steps computes, one of `DEVICES`; ``auto``: as its target says, or the engine chooses."""
    workers: int = 1
    """Threads of a summarizer in steps, each with slots of its own; on CPUs one for each core."""
    slots: int = 4
    """Articles that such a thread works on at a time, for each number of beams."""
    max_waiting: int = 256
    """Articles that wait for a slot; any more are refused."""
    joins_per_step: int = 1
    """Articles that may join between two steps of a thread: its others wait while they are read."""
    memory_bytes: int = 0
    """What ONNX Runtime takes at most of a GPU's memory for each session of a summarizer in steps; 0 for no limit."""
    plans: str = ""
    """The folder in which TensorRT keeps what it has built; empty for the model's own."""
    other_scripts: bool = False
    """Whether articles are read most of whose letters are not of the Latin alphabet, as a model of another language
    wants it; others are refused."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How the repository is run on a target, by default on CPUs."""

    target: Target = Target.CPU
    models: Mapping[Task, ModelDeployment] = field(default_factory=dict)
    """How the models of a task run, if not as in `MODELS`; see `model`."""
    serves: Mapping[Task, str] = field(default_factory=dict)
    """The model that answers a task, if the repository holds several."""
    request_batch_size: int = 4
    """Maximum number of articles in one request; no model's batch may be smaller."""
    text_batch_size: int = 32
    """Maximum number of articles that a tokenizer, detokenizer or label model handles at once."""
    queue_delay_microseconds: int = 0
    """How long a request waits for others to share its batch."""
    max_running: int = 12
    """Requests for all tasks that the models work on at once; more would only raise the latency."""
    max_wait_ms: int = 500
    """A request that would wait longer than this before it runs is refused, unless fewer than ``max_running`` wait."""
    evidence_running: int = 2
    """Requests for evidence that are worked on at once, and that wait for these; any more are refused."""
    length_buckets: tuple[int, ...] = LENGTH_BUCKETS
    """Token lengths that inputs are padded to."""
    response_cache: bool = True
    """Whether answers may come from Triton's response cache, where the server is started with one."""

    def __post_init__(self) -> None:
        fault = fault_of_deployment(vars(self)) or first_fault(
            fault_of_model(task, vars(self.model(task)), target=self.target, request_batch_size=self.request_batch_size)
            for task in CONTRACTS
        )
        if fault:
            raise DeploymentError(fault)

    def model(self, task: Task) -> ModelDeployment:
        """How the models of a task run."""
        return self.models.get(task) or MODELS[self.target.record.on_gpu, CONTRACTS[task].answers]


MODELS: Final = {
    # As many instances as cores: more would evict each other from the caches. A core computes two summaries no faster
    # together than one after the other, and then answers the first one sooner.
    (False, AnswerKind.TEXT): ModelDeployment(max_batch_size=4, batch_together=1, instances=2, workers=2),
    # Four rows are the quickest, row by row: more leave the caches, and the memory for the largest batch is kept.
    (False, AnswerKind.LABELS): ModelDeployment(max_batch_size=16, batch_together=4),
    # A GPU answers hundreds of articles a second; for one a tokenizer takes 2.5 ms of a core, a text 1, labels 0.5.
    (True, AnswerKind.TEXT): ModelDeployment(
        max_batch_size=32, slots=32, joins_per_step=8, tokenizers=3, postprocessors=2
    ),
    (True, AnswerKind.LABELS): ModelDeployment(max_batch_size=32, tokenizers=3),
}
"""How models run unless a deployment says otherwise, by whether that is on a GPU, and the kind of their answers."""

_RETIRED: Final = dict.fromkeys(
    ("queue_size", "queue_timeout_microseconds"),
    "max_running and max_wait_ms bound what waits, and a request's own time-out how long; delete the line",
)
"""Settings of former releases, with what to do instead."""

DEPLOYMENT: Final = Deployment()
"""What the committed repository is generated from."""
BASES: Final[Mapping[str | None, Deployment]] = {
    record.config_name: Deployment(
        target=target,
        length_buckets=record.length_buckets,
        max_running=128,  # as many as run at 300 requests a second, each of which takes 0.4 s
        evidence_running=4,
        queue_delay_microseconds=1000,
    )
    if record.on_gpu
    else DEPLOYMENT
    for target, record in TARGETS.items()
}
"""What a deployment file of the name of a target's configurations changes; one of any other name: `DEPLOYMENT`."""


def read_deployment(path: Path, name: str | None = None) -> Deployment:
    """A deployment from TOML: the fields of `Deployment`, and a table for each task with those of `ModelDeployment`.

    What the file leaves out is as in `BASES` for the name of its configurations.

    Raises:
        DeploymentError: The file cannot be read, or a field is unknown, of another type or out of its range.
    """
    return parse_deployment(deployment_text(path), str(path), BASES.get(name, DEPLOYMENT))


def deployment_text(path: Path) -> str:
    """The text of a deployment file.

    Raises:
        DeploymentError: The file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DeploymentError(f"cannot read the deployment {path}: {error}") from error


def parse_deployment(text: str, where: str, base: Deployment = DEPLOYMENT) -> Deployment:
    """A deployment from the text of its file, which messages call ``where``; what it leaves out is as in ``base``."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeploymentError(f"cannot read the deployment {where}: {error}") from error
    tables = {task: document.pop(task.value) for task in Task if task in document}
    models = {
        task: replace(model, **_settings(model, table, f"{where}: [{task}]"))
        for task, table in tables.items()
        for model in (base.model(task),)
    }
    buckets = document.pop("length_buckets", base.length_buckets)
    if not isinstance(buckets, list | tuple) or not all(type(bucket) is int for bucket in buckets):
        raise DeploymentError(f"{where}: length_buckets is a list of whole numbers, not {buckets!r}")
    serves = document.pop("serves", {})
    if not isinstance(serves, dict) or not all(isinstance(model, str) for model in serves.values()):
        raise DeploymentError(f'{where}: [serves] names a model for each task, as in category = "distilbert"')
    if unknown := sorted(set(serves) - set(Task)):
        raise DeploymentError(f"{where}: [serves] has no task {unknown[0]!r}; there are {', '.join(Task)}")
    settings = _settings(base, document, where)
    by_task = {Task(task): model for task, model in serves.items()}
    try:
        return replace(base, **settings, models=models, length_buckets=tuple(buckets), serves=by_task)
    except DeploymentError as error:
        raise DeploymentError(f"{where}: {error}") from error


def deployment_file(name: str | None) -> str:
    """The deployment file, in a repository, of ``config.pbtxt`` (None) or ``configs/<name>.pbtxt``."""
    return "deployment.toml" if name is None else f"deployment-{name}.toml"


def stored_texts(repository: Path) -> dict[str | None, str]:
    """The text of every deployment file of a repository, by its name; that of ``config.pbtxt`` is None, and first.

    Raises:
        DeploymentError: One cannot be read.
    """
    paths: dict[str | None, Path] = {None: repository / deployment_file(None)}
    for path in sorted(repository.glob(deployment_file("*"))):
        paths[path.stem.removeprefix("deployment-")] = path
    # A folder of such a name, or a link that leads nowhere, was meant to be one: reading it tells so.
    there = {name: path for name, path in paths.items() if path.exists() or path.is_symlink()}
    texts = {name: deployment_text(path) for name, path in there.items()}
    return texts if None in texts else {None: "", **texts}


def parse_stored(texts: Mapping[str | None, str]) -> dict[str | None, Deployment]:
    """The deployments of a repository, from `stored_texts`, and those of `BASES`, by the names of their configurations.

    The ``[serves]`` of ``deployment.toml`` hold for all.

    Raises:
        DeploymentError: A file has a setting that is unknown, of another type or out of its range.
    """
    every = {**dict.fromkeys(BASES, ""), **texts}
    found = {
        name: parse_deployment(text, deployment_file(name), BASES.get(name, DEPLOYMENT)) for name, text in every.items()
    }
    serves = found[None].serves
    return {name: replace(one, serves={**serves, **one.serves}) for name, one in found.items()}


def stored_deployment(repository: Path) -> Deployment:
    """The deployment of every ``config.pbtxt`` of a repository.

    Raises:
        DeploymentError: A deployment file of the repository cannot be read, or is wrong.
    """
    return parse_stored(stored_texts(repository))[None]


def keeping_serving(new: str, old: str, where: str) -> str:
    """The text of a new deployment file, which lets the models of the old one serve unless it says otherwise itself.

    Raises:
        DeploymentError: One of the texts is no deployment; messages call the new one ``where``.
    """
    named = parse_deployment(new, where).serves
    for task, model in parse_deployment(old, deployment_file(None)).serves.items():
        if task not in named:
            new = with_serving(new, task, model)
    return new


def with_serving(text: str, task: Task, model: str) -> str:
    """The text of a deployment file in which ``model`` answers ``task``; whatever else it says stays.

    Raises:
        DeploymentError: The text is no deployment.
    """
    import tomlkit

    parse_deployment(text, deployment_file(None))  # for its messages

    document = tomlkit.parse(text)
    if "serves" not in document:
        document["serves"] = tomlkit.table()
    document["serves"][task.value] = model
    return tomlkit.dumps(document)


def without_serving(text: str) -> str:
    """The text of a deployment file that leaves open which models serve."""
    # Imported here, because exports need it seldom.
    import tomlkit

    document = tomlkit.parse(text)
    document.pop("serves", None)
    return tomlkit.dumps(document)


def _settings(usual: Deployment | ModelDeployment, table: Any, where: str) -> dict[str, Any]:
    """What a table of a deployment file sets, by name; each of the type that it usually has."""
    known = {one.name: type(getattr(usual, one.name)) for one in fields(usual)}
    known = {name: kind for name, kind in known.items() if kind in (int, bool, str)}
    if not isinstance(table, dict):
        raise DeploymentError(f"{where} is a table, not {table!r}")
    for name, value in table.items():
        if name in _RETIRED:
            raise DeploymentError(f"{where} has the setting {name!r}, which is no more: {_RETIRED[name]}")
        if name not in known:
            raise DeploymentError(f"{where} has no setting {name!r}; there are {', '.join(known)}")
        if type(value) is not known[name]:
            raise DeploymentError(f"{where}: {name} is {known[name].__name__}, not {value!r}")
    return table
