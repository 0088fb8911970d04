"""How a model whose process has died is brought back while Triton goes on: by loading it again.

Triton 2.51 goes on saying that such a model is ready, and takes a plain load for done already. It starts the processes
anew only for a configuration that differs from the one that is served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import json_format

from serving.triton_grpc import Future, TritonClient, words_of

MARK: Final = "supervisor.healed_at"
"""The key of the entry of ``cc_model_filenames`` that makes the configuration another one.

That field names files for GPUs of a compute capability, and this is none: nothing reads the entry. A new entry among
``parameters`` would be seen by the backends, and ours refuse those that they do not know."""


def override(config: Any, *, served: Iterable[str], on_disk: Iterable[str], now_s: float) -> dict[str, Any]:
    """The configuration that is served, changed in what nothing reads.

    Args:
        config: The ``ModelConfig`` that is served.
        served: The versions that are served.
        on_disk: The versions in the repository. Where they are others, the load is bound to those that are served: a
            model that was healed must not be newer than the models around it.
        now_s: What makes it differ from the configuration after the last time.
    """
    document: dict[str, Any] = json_format.MessageToDict(config, preserving_proto_field_name=True)
    document.setdefault("cc_model_filenames", {})[MARK] = str(now_s)
    versions = sorted(served, key=int)
    if set(versions) != set(on_disk):
        document["version_policy"] = {"specific": {"versions": [int(version) for version in versions]}}
    return document


def versions_on_disk(model: Path) -> list[str]:
    """The versions of a model in the repository."""
    return [path.name for path in model.iterdir() if path.is_dir() and path.name.isdecimal()] if model.is_dir() else []


@dataclass
class Load:
    """A load that is under way: first the configuration is asked for, then the model is loaded with it.

    Args:
        client: Where to load.
        model: Its name.
        timeout_s: How long the load may take.
        make: The override for a configuration; ``None`` loads what is in the repository.
    """

    client: TritonClient
    model: str
    timeout_s: float
    make: Callable[[Any], dict[str, Any]] | None = None
    error: str | None = None
    """Why it failed, once it is done; ``None`` for one that is well."""
    _question: Future = None
    _loading: bool = False

    def __post_init__(self) -> None:
        self.begun_s = time.monotonic()
        if self.make is None:
            self._question, self._loading = self.client.load(self.model, self.timeout_s), True
        else:
            self._question = self.client.config(self.model, min(self.timeout_s, 10.0))

    def done(self) -> bool:
        """Take the next step; whether it was the last one."""
        if not self._question.done():
            return False
        try:
            answer = self._question.result()
            if self._loading or self.make is None:
                return True
            self._question = self.client.load(self.model, self.timeout_s, self.make(answer.config))
            self._loading = True
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            self.error = words_of(error)
            return True
        return False


@dataclass
class Retries:
    """Tries models again that could not be loaded: their files may have been put right."""

    first_s: float
    longest_s: float
    _delay_s: float = 0.0
    _due_s: float | None = None
    _waiting: list[str] = field(default_factory=list)
    _load: Load | None = None

    @property
    def loading(self) -> bool:
        """Whether a load is under way."""
        return self._load is not None

    def tick(self, client: TritonClient, failed: Iterable[str], now_s: float, timeout_s: float) -> str | None:
        """Take the next step.

        Args:
            client: Where to load.
            failed: Models of which no version is ready, those that others pass through first.
            now_s: The time of the monotonic clock.
            timeout_s: How long a load may take.

        Returns:
            A model that has been loaded just now.
        """
        if self._load is not None:
            if not self._load.done():
                return None
            load, self._load = self._load, None
            return load.model if load.error is None else None
        names = list(failed)
        if not names:
            self._due_s, self._delay_s = None, 0.0
        elif self._due_s is None:
            self._delay_s = self.first_s
            self._due_s = now_s + self._delay_s
        elif self._waiting:
            if (name := self._waiting.pop(0)) in names:
                self._load = Load(client, name, timeout_s)
        elif now_s >= self._due_s:
            self._waiting = names
            self._delay_s = min(2 * self._delay_s, self.longest_s)
            self._due_s = now_s + self._delay_s
        return None

    def forget(self) -> None:
        """Triton was started anew."""
        self._load, self._due_s, self._waiting = None, None, []
