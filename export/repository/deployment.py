"""The numbers of the deployment that no contract fixes: batches, queues, instances, threads, length buckets.

`DEPLOYMENT` is what the committed repository is generated from: a machine of two cores. Another machine's numbers come
from a TOML file (`read_deployment`), which names only what differs; ``python -m benchmarks tune`` writes one. A
repository keeps its files beside its models: ``deployment.toml`` for ``config.pbtxt``, and ``deployment-NAME.toml`` for
``configs/NAME.pbtxt``, so that every export generates all of them again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from export.errors import DeploymentError
from infolens.contract import CONTRACTS, LENGTH_BUCKETS, AnswerKind, Task

DEVICES: Final = ("auto", "cpu", "cuda", "tensorrt", "torch")
"""What a summarizer in steps may compute on."""
_OF_ENGINES: Final = ("workers", "slots", "max_waiting", "joins_per_step")


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
    device: str = "auto"
    """Where a summarizer in steps computes, one of `DEVICES`; ``auto`` leaves it to the engine."""
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
    """How the repository is run on CPUs."""

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
    """A request for all tasks that would have to wait longer than this before it runs is refused at once, unless fewer
    than ``max_running`` wait."""
    evidence_running: int = 2
    """Requests for evidence that are worked on at once, and that wait for these; any more are refused."""
    length_buckets: tuple[int, ...] = LENGTH_BUCKETS
    """Token lengths that inputs are padded to."""
    response_cache: bool = True
    """Whether answers may come from Triton's response cache, where the server is started with one."""

    def __post_init__(self) -> None:
        ones = ("request_batch_size", "text_batch_size", "max_running", "max_wait_ms", "evidence_running")
        minima = dict.fromkeys(ones, 1)
        for name, bound in {**minima, "queue_delay_microseconds": 0}.items():
            if getattr(self, name) < bound:
                raise DeploymentError(f"{name} is at least {bound}, not {getattr(self, name)}")
        for task in CONTRACTS:
            model = self.model(task)
            for name in ("max_batch_size", "instances", "threads", *_OF_ENGINES):
                if getattr(model, name) < 1:
                    raise DeploymentError(f"{name} of {task} is at least 1, not {getattr(model, name)}")
            if model.memory_bytes < 0:
                raise DeploymentError(f"memory_bytes of {task} is at least 0, not {model.memory_bytes}")
            if model.device not in DEVICES:
                raise DeploymentError(f"device of {task} is one of {', '.join(DEVICES)}, not {model.device!r}")
            if model.max_batch_size < self.request_batch_size:
                raise DeploymentError(
                    f"max_batch_size of {task} is at least request_batch_size ({self.request_batch_size}), not "
                    f"{model.max_batch_size}: raise the one or lower the other"
                )
            if not 0 <= model.batch_together <= model.max_batch_size:
                raise DeploymentError(
                    f"batch_together of {task} lies between 0 and its max_batch_size ({model.max_batch_size}), not "
                    f"{model.batch_together}"
                )
        if not self.length_buckets or list(self.length_buckets) != sorted({*self.length_buckets, 1} - {0, 1}):
            raise DeploymentError(f"length_buckets are numbers of tokens that rise, not {list(self.length_buckets)}")

    def model(self, task: Task) -> ModelDeployment:
        """How the models of a task run."""
        return self.models.get(task) or MODELS[CONTRACTS[task].answers]


MODELS: Final = {
    # As many instances as cores: more would evict each other from the caches. A core computes two summaries no faster
    # together than one after the other, and then answers the first one sooner.
    AnswerKind.TEXT: ModelDeployment(max_batch_size=4, batch_together=1, instances=2, workers=2),
    # Four rows are the quickest, row by row: more leave the caches, and the memory for the largest batch is kept.
    AnswerKind.LABELS: ModelDeployment(max_batch_size=16, batch_together=4),
}
"""How models run unless a deployment says otherwise, by the kind of their answers."""

_RETIRED: Final = dict.fromkeys(
    ("queue_size", "queue_timeout_microseconds"),
    "max_running and max_wait_ms bound what waits, and a request's own time-out how long; delete the line",
)
"""Settings of former releases, with what to do instead."""

_Settings = TypeVar("_Settings", Deployment, ModelDeployment)

DEPLOYMENT: Final = Deployment()
"""What the committed repository is generated from."""


def read_deployment(path: Path) -> Deployment:
    """A deployment from TOML: the fields of `Deployment`, and a table for each task with those of `ModelDeployment`.

    What the file leaves out is as in `DEPLOYMENT`.

    Raises:
        DeploymentError: The file cannot be read, or a field is unknown, of another type or out of its range.
    """
    return parse_deployment(deployment_text(path), str(path))


def deployment_text(path: Path) -> str:
    """The text of a deployment file.

    Raises:
        DeploymentError: The file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DeploymentError(f"cannot read the deployment {path}: {error}") from error


def parse_deployment(text: str, where: str) -> Deployment:
    """A deployment from the text of its file, which messages call ``where``; see `read_deployment`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeploymentError(f"cannot read the deployment {where}: {error}") from error
    tables = {task: document.pop(task.value) for task in Task if task in document}
    models = {task: _changed(DEPLOYMENT.model(task), table, f"{where}: [{task}]") for task, table in tables.items()}
    buckets = document.pop("length_buckets", DEPLOYMENT.length_buckets)
    if not isinstance(buckets, list | tuple) or not all(type(bucket) is int for bucket in buckets):
        raise DeploymentError(f"{where}: length_buckets is a list of whole numbers, not {buckets!r}")
    serves = document.pop("serves", {})
    if not isinstance(serves, dict) or not all(isinstance(model, str) for model in serves.values()):
        raise DeploymentError(f'{where}: [serves] names a model for each task, as in category = "distilbert"')
    if unknown := sorted(set(serves) - set(Task)):
        raise DeploymentError(f"{where}: [serves] has no task {unknown[0]!r}; there are {', '.join(Task)}")
    changed = _changed(DEPLOYMENT, document, where)
    by_task = {Task(task): model for task, model in serves.items()}
    return replace(changed, models=models, length_buckets=tuple(buckets), serves=by_task)


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
    texts = {name: deployment_text(path) for name, path in paths.items() if path.is_file()}
    return texts if None in texts else {None: "", **texts}


def parse_stored(texts: Mapping[str | None, str]) -> dict[str | None, Deployment]:
    """The deployments of a repository, from `stored_texts`. The ``[serves]`` of ``deployment.toml`` hold for all.

    Raises:
        DeploymentError: A file has a setting that is unknown, of another type or out of its range.
    """
    found = {name: parse_deployment(text, deployment_file(name)) for name, text in texts.items()}
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


def _changed(settings: _Settings, table: Any, where: str) -> _Settings:
    known = {one.name: type(getattr(settings, one.name)) for one in fields(settings)}
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
    return replace(settings, **table)
