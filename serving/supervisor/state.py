"""The verdict: what is ready, written as a file that the door and a person's tools read."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.processes import write_private


@dataclass(frozen=True, kw_only=True)
class State:
    """What the supervisor knows at a moment."""

    ready: bool
    reason: str = ""
    """What is not ready and why; not empty either while the whole is ready without a model that cannot be loaded."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Each model and why it is not ready; empty for one that is."""
    died_at_s: Mapping[str, float] = field(default_factory=dict)
    """When a process of a model was last found dead, in seconds since the epoch, for those of which one was. A fan-out
    never answers the requests that it had before; whoever waits for one must be told."""
    triton_pid: int | None = None
    restarts: int = 0
    heals: int = 0
    events: tuple[dict[str, Any], ...] = ()

    def document(self) -> dict[str, Any]:
        """What stands in the file, but for the time of writing."""
        return {
            "ready": self.ready,
            "reason": self.reason,
            "models": {
                name: {"ready": not reason, "reason": reason, "died_at": self.died_at_s.get(name)}
                for name, reason in sorted(self.models.items())
            },
            "triton": {"pid": self.triton_pid, "restarts": self.restarts},
            "heals": self.heals,
            "events": list(self.events),
        }


class StateFile:
    """Writes the state when it has changed, and every ``every_s`` seconds."""

    def __init__(self, path: Path, every_s: float) -> None:
        self.path = path
        self._every_s = every_s
        self._written_s = float("-inf")
        self._last: dict[str, Any] = {}

    def write(self, state: State, now_s: float) -> None:
        """Write ``state`` if that is due at ``now_s``, a time of the monotonic clock."""
        document = state.document()
        if document == self._last and now_s - self._written_s < self._every_s:
            return
        self._last, self._written_s = document, now_s
        with contextlib.suppress(OSError):  # a full disk is no reason to end what serves; the file tells its age
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # somebody may have emptied the cache
            try:
                write_private(self.path, {"written_at": time.time(), **document})
            except OSError:
                os.utime(self.path)  # whoever asks the file's age, as a cluster does, learns that somebody is here
                raise
