"""How a Triton server is started: its options, its ports, and the words of its command line."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infolens.targets import Target

from .errors import PortError, ServingError
from .runtime import CACHE, ROOT

ADMIN_HEADER: Final = "infolens-admin-key"
"""HTTP header (in gRPC metadata: ``triton-grpc-protocol-`` before it) that opens the management APIs."""
RESTRICTED_APIS: Final = "model-repository,shared-memory,trace,logging"


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How to start the server."""

    repository: Path = ROOT / "model_repository"
    config_name: str | None = None
    """Use ``<model>/configs/<config_name>.pbtxt`` where a model has it."""
    target: Target = Target.CPU
    """What models run on. One on a GPU has configurations of its own, whose name is ``config_name``."""
    installed: tuple[Path, ...] = ()
    """Folders of packages to run with, in place of an environment that is made; see `installed_runtime`."""
    host: str = "127.0.0.1"
    grpc_host: str | None = None
    """Where gRPC listens, when that is somewhere else."""
    http_port: int | None = 8000
    """0 picks a free port, here and below; ``None`` leaves Triton's HTTP endpoint off."""
    grpc_port: int = 8001
    metrics_port: int = 8002
    admin_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """What `ADMIN_HEADER` must carry on a request to a management API.

    It stands on Triton's command line, since Triton takes it in no other way, and so in the list of processes: behind a
    door Triton has one that nobody else knows."""
    log_file: Path | None = None
    """Default: ``<cache>/logs/triton-<port>.log``; written anew at each start."""
    cache: Path = CACHE
    scratch: Path | None = None
    """Where is made what ``cache`` lacks and cannot be written into it; None where it can."""
    ready_timeout_s: float = 300.0
    exit_timeout_s: int = 10
    """How long requests in flight may take when the server is told to end."""
    verbose: bool = False
    operators: bool = True
    """Whether models run on the native operators where this machine can."""
    gpu_metrics: bool = False
    """Whether Triton's metrics tell of GPUs, which it asks DCGM for: NVIDIA's container has it, the wheel has not."""
    response_cache_bytes: int = 0
    """Memory for answers that come again; 0 for no cache."""
    trace_url: str | None = None
    """Where Triton's spans go: an OpenTelemetry collector (OTLP over HTTP)."""
    trace_all: bool = True
    """Whether every request has spans; otherwise those that the door marks."""
    serve_what_loads: bool = False
    """Start with the models that can be loaded; otherwise one that cannot ends the start."""
    board: Path | None = None
    """Where the models read which callers of the door have left; None for a server without a door."""
    run_folder: Path | None = None
    """Where its parts meet that talk through files; None for one that is made and removed."""
    executable: Path | None = None
    """Started in place of Triton's executable, with the same words (for tests)."""

    def __post_init__(self) -> None:
        name = self.target.record.config_name
        if name not in (None, self.config_name):
            raise ServingError(
                f"the target {self.target} has configurations of its own ({name}), not {self.config_name}: write what "
                f"differs into deployment-{name}.toml of the repository and run `python -m export configs`"
            )


def arguments(
    options: ServerOptions, ports: Mapping[str, int], repository: Path, backends: Path, caches: Path
) -> list[str]:
    """The words of the server's command line after its name.

    Args:
        options: How it is started.
        ports: Its ports by name.
        repository: The model repository, by a path that Triton can bear.
        backends: The backends, likewise.
        caches: Triton's own response caches.
    """
    restricted = f"{RESTRICTED_APIS}:{ADMIN_HEADER}={options.admin_key}"
    host = resolve(options.host)
    some = "false" if options.serve_what_loads else "true"
    words = {
        "model-repository": repository,
        "backend-directory": backends,
        "grpc-address": in_brackets(resolve(options.grpc_host) if options.grpc_host else host),
        "metrics-address": _for_evhtp(host),
        "grpc-port": ports["grpc"],
        "metrics-port": ports["metrics"],
        "grpc-restricted-protocol": restricted,
        "exit-timeout-secs": options.exit_timeout_s,
        "exit-on-error": some,
        "strict-readiness": some,
        # The only mode in which a single model can be loaded again. All are loaded at the start as in the others.
        "model-control-mode": "explicit",
        "load-model": "*",
        "allow-gpu-metrics": "true" if options.gpu_metrics else "false",
        "pinned-memory-pool-byte-size": 0,
        "log-verbose": int(options.verbose),
    }
    if "http" in ports:
        words |= {"http-address": _for_evhtp(host), "http-port": ports["http"], "http-restricted-api": restricted}
    else:
        words["allow-http"] = "false"
    if options.config_name is not None:
        words["model-config-name"] = options.config_name
    more = []
    settings: tuple[str, ...] = ("rate=0", "level=OFF")  # and a client cannot have its requests traced
    if options.response_cache_bytes:
        more += [f"--cache-config=local,size={options.response_cache_bytes}", f"--cache-directory={caches}"]
    if options.trace_url is not None:
        settings = (
            "mode=opentelemetry",
            f"rate={int(options.trace_all)}",
            "level=TIMESTAMPS",
            f"opentelemetry,url={options.trace_url}",
        )
    more += [f"--trace-config={setting}" for setting in settings]
    return ["--disable-auto-complete-config", *(f"--{key}={value}" for key, value in words.items()), *more]


def resolve(host: str) -> str:
    """The address of ``host`` in numbers, which is all that Triton understands.

    Raises:
        ServingError: The name is not known here.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ServingError(
            f"--host {host} is no address of this machine ({reason}): name one, such as 127.0.0.1 (this machine alone) "
            "or 0.0.0.0 (all of its addresses)"
        ) from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])


def in_brackets(host: str) -> str:
    """A host as it stands before a port: an IPv6 address in brackets, any other as it is."""
    return f"[{host}]" if ":" in host else host


def _for_evhtp(host: str) -> str:
    """A host as the library of Triton's HTTP ports wants it."""
    return f"ipv6:{host}" if ":" in host else host


def pick_ports(options: ServerOptions) -> dict[str, int]:
    """The ports of ``http`` (unless it is off), ``grpc`` and ``metrics``; 0 becomes a free one.

    Raises:
        PortError: A port is taken or named twice.
    """
    wanted = {"http": options.http_port, "grpc": options.grpc_port, "metrics": options.metrics_port}
    hosts = {"grpc": options.grpc_host or options.host}
    picked: dict[str, int] = {}
    with contextlib.ExitStack() as sockets:
        for kind, port in wanted.items():
            if port is None:
                continue
            host = hosts.get(kind, options.host)
            numbers = resolve(host)
            probe = sockets.enter_context(socket.socket(socket.AF_INET6 if ":" in numbers else socket.AF_INET))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((numbers, port))
            except (OSError, OverflowError) as error:
                reason = getattr(error, "strerror", None) or error
                raise PortError(
                    f"port {port} for {kind} cannot be had on {host} ({reason}): stop what listens there, "
                    f"or choose another with --{kind}-port (0 picks a free one)"
                ) from None
            picked[kind] = probe.getsockname()[1]
    return picked


def new_file(text: str) -> Path:
    """A file that can be written, as far as its folder says."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} cannot be written: {'it is a folder' if path.is_dir() else f'there is no folder {path.parent}'}; "
            "name a file in a folder that is there"
        )
    return path
