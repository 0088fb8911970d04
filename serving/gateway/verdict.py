"""What the supervisor says of the server: read from the file that it writes at least once a second."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

MAX_AGE_S: Final = 5.0
"""A verdict older than this counts no more."""


@dataclass(frozen=True, kw_only=True)
class ModelVerdict:
    """Whether one model answers, with all that it passes through."""

    ready: bool
    reason: str = ""
    """Why not; empty while it is ready."""
    died_at_s: float | None = None
    """When a process of it was last found dead, in seconds since the epoch; None if none was."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How the server is."""

    live: bool
    """Whether somebody looks after the server: it heals, however ill it is now."""
    ready: bool
    reason: str = ""
    """Why it is not ready; empty while it is."""
    models: Mapping[str, ModelVerdict] = field(default_factory=dict)
    restarts: int = 0
    """How often Triton was started again."""
    heals: int = 0
    """How often a model was brought back without that."""

    def model(self, name: str) -> ModelVerdict | None:
        """The verdict on a model; None for one that the supervisor does not know."""
        found = self.models.get(name)
        if found is None or self.live:
            return found
        return dataclasses.replace(found, ready=False, reason=self.reason)


class _FileError(Exception):
    """The file does not hold a verdict; the message says why."""


class VerdictFile:
    """The supervisor's file, parsed only when it was written anew, so that every request can ask.

    A verdict that is missing, broken or too old is one too: not ready.

    Args:
        path: Where the file is.
        now: The clock, in seconds since the epoch.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._stamp: tuple[int, int, int] | None = None
        self._parsed: tuple[float, Verdict] | None = None
        self._broken = ""

    def read(self) -> Verdict:
        """The verdict as it is now."""
        self._refresh()
        if self._parsed is None:
            return Verdict(live=False, ready=False, reason=self._broken)
        written_at_s, verdict = self._parsed
        age_s = self._now() - written_at_s
        if age_s <= MAX_AGE_S:
            return verdict
        reason = f"the supervisor has not been heard of for {age_s:.0f} s"
        return Verdict(
            live=False,
            ready=False,
            reason=reason,
            models=verdict.models,
            restarts=verdict.restarts,
            heals=verdict.heals,
        )

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._parsed = _parse(self._path.read_bytes())
        except OSError as error:
            self._stamp, self._parsed = None, None
            self._broken = f"the supervisor has not been heard of: {self._path.name} cannot be read ({error.strerror})"
        except _FileError as error:
            self._parsed = None
            self._broken = f"the supervisor has not been heard of: {self._path.name} {error}"


def _parse(content: bytes) -> tuple[float, Verdict]:
    """When a verdict was written, in seconds since the epoch, and what it says."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise _FileError("is not JSON") from None
    if not isinstance(document, dict):
        raise _FileError("is not a JSON object")
    models = _get(document, "models", dict, {})
    triton = _get(document, "triton", dict, {})
    ready, reason = _judged(document)
    verdict = Verdict(
        live=True,
        ready=ready,
        reason=reason,
        models={name: _model(one) for name, one in models.items()},
        restarts=_get(triton, "restarts", int, 0),
        heals=_get(document, "heals", int, 0),
    )
    written_at_s = _get(document, "written_at", float)
    if not math.isfinite(written_at_s):
        raise _FileError("has no time in written_at")
    return written_at_s, verdict


def _model(document: Any) -> ModelVerdict:
    if not isinstance(document, dict):
        raise _FileError("has a model without a verdict")
    ready, reason = _judged(document)
    died_at_s = document.get("died_at")
    if died_at_s is not None:
        died_at_s = float(_get(document, "died_at", (int, float)))
    return ModelVerdict(ready=ready, reason=reason, died_at_s=died_at_s)


def _judged(document: Mapping[str, Any]) -> tuple[bool, str]:
    ready: bool = _get(document, "ready", bool)
    reason: str = _get(document, "reason", str, "")
    return ready, "" if ready else reason or "the supervisor does not say why"


def _get(document: Mapping[str, Any], name: str, kind: Any, default: Any = None) -> Any:
    value = document.get(name, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _FileError(f"has no {name} that can be read")
    return value
