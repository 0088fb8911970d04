"""``python -m serving``: Triton and the door before it on this machine, with one command."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from .arguments import ServerOptions
from .assembly import prepare
from .edge.command import add_edge, read_edge, words_about_tls
from .errors import ServingError, StartError
from .runtime import CACHE, ROOT
from .supervisor.assembling import Plan, assemble_supervisor, has_door
from .supervisor.supervisor import Supervisor

EPILOG = """\
examples:
  python -m serving                                    serve model_repository/ on 127.0.0.1:8000 (HTTP) and :8001 (gRPC)
  python -m serving --http-port 0 --grpc-port 0 --metrics-port 0 --ready-file ready.json
                                                       on free ports; ready.json says which once all models are ready
  python -m serving --repository my_models --config-name large
                                                       other models, with <model>/configs/large.pbtxt where there is one
  python -m serving --set-up-only                      make the runtime environment and leave
  python -m serving keys create newsroom --role read   make a key for a caller (`python -m serving keys --help`)
  python -m serving models fetch s3://bucket/prefix my_models
                                                       bring models here and check their hashes (`models --help`)
  python -m serving --host 0.0.0.0                     for other machines too; every caller needs a key

The first start makes a virtual environment for Triton in .cache/triton (about 300 MB) with the machine's pip settings.
Model repository, trace and logging APIs answer only requests that carry the metadata infolens-admin-key: its value is a
new one at each start (in the ready file), or the environment variable INFOLENS_ADMIN_KEY. Triton's own ports, where
--direct-grpc or --triton-http-port open them, want triton_admin_key of the ready file, new at each start.

Callers need a key as soon as --host lets other machines in; on this machine alone they need none.

Triton, a model's process or the door that ends or hangs is started again; what happens is told here and, as JSON, in
.cache/logs/supervisor-PORT.jsonl. A model that cannot be loaded is named, and the others are served.

exit codes: 0 ended by Ctrl-C or SIGTERM, 1 could not start, or something ends again and again, 2 wrong usage,
130 broken off during the set-up
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["keys"]:
        from .keys.command import main as keys_main  # it loads the library of a database

        return keys_main(words[1:])
    if words[:1] == ["models"]:
        from .models.command import main as models_main

        return models_main(words[1:])
    parser = _parser()
    args = parser.parse_args(words)
    if {"--keys", "--no-keys"} <= set(words):
        parser.error("--keys and --no-keys say the opposite: give one of them")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # SIGTERM ends the launcher as Ctrl-C does: through the same `finally` blocks.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    door = not args.no_door and (args.door_command is not None or has_door())
    options = ServerOptions(
        repository=args.repository,
        config_name=args.config_name,
        host=args.host,
        http_port=args.http_port,
        grpc_port=args.grpc_port,
        metrics_port=args.metrics_port,
        admin_key=os.environ.get("INFOLENS_ADMIN_KEY") or secrets.token_urlsafe(24),
        log_file=args.log_file,
        cache=args.cache,
        ready_timeout_s=args.ready_timeout,
        verbose=args.verbose,
        operators=not args.no_operators,
        response_cache_bytes=args.response_cache_mb * 1_000_000,
        trace_url=args.trace_url if args.trace_models or not args.trace_sample else None,
        trace_all=not args.trace_sample,
        serve_what_loads=True,
    )
    plan = Plan(
        server=options,
        door=door,
        door_command=None if args.door_command is None else tuple(shlex.split(args.door_command)),
        direct_grpc_port=args.direct_grpc,
        triton_http_port=args.triton_http_port,
        expose_internal=args.expose_internal,
        keys=args.keys,
        keys_url=args.keys_url,
        key_rate_per_minute=args.key_rate_per_minute,
        key_concurrency=args.key_concurrency,
        edge=read_edge(args),
        ready_file=args.ready_file,
    )
    try:
        if args.set_up_only:
            runtime, _ = prepare(options.cache, operators=options.operators)
            print(f"Triton's runtime environment is {runtime.folder}", file=sys.stderr)
            return 0
        return _serve(assemble_supervisor(plan))
    except (ServingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _serve(supervisor: Supervisor) -> int:
    server = supervisor.server
    try:
        try:
            supervisor.start()
        except StartError:
            with contextlib.suppress(OSError, AttributeError):  # it ended before there was a log
                print("\n".join(["the end of Triton's log:", *server.last_lines()]), file=sys.stderr)
            raise
        print(_welcome(supervisor), file=sys.stderr, flush=True)
        # From here on a signal ends the watch, and nothing that the supervisor is just doing.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.end())
        supervisor.watch()
        print("stopping (requests in flight may finish)", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopping", file=sys.stderr)
    finally:
        # Nor must one break off what ends the server.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop()
    return 0


def _welcome(supervisor: Supervisor) -> str:
    server, urls = supervisor.server, supervisor.urls
    if urls is None:
        raise RuntimeError("the server was not started")
    standard = urls.grpc == "grpc://127.0.0.1:8001"
    option = "" if standard else f" --server {urls.grpc}"
    text = "The old bridge over the harbour will close for repairs in June, the city said on Monday."
    ready = [name for name, reason in supervisor.state().models.items() if not reason]
    keys = supervisor.door is not None and supervisor.door.options.configuration["keys"]
    variable, header = ("INFOLENS_API_KEY=KEY ", " -H 'Authorization: Bearer KEY'") if keys else ("", "")
    behind = "" if supervisor.door is None else f" (Triton itself: {server.grpc_url})"
    given = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
    path, body = ("/v1/analyze", {"text": text}) if behind else ("/v2/models/info_lens/infer", {"inputs": [given]})
    return "\n".join(
        [
            f"Triton is ready with {len(ready)} models: {', '.join(ready)}",
            f"  HTTP     {urls.http}",
            f"  gRPC     {urls.grpc}{behind}",
            f"  metrics  {urls.metrics}",
            f"  keys     {'every caller needs one (python -m serving keys)' if keys else 'none needed'}",
            *words_about_tls({} if supervisor.door is None else supervisor.door.options.configuration["edge"]),
            f"  log      {server.log_file}",
            f"  state    {supervisor.state_file}",
            "try it from another shell:",
            f"  {variable}.venv/bin/infolens analyze{option} tests/articles/sports.txt",
            f"  curl -s{header} {urls.http}{path} -d '{json.dumps(body)}'",
            "Ctrl-C stops it",
        ]
    )


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a signal handler's form)
    raise KeyboardInterrupt


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"a port lies between 0 and 65535, not {port}")
    return port


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"it lies between 1 and 100000, not {number}")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"a time is a number of seconds above 0, not {text}")
    return seconds


def _megabytes(text: str) -> int:
    megabytes = int(text)
    if not 0 <= megabytes < 2**40:
        raise argparse.ArgumentTypeError(f"a memory is a whole number of megabytes from 0, not {text}")
    return megabytes


def _new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} cannot be written: {'it is a folder' if path.is_dir() else f'there is no folder {path.parent}'}; "
            "name a file in a folder that is there"
        )
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve the model repository with NVIDIA Triton Inference Server on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--repository",
        type=Path,
        default=ROOT / "model_repository",
        metavar="DIR",
        help="the models (model_repository)",
    )
    add("--config-name", metavar="NAME", help="use <model>/configs/NAME.pbtxt where a model has it")
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    add("--http-port", type=_port, default=8000, metavar="PORT", help="8000; 0 picks a free port")
    add("--grpc-port", type=_port, default=8001, metavar="PORT", help="8001; 0 picks a free port")
    add("--metrics-port", type=_port, default=8002, metavar="PORT", help="8002; 0 picks a free port")
    add("--ready-file", type=_new_file, metavar="FILE", help="write the URLs as JSON once ready; removed at the end")
    add("--log-file", type=Path, metavar="FILE", help="Triton's log (.cache/logs/triton-PORT.log)")
    add("--ready-timeout", type=_seconds, default=300.0, metavar="S", help="seconds that loading may take (300)")
    add("--cache", type=Path, default=CACHE, metavar="DIR", help="where the runtime environment lives (.cache)")
    add(
        "--no-operators",
        action="store_true",
        help="ONNX Runtime's own operators and not the native ones, which are built with the machine's C++ compiler",
    )
    add(
        "--response-cache-mb",
        type=_megabytes,
        default=0,
        metavar="MB",
        help="memory for answers to articles that come again, word for word (0: no cache)",
    )
    add(
        "--trace-url",
        metavar="URL",
        help="an OpenTelemetry collector, such as http://localhost:4318/v1/traces. Without --trace-sample it gets the "
        "models' spans of every request, for a look inside and not for production: info_lens then answers one request "
        "after the other",
    )
    add_edge(parser)
    add("--verbose", action="store_true", help="Triton's log tells every request")
    add(
        "--direct-grpc",
        type=_port,
        metavar="PORT",
        help="let trusted machines reach Triton's gRPC here, past the door and all that it refuses (0: a free port)",
    )
    add(
        "--triton-http-port",
        type=_port,
        metavar="PORT",
        help="switch Triton's own HTTP endpoint on, on 127.0.0.1 alone; no request from outside may ever reach it",
    )
    add("--expose-internal", action="store_true", help="the door answers for the steps of the public models too")
    add(
        "--no-door",
        action="store_true",
        help="for tests and trusted users: Triton's own endpoints on these ports, and no door before them",
    )
    add(
        "--keys",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether callers need a key (where --host lets other machines in they do); --no-keys lets everybody in "
        "who reaches the server",
    )
    add(
        "--keys-url",
        metavar="URL",
        help="where keys are kept, such as postgresql+psycopg://infolens@host/infolens, which several servers can "
        "share (or INFOLENS_KEYS_URL; a file in the cache)",
    )
    add("--key-rate-per-minute", type=_count, default=6000, metavar="N", help="inferences of a key in a minute (6000)")
    add("--key-concurrency", type=_count, default=64, metavar="N", help="inferences of a key at the same time (64)")
    add("--door-command", metavar="WORDS", help=argparse.SUPPRESS)
    add("--set-up-only", action="store_true", help="make the runtime environment and leave")
    return parser
