"""The numbers of the deployment that no contract fixes: batches, queues, instances, threads, length buckets.

`DEPLOYMENT` is what the committed repository is generated from: a machine of two cores. Another machine's numbers come
from a TOML file (`read_deployment`), which names only what differs; ``python -m benchmarks tune`` writes one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from infolens.contract import LENGTH_BUCKETS, Task

from .errors import DeploymentError


@dataclass(frozen=True, kw_only=True)
class ModelDeployment:
    """How one ONNX model is run."""

    max_batch_size: int
    """Most articles in one execution."""
    batch_together: int = 0
    """Most articles of different requests in one execution; 0 for as many as ``max_batch_size``."""
    instances: int = 1
    """Copies of the model that run side by side."""
    threads: int = 1
    """Threads of one execution."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How the repository is run on CPUs."""

    models: Mapping[Task, ModelDeployment] = field(
        default_factory=lambda: {
            # As many instances as cores: more of them only push each other out of the caches. A core computes two
            # summaries no faster together than one after the other, and the first one is answered sooner.
            Task.SUMMARY: ModelDeployment(max_batch_size=4, batch_together=1, instances=2),
            Task.CATEGORY: ModelDeployment(max_batch_size=16),
            Task.VERACITY: ModelDeployment(max_batch_size=16),
        }
    )
    """By task."""
    request_batch_size: int = 4
    """Most articles in one request; no model's batch may be smaller."""
    text_batch_size: int = 32
    """Most articles that a tokenizer, detokenizer or label model handles at once."""
    queue_delay_microseconds: int = 0
    """How long a request waits for others to share its batch."""
    queue_size: int = 64
    """Requests that wait in front of a model; one more is refused at once."""
    queue_timeout_microseconds: int = 10_000_000
    """A request that waited this long is refused; requests may ask for less."""
    max_running: int = 12
    """Requests for all tasks that the models work on at once; more of them would only push up the latency."""
    max_wait_ms: int = 500
    """A request for all tasks that would have to wait longer than this before it runs is refused at once, unless fewer
    than ``max_running`` wait."""
    length_buckets: tuple[int, ...] = LENGTH_BUCKETS
    """Token lengths that inputs are padded to."""
    response_cache: bool = True
    """Whether answers may come from Triton's response cache, where the server is started with one."""

    def __post_init__(self) -> None:
        for name in ("request_batch_size", "text_batch_size", "queue_size", "max_running", "max_wait_ms"):
            if getattr(self, name) < 1:
                raise DeploymentError(f"{name} is at least 1, not {getattr(self, name)}")
        for task, model in self.models.items():
            for name in ("max_batch_size", "instances", "threads"):
                if getattr(model, name) < 1:
                    raise DeploymentError(f"{name} of {task} is at least 1, not {getattr(model, name)}")
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


_Settings = TypeVar("_Settings", Deployment, ModelDeployment)

DEPLOYMENT: Final = Deployment()
"""What the committed repository is generated from."""


def read_deployment(path: Path) -> Deployment:
    """A deployment from TOML: the fields of `Deployment`, and a table for each task with those of `ModelDeployment`.

    What the file leaves out is as in `DEPLOYMENT`.

    Raises:
        DeploymentError: The file cannot be read, or a field is unknown, of another type or out of its range.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DeploymentError(f"cannot read the deployment {path}: {error}") from error
    tables = {task: document.pop(task.value, {}) for task in Task}
    models = {task: _changed(DEPLOYMENT.models[task], table, f"{path}: [{task}]") for task, table in tables.items()}
    buckets = document.pop("length_buckets", DEPLOYMENT.length_buckets)
    if not isinstance(buckets, list | tuple) or not all(type(bucket) is int for bucket in buckets):
        raise DeploymentError(f"{path}: length_buckets is a list of whole numbers, not {buckets!r}")
    return replace(_changed(DEPLOYMENT, document, str(path)), models=models, length_buckets=tuple(buckets))


def _changed(settings: _Settings, table: Any, where: str) -> _Settings:
    known = {one.name: type(getattr(settings, one.name)) for one in fields(settings)}
    known = {name: kind for name, kind in known.items() if kind in (int, bool)}
    if not isinstance(table, dict):
        raise DeploymentError(f"{where} is a table, not {table!r}")
    for name, value in table.items():
        if name not in known:
            raise DeploymentError(f"{where} has no setting {name!r}; there are {', '.join(known)}")
        if type(value) is not known[name]:
            raise DeploymentError(f"{where}: {name} is {known[name].__name__}, not {value!r}")
    return replace(settings, **table)
