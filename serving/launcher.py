"""Triton as a child process: started on loopback, waited for until it is ready, and ended with all its processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from .assembly import prepare
from .errors import PortError, StartError
from .repository import check_repository
from .runtime import CACHE, ROOT
from .triton_log import failure_reason, loaded_models

ADMIN_HEADER: Final = "infolens-admin-key"
"""HTTP header (in gRPC metadata: ``triton-grpc-protocol-`` before it) that opens the management APIs."""
RESTRICTED_APIS: Final = "model-repository,shared-memory,trace,logging"

# Becomes the server, which the kernel ends when the launcher goes (PR_SET_PDEATHSIG is 1), however that comes about.
_EXEC: Final = (
    "import ctypes, os, signal, sys;"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM);"
    "os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[2:])"
)
_POLL_S: Final = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How to start the server."""

    repository: Path = ROOT / "model_repository"
    config_name: str | None = None
    """Use ``<model>/configs/<config_name>.pbtxt`` where a model has it."""
    host: str = "127.0.0.1"
    http_port: int = 8000
    """0 picks a free port, here and below."""
    grpc_port: int = 8001
    metrics_port: int = 8002
    admin_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """What `ADMIN_HEADER` must carry on a request to a management API."""
    log_file: Path | None = None
    """Default: ``<cache>/logs/triton-<HTTP port>.log``; written anew at each start."""
    cache: Path = CACHE
    ready_timeout_s: float = 300.0
    exit_timeout_s: int = 10
    """How long requests in flight may take when the server is told to end."""
    verbose: bool = False
    operators: bool = True
    """Whether models run on the native operators where this machine can."""
    response_cache_bytes: int = 0
    """Memory for answers that come again; 0 for no cache."""
    trace_url: str | None = None
    """Where the spans of every request go: an OpenTelemetry collector (OTLP over HTTP)."""


class TritonServer:
    """A Triton server that lives as long as the ``with`` block.

    Start it from the main thread: the server ends when the thread that started it does, even if that was killed.

    >>> with TritonServer(ServerOptions(http_port=0, grpc_port=0, metrics_port=0)) as server:
    ...     print(server.http_url)

    Attributes:
        http_url: Such as ``http://127.0.0.1:8000``; known once the server was started, as are all others.
        grpc_url: Such as ``grpc://127.0.0.1:8001``.
        metrics_url: Such as ``http://127.0.0.1:8002/metrics``.
        log_file: What the server says.
        models: Names of the models in the repository.
    """

    http_url: str
    grpc_url: str
    metrics_url: str
    log_file: Path
    models: list[str]

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

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

    def start(self) -> None:
        """Start the server and wait until every model is ready.

        Raises:
            RuntimeSetupError: The runtime environment cannot be made.
            RepositoryError: The repository is not there, or a model is not complete.
            PortError: A port is taken.
            StartError: Triton ended or was not ready in time; the message carries Triton's own reason.
        """
        options = self.options
        self.models = check_repository(options.repository, options.config_name)
        runtime, backends = prepare(options.cache.resolve(), operators=options.operators)
        ports = pick_ports(options)
        self.http_url = f"http://{options.host}:{ports['http']}"
        self.grpc_url = f"grpc://{options.host}:{ports['grpc']}"
        self.metrics_url = f"http://{options.host}:{ports['metrics']}/metrics"
        self.log_file = options.log_file or options.cache / "logs" / f"triton-{ports['http']}.log"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)

        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        environment["LD_LIBRARY_PATH"] = runtime.library_path
        environment["PATH"] = f"{runtime.folder / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
        # The backends' processes import nothing of the user's.
        environment["PYTHONNOUSERSITE"] = "1"
        log.info("starting Triton with %d models of %s", len(self.models), options.repository)
        words = arguments(options, ports, backends, runtime.triton / "caches")
        with self.log_file.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 (our own words)
                [sys.executable, "-I", "-c", _EXEC, str(os.getpid()), str(runtime.server), *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=runtime.folder,  # where the backends' Python looks for modules first: nothing of the user's
                start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the server in order
            )
        try:
            self._wait_until_ready(ports["http"])
        except BaseException:
            self.stop()
            raise

    def wait(self) -> int:
        """Wait for the server to end by itself; its exit code."""
        code = self._running().wait()
        self.stop()
        return code

    def stop(self) -> None:
        """End the server and everything that it started; does nothing when there is none."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(self.options.exit_timeout_s + 5)
            except subprocess.TimeoutExpired:
                log.warning("Triton did not end in %d s: killing it", self.options.exit_timeout_s + 5)
        # The backends' processes are of the server's group; none of them may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def last_lines(self, count: int = 15) -> list[str]:
        """The end of the server's log."""
        with self.log_file.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip() for line in deque(file, maxlen=count)]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server does not run: call start() first")
        return self._process

    def _wait_until_ready(self, port: int) -> None:
        process = self._running()
        deadline = time.monotonic() + self.options.ready_timeout_s
        seen: set[str] = set()
        while not _is_ready(self.options.host, port):
            if process.poll() is not None:
                raise StartError(f"Triton ended with exit code {process.returncode}: {self._reason()}")
            if time.monotonic() > deadline:
                raise StartError(
                    f"Triton was not ready within {self.options.ready_timeout_s:.0f} s: {self._reason()} "
                    "(--ready-timeout gives it longer)"
                )
            for model in loaded_models(self._log()):
                if model not in seen:
                    seen.add(model)
                    log.info("loaded %s (%d of %d)", model, len(seen), len(self.models))
            time.sleep(_POLL_S)

    def _reason(self) -> str:
        return f"{failure_reason(self._log())} (log: {self.log_file})"

    def _log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")


def arguments(options: ServerOptions, ports: dict[str, int], backends: Path, caches: Path) -> list[str]:
    """The words of the server's command line after its name."""
    restricted = f"{RESTRICTED_APIS}:{ADMIN_HEADER}={options.admin_key}"
    words = {
        "model-repository": options.repository.resolve(),
        "backend-directory": backends,
        "http-address": options.host,
        "grpc-address": options.host,
        "metrics-address": options.host,
        "http-port": ports["http"],
        "grpc-port": ports["grpc"],
        "metrics-port": ports["metrics"],
        "http-restricted-api": restricted,
        "grpc-restricted-protocol": restricted,
        "exit-timeout-secs": options.exit_timeout_s,
        "exit-on-error": "true",
        "strict-readiness": "true",
        "model-control-mode": "none",
        "allow-gpu-metrics": "false",
        "pinned-memory-pool-byte-size": 0,
        "log-verbose": int(options.verbose),
    }
    if options.config_name is not None:
        words["model-config-name"] = options.config_name
    more = []
    if options.response_cache_bytes:
        more += [f"--cache-config=local,size={options.response_cache_bytes}", f"--cache-directory={caches}"]
    if options.trace_url is not None:
        settings = ("mode=opentelemetry", "rate=1", "level=TIMESTAMPS", f"opentelemetry,url={options.trace_url}")
        more += [f"--trace-config={setting}" for setting in settings]
    return ["--disable-auto-complete-config", *(f"--{key}={value}" for key, value in words.items()), *more]


def pick_ports(options: ServerOptions) -> dict[str, int]:
    """The ports of ``http``, ``grpc`` and ``metrics``; 0 becomes a free one.

    Raises:
        PortError: A port is taken or named twice.
    """
    wanted = {"http": options.http_port, "grpc": options.grpc_port, "metrics": options.metrics_port}
    picked: dict[str, int] = {}
    with contextlib.ExitStack() as sockets:
        for kind, port in wanted.items():
            probe = sockets.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((options.host, port))
            except (OSError, OverflowError) as error:
                reason = getattr(error, "strerror", None) or error
                raise PortError(
                    f"port {port} for {kind} cannot be had on {options.host} ({reason}): stop what listens there, "
                    f"or choose another with --{kind}-port (0 picks a free one)"
                ) from None
            picked[kind] = probe.getsockname()[1]
    return picked


def write_ready_file(path: Path, server: TritonServer) -> None:
    """Write, readable for this user alone, where the server listens and what opens its management APIs."""
    content = {
        "http_url": server.http_url,
        "grpc_url": server.grpc_url,
        "metrics_url": server.metrics_url,
        "launcher_pid": os.getpid(),
        "server_pid": server.pid,
        "log_file": str(server.log_file),
        "models": server.models,
        "admin_header": ADMIN_HEADER,
        "admin_key": server.options.admin_key,
    }
    partial = path.with_name(f"{path.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.rename(path)


def _is_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
