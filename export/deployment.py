"""The numbers of the deployment that no contract fixes: batches, queues, instances and threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from infolens.contract import Task


@dataclass(frozen=True, kw_only=True)
class ModelDeployment:
    """How one ONNX model is run."""

    max_batch_size: int
    """Most articles in one execution."""
    instances: int = 1
    """Copies of the model that run side by side."""
    threads: int = 1
    """Threads of one execution."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How the repository is run on CPUs."""

    models: dict[Task, ModelDeployment] = field(
        default_factory=lambda: {
            # As many instances as cores: more of them only push each other out of the caches.
            Task.SUMMARY: ModelDeployment(max_batch_size=4, instances=2),
            Task.CATEGORY: ModelDeployment(max_batch_size=16),
            Task.VERACITY: ModelDeployment(max_batch_size=16),
        }
    )
    """By task."""
    request_batch_size: int = 4
    """Most articles in one request; no model's batch may be smaller."""
    text_batch_size: int = 32
    """Most articles that a tokenizer, detokenizer or label model handles at once."""
    queue_delay_microseconds: int = 500
    """How long a request waits for others to share its batch."""
    queue_size: int = 64
    """Requests that wait in front of a model; one more is refused at once."""
    queue_timeout_microseconds: int = 10_000_000
    """A request that waited this long is refused; requests may ask for less."""


DEPLOYMENT: Final = Deployment()
"""What the committed repository is generated from."""
