"""Starts Triton and the door, watches both, heals them, and stops them in order."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from serving.arguments import ADMIN_HEADER, in_brackets
from serving.launcher import TritonServer
from serving.processes import write_private

from .door import Door
from .events import Journal
from .healing import Retries
from .models import passes_through, reasons_with_those_of_others, verdict
from .patience import Patience
from .signs import Signs
from .state import State, StateFile
from .stubs import StubKeeper
from .triton import Phase, TritonKeeper
from .watcher import Watcher

STATE: Final = "state.json"
_STOPPING: Final = "the server is being stopped"
_DOOR: Final = "the door is being started again"


@dataclass(frozen=True, kw_only=True)
class Urls:
    """Where people reach the server."""

    http: str
    grpc: str
    metrics: str


@dataclass(frozen=True, kw_only=True)
class SupervisorOptions:
    """What the supervisor keeps, and where it says so."""

    folder: Path
    """For this server alone: the state, and what it and the door tell each other. Removed at the end."""
    keep_folder: bool = False
    """Leave the folder, with what others put there, and remove the state alone: it is somebody else's."""
    ready_file: Path | None = None
    patience: Patience = field(default_factory=Patience)


class Supervisor:
    """Keeps one server: Triton, and the door before it if there is one.

    Args:
        options: Where it says what.
        server: Triton, not started yet.
        journal: Where events are told.
        make_door: Makes the door once Triton's addresses are known; ``None`` for a server without one.
    """

    def __init__(
        self,
        options: SupervisorOptions,
        server: TritonServer,
        journal: Journal,
        make_door: Callable[[TritonServer], Door] | None = None,
    ) -> None:
        patience = options.patience
        self.options, self.server, self.journal = options, server, journal
        self.urls: Urls | None = None
        self.door: Door | None = None
        self._make_door = make_door
        self._keeper = TritonKeeper(server, journal, patience)
        self._stubs = StubKeeper(self._keeper, journal, patience)
        self._signs = Signs(self._keeper, self._stubs, patience)
        self._retries = Retries(patience.retry_s, patience.longest_retry_s)
        self._watcher = Watcher()
        self._state = StateFile(options.folder / STATE, patience.state_s)
        self._end = threading.Event()
        self._stopping = False
        self._ready_for: tuple[int | None, ...] = ()
        self._blind = False

    @property
    def state_file(self) -> Path:
        """Where the state is written."""
        return self._state.path

    @property
    def watcher_pid(self) -> int | None:
        """The process that clears up after this one."""
        return self._watcher.pid

    def end(self) -> None:
        """Have `watch` come back; for a signal's handler."""
        self._end.set()

    def start(self) -> None:
        """Start everything and wait until it serves.

        Raises:
            ServingError: It cannot be started.
        """
        self.options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keeper.start(self._starting)  # from the first process on, whenever this one may be killed
        self._guard()
        self._write()
        if self._make_door is None:
            self.urls = Urls(http=self.server.http_url, grpc=self.server.grpc_url, metrics=self.server.metrics_url)
        else:
            self.door = self._make_door(self.server)
            listens = self.door.start()
            host = in_brackets(self.door.options.configuration["host"])
            secure = "s" if "plain_grpc_port" in listens else ""
            self.urls = Urls(
                http=f"http{secure}://{host}:{listens['http_port']}",
                grpc=f"grpc{secure}://{host}:{listens['grpc_port']}",
                metrics=f"http://{host}:{listens['metrics_port']}/metrics",
            )
        self._guard()
        self._write()
        self._write_ready_file()
        self.journal.tell("ready", f"the server is ready (state: {self.state_file})", pid=self.server.pid)

    def watch(self) -> None:
        """Keep the server until `end` is called.

        Raises:
            CrashLoopError: Triton ends again and again.
            DoorError: The door does.
        """
        while not self._end.is_set():
            begin_s = time.monotonic()
            try:
                self._tick(begin_s)
                self._blind = False
            except OSError as error:  # no file or process can be had: nothing is known of the others, nothing is wrong
                if not self._blind:
                    self._blind = True
                    words = f"the supervisor cannot look after the server just now, and tries again: {error}"
                    self.journal.tell("cannot look", words)
            busy = bool(self._stubs.ill) or self._keeper.phase is Phase.STARTING
            pause_s = self.options.patience.busy_look_s if busy else self.options.patience.look_s
            self._end.wait(max(0.0, pause_s - (time.monotonic() - begin_s)))

    def stop(self) -> None:
        """End the door, which lets requests in flight finish, then Triton, and leave nothing behind."""
        self._stopping = True
        if self.options.folder.is_dir():
            self._write()
        if self.options.ready_file is not None:
            self.options.ready_file.unlink(missing_ok=True)
        if self.door is not None:
            self.door.stop(self._write)
        self._keeper.close()
        self.server.stop()
        self._watcher.close()
        if self.options.keep_folder:
            self.state_file.unlink(missing_ok=True)
        else:
            shutil.rmtree(self.options.folder, ignore_errors=True)

    def state(self) -> State:
        """What is ready now, and what is not and why."""
        keeper = self._keeper
        catalogue, public = keeper.catalogue, [model.name for model in keeper.catalogue.models.values() if model.public]
        names = {*self.server.models, *catalogue.models, *catalogue.failed}
        away = _STOPPING if self._stopping else keeper.doubt(time.monotonic())
        if away:
            ready, reason, reasons = False, away, dict.fromkeys(names, away)
        else:
            own = {**catalogue.failed, **self._stubs.ill}
            reasons = reasons_with_those_of_others(own, passes_through(catalogue.models), names)
            ready, reason = verdict(reasons, catalogue.failed, public)
            if self.door is not None and not self.door.listening:
                ready, reason = False, _DOOR
        return State(
            ready=ready,
            reason=reason,
            models=reasons,
            died_at_s=self._stubs.died_at_s,
            triton_pid=self.server.pid if self.server.running else None,
            restarts=keeper.restarts,
            heals=self._stubs.heals,
            events=tuple(self.journal.last()),
        )

    def _tick(self, now_s: float) -> None:
        keeper = self._keeper
        keeper.tick(now_s)
        living = self._stubs.look(now_s)
        self._signs.tick(living, now_s)
        if keeper.phase is not Phase.SERVING:
            self._retries.forget()
        elif not self._stubs.healing or self._retries.loading:
            self._retry(now_s)
        if self.door is not None:
            self.door.tick(now_s)
        self._guard()
        self._write()
        if keeper.phase is Phase.SERVING and self._ready_for != self._pids():
            self._write_ready_file()

    def _retry(self, now_s: float) -> None:
        # Whoever had a model unloaded does not want it back.
        failed = {name: why for name, why in self._keeper.catalogue.failed.items() if why != "unloaded"}
        # Ensembles fail for the sake of their steps, and their reason says so: they come last.
        order = sorted(failed, key=lambda name: (any(other in failed[name] for other in failed if other != name), name))
        timeout_s = self.server.options.ready_timeout_s
        if (name := self._retries.tick(self._keeper.client, order, now_s, timeout_s)) is not None:
            self._keeper.look_again()
            self.journal.tell("model loaded", f"model {name} could be loaded this time", model=name)

    def _starting(self) -> None:
        self._guard()
        self._write()  # whoever looks at its age sees that this process lives, however long the models take

    def _guard(self) -> None:
        groups = [self.server.pid] if self.server.running else []
        groups += [self.door.pid] if self.door is not None and self.door.pid is not None else []
        was = self._watcher.pid
        folder = None if self.options.keep_folder else self.options.folder
        started = self._watcher.tell(groups, sorted(self.server.regions), folder)
        if started and was is None and self._ready_for:
            self.journal.tell("watcher died", "the process that clears up after the supervisor was started again")

    def _write(self) -> None:
        self._state.write(self.state(), time.monotonic())

    def _pids(self) -> tuple[int | None, ...]:
        return self.server.pid, None if self.door is None else self.door.pid

    def _write_ready_file(self) -> None:
        self._ready_for = self._pids()
        if self.options.ready_file is None or self.urls is None:
            return
        triton_key = self.server.options.admin_key
        content: dict[str, Any] = {
            "http_url": self.urls.http,
            "grpc_url": self.urls.grpc,
            "metrics_url": self.urls.metrics,
            "triton_grpc_url": self.server.grpc_url,
            "triton_http_url": self.server.http_url,
            "triton_metrics_url": self.server.metrics_url,
            "launcher_pid": os.getpid(),
            "server_pid": self.server.pid,
            "door_pid": None if self.door is None else self.door.pid,
            "state_file": str(self.state_file),
            "log_file": str(self.server.log_file),
            "events_file": str(self.journal.path),
            "models": self.server.models,
            "admin_header": ADMIN_HEADER,
            "admin_key": triton_key if self.door is None else self.door.options.configuration["admin_key"],
            "triton_admin_key": triton_key,
        }
        with contextlib.suppress(OSError):  # a full disk is no reason to end what serves
            write_private(self.options.ready_file, content)
