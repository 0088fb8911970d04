"""Keeps Triton: sees it end or hang, clears up what it left, and starts it again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any

import grpc

from serving.errors import CrashLoopError
from serving.launcher import TritonServer, failed_models
from serving.processes import how_it_ended, regions_of, stubs_of
from serving.triton_grpc import Asked, TritonClient, read_index, words_of

from .events import Journal
from .models import ServedModel, read_model
from .patience import Backoff, CrashLoop, Patience


class Phase(StrEnum):
    """What Triton is at."""

    AWAY = auto()
    STARTING = auto()
    SERVING = auto()


@dataclass
class Catalogue:
    """What a Triton serves."""

    models: dict[str, ServedModel] = field(default_factory=dict)
    versions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The versions that are ready, by model."""
    failed: dict[str, str] = field(default_factory=dict)
    """Models of which no version is ready, and why."""
    read_s: float = float("-inf")
    """When the question was asked of which this is the answer, on the monotonic clock."""


class TritonKeeper:
    """Keeps one Triton.

    Attributes:
        phase: What it is at.
        reason: Why it does not serve; empty when it does.
        client: The channel to it while it starts or serves.
        catalogue: What it serves.
        restarts: How often it was started again.
    """

    client: TritonClient

    def __init__(self, server: TritonServer, journal: Journal, patience: Patience) -> None:
        self.server = server
        self.phase = Phase.AWAY
        self.reason = "Triton has not been started"
        self.catalogue = Catalogue()
        self.restarts = 0
        self._journal, self._patience = journal, patience
        self._backoff = Backoff(patience.first_delay_s, patience.longest_delay_s, patience.healthy_s)
        self._loop = CrashLoop(patience.loop_deaths, patience.loop_ready_s)
        self._due_s = 0.0
        self._died_s = 0.0

    def start(self, meanwhile: Callable[[], None]) -> None:
        """Start it for the first time and wait until it serves.

        Args:
            meanwhile: As of `TritonServer.start`.

        Raises:
            ServingError: As `TritonServer.start`.
        """
        self.server.start(meanwhile)
        self._connect()
        now_s = time.monotonic()
        self._read(now_s)
        self._serves(now_s)
        for model, reason in sorted(self.catalogue.failed.items()):
            self._journal.tell("model failed", f"WARNING: model {model} cannot be loaded and is not served: {reason}")

    def close(self) -> None:
        """Give up what was asked of it."""
        if self.phase is not Phase.AWAY:
            self.client.close()

    def tick(self, now_s: float) -> None:
        """Take the next step.

        Raises:
            CrashLoopError: Triton ends again and again.
        """
        if self.phase is Phase.AWAY:
            if now_s >= self._due_s:
                self._spawn(now_s)
            return
        if (code := self.server.poll()) is not None:
            said = "" if code < 0 else f": {self.server.reason()}"
            self.fell(f"Triton {how_it_ended(code)}{said}", now_s, exit_code=code)
        elif self.phase is Phase.STARTING:
            self._wait(now_s)
        else:
            self._ask(now_s)

    def fell(self, words: str, now_s: float, **fields: Any) -> None:
        """Clear up after a Triton that has ended or must end, and have it started again later.

        Raises:
            CrashLoopError: This was one time too many.
        """
        self.client.close()
        pid = self.server.pid
        left = self.server.stop(now=True)
        self.phase, self.catalogue = Phase.AWAY, Catalogue(failed=self.catalogue.failed)
        self._died_s = now_s
        others = f"; {len(left)} processes that it left are gone" if left else ""
        self._again(f"{words}{others}", now_s, pid=pid, left=left, **fields)

    def _again(self, words: str, now_s: float, **fields: Any) -> None:
        self.reason = f"Triton is being started again ({words})"
        if self._loop.died(now_s):
            raise CrashLoopError(
                f"{words}. It has ended {self._loop.count} times and never served for "
                f"{self._patience.loop_ready_s:.0f} s between: look at the end of {self.server.log_file}"
            )
        delay_s = self._backoff.after(now_s)
        self._due_s = now_s + delay_s
        self._journal.tell("triton died", f"{words}; starting it again in {delay_s:g} s", **fields)

    def doubt(self, now_s: float) -> str:
        """Why Triton cannot be counted on, although it runs; empty when nothing speaks against it."""
        if self.phase is not Phase.SERVING:
            return self.reason
        late = self._live.unanswered > 0 or self._live.waiting_s(now_s) >= self._patience.doubt_s
        return f"Triton has not answered for {now_s - self._live.answered_s:.0f} s" if late else ""

    def look_again(self) -> None:
        """Ask for the catalogue at the next opportunity."""
        if self._index.question is None:
            self._index.asked_s = float("-inf")

    def read_again(self, model: str) -> ServedModel | None:
        """A model as it is served now, which another load may have changed; ``None`` when Triton does not say."""
        try:
            self.catalogue.models |= self._configs({model})
        except grpc.RpcError:
            return None
        return self.catalogue.models[model]

    def _spawn(self, now_s: float) -> None:
        try:
            self.server.spawn()
        except OSError as error:  # no process or no file can be had just now
            self._again(f"Triton cannot be started: {error}", now_s)
            return
        self.restarts += 1
        self.phase, self.reason = Phase.STARTING, "Triton is starting"
        self._due_s = now_s + self.server.options.ready_timeout_s
        self._connect()

    def _connect(self) -> None:
        client, patience = self.server.client(), self._patience
        self.client = client
        self._live = Asked(lambda: client.live(patience.answer_s), 0.1)
        self._index = Asked(lambda: client.index(patience.answer_s), patience.ask_s)

    def _wait(self, now_s: float) -> None:
        self.server.regions |= {stub.region for stub in stubs_of(self.server.pid)}
        if self._live.poll(now_s) is not None:
            try:
                self._read(now_s)
            except grpc.RpcError as error:
                self.reason = f"Triton is starting: {words_of(error)}"
                return
            if self.catalogue.models:
                self._serves(now_s)
                took = f"{now_s - self._died_s:.1f} s after it ended"
                self._journal.tell("triton back", f"Triton serves again, {took} (process {self.server.pid})")
            else:
                self.fell(f"Triton could not load any model: {self.server.reason()}", now_s)
        elif now_s > self._due_s:
            self.fell(f"Triton was not ready within {self.server.options.ready_timeout_s:.0f} s", now_s)

    def _serves(self, now_s: float) -> None:
        self.phase, self.reason = Phase.SERVING, ""
        self._loop.ready(now_s)
        self._live.every_s, self._live.unanswered = self._patience.ask_s, 0
        self.server.regions |= regions_of(self.server.pid)

    def _ask(self, now_s: float) -> None:
        self._live.poll(now_s)
        if self._live.unanswered >= 2:
            self.fell(f"Triton did not answer for {2 * self._patience.answer_s:.0f} s and was killed", now_s)
            return
        if (answer := self._index.poll(now_s)) is not None:
            with contextlib.suppress(grpc.RpcError):  # the next answer may find it better
                self._take(answer, self._index.answered_s)

    def _read(self, now_s: float) -> None:
        self._take(self.client.index(self._patience.answer_s).result(), now_s)

    def _take(self, answer: Any, asked_s: float) -> None:
        entries = read_index(answer)
        ready: dict[str, tuple[str, ...]] = {}
        for entry in entries:
            if entry.state == "READY":
                ready[entry.model] = (*ready.get(entry.model, ()), entry.version)
        failed = failed_models(answer, "")
        passing = {entry.model for entry in entries if entry.state in ("LOADING", "UNLOADING")}
        if ready != self.catalogue.versions or set(failed) != set(self.catalogue.failed):
            models = self.catalogue.models | self._configs(set(ready) - set(self.catalogue.models))
            told = failed_models(answer, self.server.log()) if set(failed) - passing else {}
            gone = set(models) - set(ready) - passing
            self.catalogue.models = {name: model for name, model in models.items() if name not in gone}
            self.catalogue.failed = {name: reason for name, reason in told.items() if name not in passing}
            self.catalogue.versions = ready
        self.catalogue.read_s = asked_s

    def _configs(self, names: set[str]) -> dict[str, ServedModel]:
        questions = {name: self.client.config(name, self._patience.ask_s) for name in names}
        return {
            name: read_model(question.result().config, self.server.processes) for name, question in questions.items()
        }
