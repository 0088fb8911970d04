"""The door as a child process: configured by a file, waited for until it listens, started again when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from serving.arguments import in_brackets, resolve
from serving.errors import DoorError
from serving.processes import how_it_ended, kill_group, write_private
from serving.triton_grpc import Asked, TritonClient

from .events import Journal
from .patience import Backoff, CrashLoop, Patience

COMMAND: Final = (sys.executable, "-m", "serving.gateway")
"""What runs the door; the path of its configuration comes after it."""
# PR_SET_PDEATHSIG (1): the kernel kills it when the supervisor goes, however that comes about.
_EXEC: Final = (
    "import ctypes, os, signal, sys;"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL);"
    "os.getppid() == int(sys.argv[1]) and os.execvp(sys.argv[2], sys.argv[2:])"
)
_POLL_S: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class DoorOptions:
    """How to start the door."""

    folder: Path
    """Where its configuration lies, and where it writes ``door.json`` once it listens."""
    configuration: Mapping[str, Any]
    log_file: Path
    """What it says."""
    root: Path
    """Where it is started."""
    command: tuple[str, ...] = COMMAND
    start_timeout_s: float = 60.0
    exit_timeout_s: float = 12.0
    """How long requests in flight may take when it is told to end."""
    patience: Patience = field(default_factory=Patience)


class Door:
    """Starts the door, sees it end, starts it again."""

    def __init__(self, options: DoorOptions, journal: Journal) -> None:
        self.options = options
        self.restarts = 0
        self._journal = journal
        self._process: subprocess.Popen[bytes] | None = None
        patience = options.patience
        self._backoff = Backoff(patience.first_delay_s, patience.longest_delay_s, patience.healthy_s)
        self._loop = CrashLoop(patience.loop_deaths, patience.loop_ready_s)
        self._again_s: float | None = None
        self._told = True
        self._live: Asked | None = None
        self._client: TritonClient | None = None

    @property
    def pid(self) -> int | None:
        """Its process, if there is one."""
        return None if self._process is None else self._process.pid

    @property
    def listening(self) -> bool:
        """Whether it listens."""
        return self._process is not None and self._process.poll() is None and self._listens_at.exists()

    @property
    def answers(self) -> bool:
        """Whether it has answered a question of the supervisor since it was started."""
        return self._live is not None and self._live.answered_s > float("-inf")

    @property
    def _listens_at(self) -> Path:
        return self.options.folder / "door.json"

    def start(self) -> dict[str, Any]:
        """Start it and wait until it listens; what it says about where.

        Raises:
            DoorError: It ended, or did not listen in time.
        """
        self._spawn()
        deadline = time.monotonic() + self.options.start_timeout_s
        while not self.listening:
            process = self._process
            if process is None or process.poll() is not None:
                code = None if process is None else process.returncode
                raise DoorError(f"the door {self._how_it_ended(code)}")
            if time.monotonic() > deadline:
                raise DoorError(f"the door did not listen within {self.options.start_timeout_s:.0f} s")
            time.sleep(_POLL_S)
        self._told = True
        self._loop.ready(time.monotonic())
        listens: dict[str, Any] = json.loads(self._listens_at.read_text(encoding="utf-8"))
        return listens

    def tick(self, now_s: float) -> None:
        """See whether it lives; start it again when that is due.

        Raises:
            DoorError: It ends again and again.
        """
        if self._again_s is not None:
            if now_s >= self._again_s:
                self._again_s = None
                try:
                    self._spawn()
                except OSError as error:  # no process or no file can be had just now
                    self._fell(f"the door cannot be started: {error}", now_s)
            return
        process = self._process
        if process is not None and (code := process.poll()) is not None:
            kill_group(process.pid)
            self._process = None
            self._ask_no_more()
            self.restarts += 1
            self._fell(f"the door {self._how_it_ended(code)}", now_s, exit_code=code)
        elif process is not None and self.listening and self._hangs(now_s):
            words = f"the door has not answered for {2 * self.options.patience.answer_s:.0f} s: killing it"
            self._journal.tell("door hung", words, pid=self.pid)
            os.kill(process.pid, signal.SIGKILL)
        elif self.listening and not self._told:
            self._told = True
            self._loop.ready(now_s)
            self._journal.tell("door back", f"the door listens again (process {self.pid})", pid=self.pid)

    def stop(self, meanwhile: Callable[[], None]) -> None:
        """Have it take no new requests, wait for those in flight, and end it.

        Args:
            meanwhile: Called while that takes its time.
        """
        process, self._process = self._process, None
        self._ask_no_more()
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self.options.exit_timeout_s
        while process.poll() is None and time.monotonic() < deadline:
            meanwhile()
            time.sleep(_POLL_S)
        kill_group(process.pid)
        process.wait()

    def _fell(self, words: str, now_s: float, **fields: Any) -> None:
        if self._loop.died(now_s):
            raise DoorError(f"{words}. It has ended {self._loop.count} times and never served for long between")
        delay_s = self._backoff.after(now_s)
        self._again_s, self._told = now_s + delay_s, False
        self._journal.tell("door died", f"{words}; starting it again in {delay_s:g} s", **fields)

    def _hangs(self, now_s: float) -> bool:
        """Whether it has left two questions in a row unanswered, after it had answered one."""
        patience = self.options.patience
        if self._live is None:
            listens = json.loads(self._listens_at.read_text(encoding="utf-8"))
            address = f"{in_brackets(resolve(self.options.configuration['host']))}:{listens['grpc_port']}"
            if "plain_grpc_port" in listens:  # under TLS: beside it, for this question alone
                address = f"127.0.0.1:{listens['plain_grpc_port']}"
            client = self._client = TritonClient(address, ("", ""))
            self._live = Asked(lambda: client.live(patience.answer_s), patience.ask_s)
        self._live.poll(now_s)
        return self.answers and self._live.unanswered >= 2

    def _ask_no_more(self) -> None:
        self._live = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _spawn(self) -> None:
        self._listens_at.unlink(missing_ok=True)
        file = self.options.folder / "door-configuration.json"
        write_private(file, self.options.configuration)
        self.options.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.options.log_file.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 (our own words)
                [sys.executable, "-I", "-c", _EXEC, str(os.getpid()), *self.options.command, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.options.root,
                env={"GRPC_VERBOSITY": "ERROR", **os.environ},  # else a line for each failed handshake of anybody
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then ends the door in order
            )

    def _how_it_ended(self, code: int | None) -> str:
        if code is None:
            return "is not there"
        last = f": {self._last_line()}" if code >= 0 else ""  # whoever is killed has no last words
        return f"{how_it_ended(code)}{last} (log: {self.options.log_file})"

    def _last_line(self) -> str:
        try:
            with self.options.log_file.open("rb") as file:
                file.seek(max(0, self.options.log_file.stat().st_size - 4000))
                lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError as error:  # somebody may have tidied up the logs: no reason to end what serves
            return f"its log cannot be read ({error.strerror})"
        return lines[-1] if lines else "it said nothing"
