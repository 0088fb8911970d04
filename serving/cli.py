"""``python -m serving``: Triton and the door before it on this machine, with one command."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .arguments import ServerOptions
from .assembly import prepare
from .commands import kinds
from .commands.options import (
    add_addresses,
    add_callers,
    add_trace_url,
    add_triton,
    admin_key,
    fetch_options,
    triton_options,
)
from .commands.running import interrupt_by_signals, serve
from .edge.command import add_edge, read_edge, words_about_tls
from .errors import ServingError
from .feedback.command import add_feedback, read_feedback, words_about_feedback
from .reports.command import add_reports, read_reports, words_about_reports

if TYPE_CHECKING:
    from .supervisor.assembling import Plan
    from .supervisor.supervisor import Supervisor

COMMANDS: Final = {
    "keys": "serving.keys.command",
    "feedback": "serving.feedback.commands.main",
    "models": "serving.models.command",
    "triton": "serving.commands.triton",
    "door": "serving.commands.door",
}
"""The module of each further command: its ``main`` takes the words after the name. Whoever needs it alone loads it."""
EPILOG: Final = """\
examples:
  python -m serving                                    serve model_repository/ on 127.0.0.1:8000 (HTTP) and :8001 (gRPC)
  python -m serving --http-port 0 --grpc-port 0 --metrics-port 0 --ready-file ready.json
                                                       on free ports; ready.json says which once all models are ready
  python -m serving --repository my_models --config-name large
                                                       other models, with <model>/configs/large.pbtxt where there is one
  python -m serving --target cuda                      on this machine's GPU, models that were exported for it
  python -m serving --set-up-only                      make the runtime environment and leave (for that of a GPU, which
                                                       is another, with --target cuda; no GPU is needed)
  python -m serving keys create newsroom --role read   make a key for a caller (`python -m serving keys --help`)
  python -m serving feedback export --out ratings.csv  what people said of answers, as a file (`feedback --help`)
  python -m serving models fetch s3://bucket/prefix my_models
                                                       bring models here and check their hashes (`models --help`)
  python -m serving --host 0.0.0.0                     for other machines too; every caller needs a key
  python -m serving triton --run DIR                   Triton alone, and with `python -m serving door --run DIR` the
                                                       door alone, for containers (each has its own --help)

The first start makes a virtual environment for Triton in .cache/triton (about 300 MB; for a GPU triton-gpu, 7 GB) with
the machine's pip settings. On a machine without a GPU that can be used --target cuda says what is missing, and ends.
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
    if words and words[0] in COMMANDS:
        return int(importlib.import_module(COMMANDS[words[0]]).main(words[1:]))
    args = make_parser().parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    interrupt_by_signals()
    try:
        if args.set_up_only:
            operators = not args.no_operators
            runtime, _ = prepare(args.cache, target=args.target, installed=args.runtime, operators=operators)
            print(f"Triton's runtime environment is {runtime.folder}", file=sys.stderr)
            return 0
        from .supervisor.assembling import assemble_supervisor  # help and refusals wait for no gRPC

        supervisor = assemble_supervisor(_plan(args))
        return serve(supervisor, lambda: print(_welcome(supervisor), file=sys.stderr, flush=True))
    except (ServingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _plan(args: argparse.Namespace) -> Plan:
    from .supervisor.assembling import Plan, has_door

    server = ServerOptions(
        host=args.host,
        http_port=args.http_port,
        grpc_port=args.grpc_port,
        metrics_port=args.metrics_port,
        admin_key=admin_key(),
        **triton_options(args),
    )
    return Plan(
        server=server,
        door=not args.no_door and (args.door_command is not None or has_door()),
        door_command=None if args.door_command is None else tuple(shlex.split(args.door_command)),
        direct_grpc_port=args.direct_grpc,
        triton_http_port=args.triton_http_port,
        expose_internal=args.expose_internal,
        keys=args.keys,
        keys_url=args.keys_url,
        key_rate_per_minute=args.key_rate_per_minute,
        key_concurrency=args.key_concurrency,
        max_connection_age_s=args.max_connection_age,
        edge=read_edge(args),
        reports=read_reports(args),
        feedback=read_feedback(args),
        fetch=fetch_options(args),
        ready_file=args.ready_file,
    )


def _welcome(supervisor: Supervisor) -> str:
    server, urls = supervisor.server, supervisor.urls
    if urls is None:
        raise RuntimeError("the server was not started")
    standard = urls.grpc == "grpc://127.0.0.1:8001"
    option = "" if standard else f" --server {urls.grpc}"
    text = "The old bridge over the harbour will close for repairs in June, the city said on Monday."
    ready = [name for name, reason in supervisor.state().models.items() if not reason]
    told = {} if supervisor.door is None else supervisor.door.options.configuration
    keys = bool(told) and told["keys"]
    variable, header = ("INFOLENS_API_KEY=KEY ", " -H 'Authorization: Bearer KEY'") if keys else ("", "")
    behind = "" if supervisor.door is None else f" (Triton itself: {server.grpc_url})"
    given = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
    path, body = ("/v1/analyze", {"text": text}) if behind else ("/v2/models/info_lens/infer", {"inputs": [given]})
    return "\n".join(
        [
            f"Triton is ready with {len(ready)} models: {', '.join(ready)}",
            *([f"  page     {urls.http}/ (open it in a browser)"] if behind else []),
            f"  HTTP     {urls.http}",
            f"  gRPC     {urls.grpc}{behind}",
            f"  metrics  {urls.metrics}",
            f"  keys     {'every caller needs one (python -m serving keys)' if keys else 'none needed'}",
            *words_about_tls(told.get("edge", {})),
            words_about_reports(told.get("reports", {})),
            words_about_feedback(told.get("feedback", {})),
            f"  log      {server.log_file}",
            f"  state    {supervisor.state_file}",
            "try it from another shell:",
            f"  {variable}.venv/bin/infolens analyze{option} tests/articles/sports.txt",
            f"  curl -s{header} {urls.http}{path} -d '{json.dumps(body)}'",
            "Ctrl-C stops it",
        ]
    )


def make_parser() -> argparse.ArgumentParser:
    """What reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve the model repository with NVIDIA Triton Inference Server on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_triton(parser, log=".cache/logs/triton-PORT.log")
    add_addresses(parser)
    add_callers(parser)
    add_trace_url(parser)
    add_edge(parser)
    add_reports(parser)
    add_feedback(parser)
    add = parser.add_argument
    add(
        "--direct-grpc",
        type=kinds.port,
        metavar="PORT",
        help="let trusted machines reach Triton's gRPC here, past the door and all that it refuses (0: a free port)",
    )
    add(
        "--triton-http-port",
        type=kinds.port,
        metavar="PORT",
        help="switch Triton's own HTTP endpoint on, on 127.0.0.1 alone; no request from outside may ever reach it",
    )
    add(
        "--no-door",
        action="store_true",
        help="for tests and trusted users: Triton's own endpoints on these ports, and no door before them",
    )
    add("--door-command", metavar="WORDS", help=argparse.SUPPRESS)
    add("--set-up-only", action="store_true", help="make the runtime environment and leave")
    return parser
