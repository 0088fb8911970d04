"""The state of a server; `infolens.types` exports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """Where a served model comes from, as its export found it; what nobody knows is empty."""

    registered_model: str = ""
    """Its name in the MLflow registry..."""
    registered_version: str = ""
    """...and its version there."""
    run_id: str = ""
    """The MLflow run that trained it."""
    base: str = ""
    """What training began with: a hub id, a folder's name, or ``starter`` for a model from scratch."""
    data_hash: Mapping[str, str] = field(default_factory=dict)
    """A hash of the articles and answers of each split, by its name."""
    recipe_hash: str = ""
    """SHA-256 of the recipe that it was trained by."""
    git_revision: str = ""
    """The revision of the code that trained it."""
    test: Mapping[str, float] = field(default_factory=dict)
    """Its figures on the test split, by their names; empty where none are known."""
    baseline: Mapping[str, float] = field(default_factory=dict)
    """Those of a baseline on the same articles."""

    def to_dict(self) -> dict[str, Any]:
        """``{"registered_model": "category", "registered_version": "3", ..., "test": {"macro_f1": 0.84}, ...}``."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in told.items()}


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
    lineage: Lineage | None = None
    """Where it comes from; None where its artefact does not say."""

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
            "lineage": None if self.lineage is None else self.lineage.to_dict(),
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
