"""``python -m serving triton``: Triton under its supervisor, for a container of its own."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from serving.arguments import ADMIN_HEADER, ServerOptions
from serving.edge.command import add_trace_parts
from serving.errors import ServingError

from .following import followed
from .meeting import BOARD, TRITON, Meeting, taken
from .options import add_run, add_trace_url, add_triton, triton_options
from .running import interrupt_by_signals, serve

LOOPBACK: Final = "127.0.0.1"
EPILOG: Final = """\
examples:
  python -m serving triton --run /run/infolens                          the models of model_repository/
  python -m serving triton --run /run/infolens --repository /models     other models
  python -m serving triton --run /tmp/one --log-file /tmp/one.log       Triton's log into a file, and not to stderr

Triton listens on this machine alone (in a pod: that pod), on free ports. `python -m serving door --run` of the same
folder is the door before it. In the folder stand state.json (the verdict, written at least once a second: older than
15 seconds means that nobody looks after Triton any more), triton.json (there once the models are ready: where Triton
listens, and its key; for this user alone), board (which callers have left) and supervisor.jsonl (all events).

It writes this folder, /tmp and /dev/shm and nothing else where --cache was made before (python -m serving
--set-up-only), so code and cache may be read-only. Files of an earlier start in the folder are no harm.

exit codes: 0 ended by Ctrl-C or SIGTERM, 1 could not start, or Triton ends again and again, 2 wrong usage, 130 broken
off before the start
"""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    args = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    interrupt_by_signals()
    try:
        with taken(args.run):
            return _run(args, args.run.resolve())
    except (ServingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace, run: Path) -> int:
    from serving.launcher import TritonServer  # help and refusals wait for no gRPC
    from serving.supervisor.events import Journal
    from serving.supervisor.supervisor import Supervisor, SupervisorOptions

    given = triton_options(args)
    log_file = args.log_file or run / "triton.log"
    free = {"http_port": None, "grpc_port": 0, "metrics_port": 0}
    own = {"host": LOOPBACK, "log_file": log_file, "board": run / BOARD, "scratch": run}
    server = TritonServer(ServerOptions(**{**given, **free, **own}))
    options = SupervisorOptions(folder=run, keep_folder=True)
    supervisor = Supervisor(options, server, Journal(run / "supervisor.jsonl"))

    def ready() -> None:
        Meeting(
            triton_grpc=server.grpc_address,
            triton_metrics=server.metrics_url,
            triton_admin_key=server.options.admin_key,
            admin_header=ADMIN_HEADER,
            repository=str(server.options.repository.resolve()),
            config_name=server.options.config_name,
        ).write(run)
        print(f"Triton is ready for a door: {run / TRITON}", file=sys.stderr, flush=True)

    with contextlib.ExitStack() as stack:
        if args.log_file is None:
            log_file.write_bytes(b"")
            stack.enter_context(followed(log_file, sys.stderr.buffer))
        # The door would go on asking a Triton that is being ended.
        return serve(supervisor, ready, ends=lambda: (run / TRITON).unlink(missing_ok=True))


def make_parser() -> argparse.ArgumentParser:
    """What reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m serving triton",
        description="Serve the model repository with Triton under its supervisor, without a door.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_run(parser, "where it meets the door: verdict, board and addresses; made if it is not there")
    add_triton(parser, log="stderr")
    add_trace_url(parser)
    add_trace_parts(parser)
    return parser
