"""Triton as a child process: started, waited for until it is ready, and ended with all its processes."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from .arguments import ADMIN_HEADER, ServerOptions, arguments, in_brackets, pick_ports, resolve
from .assembly import prepare, python_based
from .errors import StartError
from .gpu.preflight import check_environment, preflight
from .gpu.sharing import VARIABLE, HostPlace
from .processes import kill_group, members, regions_of, remove_regions, stubs_of
from .repository import answer_by_themselves, check_repository, config_files, plain
from .runtime import Runtime
from .triton_grpc import TritonClient, is_live, read_index
from .triton_log import failure_reason, loaded_models, model_failures, short_reason

__all__ = ["ADMIN_HEADER", "ServerOptions", "TritonServer", "arguments", "pick_ports"]

# Becomes the server, to which the kernel sends a signal when the launcher goes (PR_SET_PDEATHSIG is 1), however that
# comes about.
_EXEC: Final = (
    "import ctypes, os, signal, sys;"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM);"
    "os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[2:])"
)
BOARD_VARIABLE: Final = "INFOLENS_BOARD"
"""Tells the backends where the board is (``backends/wanted.py``)."""
COUNTS_VARIABLE: Final = "INFOLENS_COUNTS"
"""Tells backends where to write what they count (``backends/counts.py``): a folder beside the board."""
CACHE_VARIABLE: Final = "INFOLENS_CACHE"
"""Tells backends where to keep what takes long to build (``plans`` in it); an image sets it to a volume."""
_POLL_S: Final = 0.1
_ANSWER_S: Final = 5.0

log = logging.getLogger(__name__)


class TritonServer:
    """A Triton server that lives as long as the ``with`` block.

    Start it from the main thread: the server ends when the thread that started it does, even if that was killed.

    >>> with TritonServer(ServerOptions(http_port=0, grpc_port=0, metrics_port=0)) as server:
    ...     print(server.http_url)

    Attributes:
        http_url: Such as ``http://127.0.0.1:8000``, empty when HTTP is off; known once the server was started, as are
            all others.
        grpc_url: Such as ``grpc://127.0.0.1:8001``.
        metrics_url: Such as ``http://127.0.0.1:8002/metrics``.
        log_file: What the server says.
        models: Names of the models in the repository; ``processes`` are the backends whose models have processes.
        regions: The shared memory that the server and its models were seen to use.
    """

    http_url: str
    grpc_url: str
    metrics_url: str
    log_file: Path
    models: list[str]

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.models = []
        self._computing: frozenset[str] = frozenset()
        self.regions: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._command: tuple[list[str], Runtime] | None = None
        self._log_from_bytes = 0
        self._gpu_host = HostPlace(options.run_folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start the server and wait until its models are ready.

        Args:
            meanwhile: Called as soon as there is a process, and again and again while it loads.

        Raises:
            RuntimeSetupError: The runtime environment cannot be made.
            TargetError: This machine, or a model, cannot serve on the target.
            RepositoryError: The repository is not there, or a model is not complete.
            PortError: A port is taken.
            StartError: Triton ended or was not ready in time, or a model cannot be loaded (with ``serve_what_loads``:
                none can); the message carries Triton's own reason.
        """
        self.prepare()
        self.spawn()
        try:
            meanwhile()
            self._wait_until_ready(meanwhile)
        except BaseException:
            self.stop()
            raise

    def prepare(self) -> None:
        """Do what comes before a process: check the repository, make the environment, find the ports.

        Raises:
            RuntimeSetupError: The runtime environment cannot be made.
            TargetError: This machine, or a model, cannot serve on the target.
            RepositoryError: The repository is not there, or a model is not complete.
            PortError: A port is taken.
        """
        options = self.options
        configs = config_files(options.repository, options.config_name)
        preflight(options.repository, configs, options.target, options.installed)
        self._gpu_host.look(configs.values(), options.target)
        self.models = check_repository(options.repository, options.config_name)
        self._computing = answer_by_themselves(options.repository, options.config_name)
        scratch = None if options.scratch is None else options.scratch.resolve()
        runtime, backends = prepare(
            options.cache.resolve(),
            target=options.target,
            installed=options.installed,
            operators=options.operators,
            scratch=scratch,
        )
        check_environment(runtime.python, runtime.environment, options.target)
        self.processes = python_based(backends)
        ports = pick_ports(options)
        host, grpc_host = in_brackets(options.host), options.grpc_host or options.host
        self.http_url = f"http://{host}:{ports['http']}" if "http" in ports else ""
        self.grpc_url = f"grpc://{in_brackets(grpc_host)}:{ports['grpc']}"
        self.metrics_url = f"http://{host}:{ports['metrics']}/metrics"
        self.log_file = options.log_file or options.cache / "logs" / f"triton-{ports.get('http', ports['grpc'])}.log"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.write_bytes(b"")
        self.grpc_address = f"{in_brackets(resolve(grpc_host))}:{ports['grpc']}"
        words = arguments(options, ports, plain(options.repository), plain(backends), runtime.triton / "caches")
        self._command = ([str(options.executable or runtime.server), *words], runtime)

    def spawn(self) -> None:
        """Start the process and come back at once; `prepare` was called before."""
        if self._command is None:
            raise RuntimeError("nothing is prepared: call prepare() first")
        command, runtime = self._command
        environment = runtime.environment
        for variable in (BOARD_VARIABLE, COUNTS_VARIABLE, VARIABLE):
            environment.pop(variable, None)
        environment |= self._gpu_host.variables()
        if (board := self.options.board) is not None:
            board.touch(mode=0o600)  # the door writes into it later, and the models open it as they are loaded
            environment[BOARD_VARIABLE] = str(board)
            counts = board.with_name("counts")
            counts.mkdir(mode=0o700, exist_ok=True)
            environment[COUNTS_VARIABLE] = str(counts)
        # The backends multiply small matrices, for which threads that wait for one another cost 20 times as much.
        environment.setdefault("OPENBLAS_NUM_THREADS", "1")
        environment.setdefault(CACHE_VARIABLE, str((self.options.scratch or self.options.cache).resolve()))
        log.info("starting Triton with %d models of %s", len(self.models), self.options.repository)
        with self.log_file.open("ab") as output:
            self._log_from_bytes = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 (our own words)
                [sys.executable, "-I", "-c", _EXEC, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=runtime.folder,  # where the backends' Python looks for modules first: nothing of the user's
                start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the server in order
            )

    def client(self) -> TritonClient:
        """A new channel to the server."""
        return TritonClient(self.grpc_address, (ADMIN_HEADER, self.options.admin_key))

    def poll(self) -> int | None:
        """The exit code of a server that has ended by itself; ``None`` while it runs."""
        return self._running().poll()

    def wait(self) -> int:
        """Wait for the server to end by itself; its exit code."""
        code = self._running().wait()
        self.stop()
        return code

    def note_regions(self) -> None:
        """Remember which shared memory the server and its models use, so that `stop` can remove what they leave."""
        self.regions |= regions_of(self.pid) | {stub.region for stub in stubs_of(self.pid)}

    def stop(self, *, now: bool = False) -> list[int]:
        """End the server and everything that it started; does nothing when there is none.

        Args:
            now: Kill it, without a chance for requests in flight.

        Returns:
            The processes that outlived the server and were killed.
        """
        process = self._process
        if process is None:
            return []
        if process.poll() is None:
            self.note_regions()
            process.send_signal(signal.SIGKILL if now else signal.SIGTERM)
            try:
                process.wait(self.options.exit_timeout_s + 5)
            except subprocess.TimeoutExpired:
                log.warning("Triton did not end in %d s: killing it", self.options.exit_timeout_s + 5)
        # The backends' processes are of the server's group; none of them may outlive it.
        for pid in members(process.pid):
            self.regions |= regions_of(pid)
        left = kill_group(process.pid)
        process.wait()
        remove_regions(self.regions)
        self.regions.clear()
        self._gpu_host.close()
        self._process = None
        return [pid for pid in left if pid != process.pid]

    def last_lines(self, count: int = 15) -> list[str]:
        """The end of the server's log."""
        with self.log_file.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip() for line in deque(file, maxlen=count)]

    def reason(self) -> str:
        """Why the server did not start or has ended, as far as its log says it."""
        return f"{failure_reason(self.log())} (log: {self.log_file})"

    def log(self) -> str:
        """What the server has said since it was last started; nothing when its log cannot be read."""
        # Somebody may have tidied up the logs, which is no reason to end what serves.
        with contextlib.suppress(OSError), self.log_file.open("rb") as file:
            begin = self._log_from_bytes
            file.seek(begin if begin <= os.fstat(file.fileno()).st_size else 0)  # it may have been emptied since
            return file.read().decode(errors="replace")
        return ""

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server does not run: call start() first")
        return self._process

    def _wait_until_ready(self, meanwhile: Callable[[], None]) -> None:
        deadline = time.monotonic() + self.options.ready_timeout_s
        seen: set[str] = set()
        client = self.client()
        try:
            while not is_live(client, _ANSWER_S):
                if (code := self.poll()) is not None:
                    raise StartError(f"Triton ended with exit code {code}: {self.reason()}")
                if time.monotonic() > deadline:
                    raise StartError(
                        f"Triton was not ready within {self.options.ready_timeout_s:.0f} s: {self.reason()} "
                        "(--ready-timeout gives it longer)"
                    )
                for model in loaded_models(self.log()):
                    if model not in seen:
                        seen.add(model)
                        log.info("loaded %s (%d of %d)", model, len(seen), len(self.models))
                self.note_regions()
                meanwhile()
                time.sleep(_POLL_S)
            # Triton listens only when it has tried all models.
            failed = failed_models(client.index(_ANSWER_S).result(), self.log())
        finally:
            client.close()
        if failed and (not self.options.serve_what_loads or failed.keys() >= self._computing):
            raise StartError(self.reason())


def failed_models(index: Any, log_text: str) -> dict[str, str]:
    """Models of which no version is ready, and why, from Triton's index and its log."""
    entries = read_index(index)
    ready = {entry.model for entry in entries if entry.state == "READY"}
    told = model_failures(log_text)
    reasons = {entry.model: short_reason(entry.reason) for entry in entries if entry.model not in ready}
    return {model: reason or told.get(model, "it is not loaded") for model, reason in reasons.items()}
