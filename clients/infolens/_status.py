"""The state of a server; `infolens.types` exports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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

    @property
    def ready(self) -> bool:
        """Whether every task can be answered."""
        return self.live and self.server_ready and all(self.models.values())

    def to_dict(self) -> dict[str, Any]:
        """``{"live": true, "ready": true, "version": "triton 2.51.0", "models": {"bart": true, ...}, "labels": ...}``.

        ``labels`` is ``{"category": ["Business", ...], ...}``.
        """
        return {
            "live": self.live,
            "ready": self.ready,
            "version": self.version,
            "models": dict(self.models),
            "labels": {task: list(labels) for task, labels in self.labels.items()},
        }
