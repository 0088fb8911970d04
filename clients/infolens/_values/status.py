"""The state of a server; `infolens.types` exports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedTask:
    """What answers a task on a server, and what it is."""

    task: str
    model: str
    """Its name on the server, such as ``bart``."""
    version: str
    revision: str
    """The first digits of a hash of its files: another model has another one."""
    max_tokens: int | None = None
    """How many tokens of an article it reads at most."""
    what_it_is: str = ""
    what_it_is_not: str = ""
    card: str = ""
    """Where the server has its model card: a path."""

    def to_dict(self) -> dict[str, Any]:
        """``{"model": "bart", "version": "1", "revision": "0f3c...", "max_tokens": 1024, ...}``."""
        return {
            "model": self.model,
            "version": self.version,
            "revision": self.revision,
            "max_tokens": self.max_tokens,
            "is": self.what_it_is,
            "is_not": self.what_it_is_not,
            "card": self.card,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerStatus:
    """What a server says about itself."""

    live: bool
    """Whether the server answers."""
    server_ready: bool
    """Whether the server itself says that it is ready for inference."""
    version: str
    """Name and version, such as ``triton 2.51.0``; empty when the server does not say."""
    models: Mapping[str, bool] = field(default_factory=dict)
    """Whether each model that serves a task is ready, by name."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The labels that each task's answers have now, by task; empty when the server does not say."""
    reason: str = ""
    """What the server's supervisor says of its state; empty where the server does not say, as over gRPC."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """What it says of each model of which there is something to say, by name."""
    tasks: Mapping[str, ServedTask] = field(default_factory=dict)
    """What answers each task, by task; empty when the server does not say."""

    @property
    def ready(self) -> bool:
        """Whether every task can be answered."""
        return self.live and self.server_ready and all(self.models.values())

    def to_dict(self) -> dict[str, Any]:
        """``{"live": true, "ready": true, "version": "triton 2.51.0", "models": {"bart": true, ...}, "labels": ...}``.

        ``labels`` is ``{"category": ["Business", ...], ...}``, ``reason`` and ``reasons`` are the supervisor's words,
        and ``tasks`` is ``{"summary": {"model": "bart", "revision": ...}, ...}``.
        """
        return {
            "live": self.live,
            "ready": self.ready,
            "version": self.version,
            "models": dict(self.models),
            "labels": {task: list(labels) for task, labels in self.labels.items()},
            "reason": self.reason,
            "reasons": dict(self.reasons),
            "tasks": {task: served.to_dict() for task, served in self.tasks.items()},
        }
