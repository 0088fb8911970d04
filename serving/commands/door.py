"""``python -m serving door``: the door in this process, before a Triton that was started apart."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from serving.arguments import ADMIN_HEADER, in_brackets, resolve
from serving.edge.command import add_edge, read_edge
from serving.errors import ServingError
from serving.feedback.command import add_feedback, read_feedback
from serving.processes import write_private
from serving.reports.command import add_reports, read_reports
from serving.runtime import CACHE

from .meeting import STATE, Meeting, door_alone, gone, wait_for
from .options import add_addresses, add_callers, add_run, add_trace_url, admin_key, fetch_options
from .running import interrupt_by_signals

if TYPE_CHECKING:
    from serving.edge.options import EdgeOptions
    from serving.feedback.options import FeedbackOptions
    from serving.gateway.configuration import GatewayOptions
    from serving.intake.fetching.options import FetchOptions
    from serving.reports.options import ReportsOptions

EPILOG: Final = """\
examples:
  python -m serving door --run /run/infolens                            for this machine
  python -m serving door --run /run/infolens --host 0.0.0.0 --keys-url postgresql+psycopg://infolens@db/infolens
                                                                        for others, with keys that several doors share
  python -m serving door --run /run/infolens --host 0.0.0.0 --max-connection-age 300
                                                                        gRPC callers find new replicas in five minutes

It waits for the Triton of `python -m serving triton --run` of the same folder, and listens once that is ready: give a
startup probe as long as the models take. It reads the model repository by the path that Triton was given, so both must
see it. Its log goes to stdout, a line of JSON for each inference and each refusal.

Probes on the HTTP port: /healthz for liveness (this process alone), /readyz for readiness (the verdict on Triton, and a
small question to it). When Triton is started anew as a whole, the door ends with exit code 1, and whatever keeps it is
to start it again; when Triton is healed or started again by its supervisor it stays. On SIGTERM it takes nothing new,
and what is in flight may take 10 seconds.

exit codes: 0 ended by Ctrl-C or SIGTERM, 1 could not start, or its Triton has gone, 2 wrong usage
"""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    args = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    interrupt_by_signals()
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else a line for each failed handshake of anybody
    # Here, so that help and refusals wait for no server.
    from serving.edge.options import check_edge
    from serving.feedback.rule import check_feedback
    from serving.gateway.configuration import ConfigurationError
    from serving.gateway.grpc_door.door import ListenError
    from serving.gateway.server import LeftAloneError
    from serving.intake.fetching.options import check_fetch
    from serving.keys.rule import check_start, warn_if_open
    from serving.reports.rule import check_reports

    try:
        warn_if_open(args.host, args.keys)
        resolve(args.host)
        keys = check_start(args.host, args.keys, args.keys_url, CACHE)
        edge = check_edge(read_edge(args), keys=keys)
        reports = check_reports(read_reports(args), CACHE)
        feedback = check_feedback(read_feedback(args), CACHE, args.run.resolve())
        fetch = check_fetch(fetch_options(args), args.host, keys=keys)
        folder = args.run.resolve()
        with door_alone(folder):
            met = wait_for(folder)
            _run(args, folder, _options(args, folder, met, edge, reports, feedback, fetch, keys=keys), met)
    except (ServingError, ConfigurationError, ListenError, LeftAloneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # while it waited
        pass
    return 0


def _options(
    args: argparse.Namespace,
    folder: Path,
    met: Meeting,
    edge: EdgeOptions,
    reports: ReportsOptions,
    feedback: FeedbackOptions,
    fetch: FetchOptions,
    *,
    keys: bool,
) -> GatewayOptions:
    from serving.gateway.configuration import ConfigurationError, GatewayLimits, GatewayOptions
    from serving.keys.rule import full_url

    repository = Path(met.repository)
    if not repository.is_dir():
        raise ConfigurationError(
            f"the door reads the model repository by the path that Triton was given, and {repository} is no folder "
            "here: mount it here too"
        )
    limits = GatewayLimits(key_rate_per_minute=args.key_rate_per_minute, key_concurrency=args.key_concurrency)
    return GatewayOptions(
        host=args.host,
        http_port=args.http_port,
        grpc_port=args.grpc_port,
        metrics_port=args.metrics_port,
        triton_grpc=met.triton_grpc,
        triton_metrics=met.triton_metrics,
        state_file=folder / STATE,
        repository=repository,
        config_name=met.config_name,
        expose_internal=args.expose_internal,
        admin_header=met.admin_header,
        admin_key=admin_key(),
        triton_admin_key=met.triton_admin_key,
        keys=keys,
        keys_url=full_url(args.keys_url, CACHE) if keys else "",
        max_connection_age_s=args.max_connection_age,
        limits=limits,
        edge=edge,
        reports=reports,
        feedback=feedback,
        fetch=fetch,
    )


def _run(args: argparse.Namespace, folder: Path, options: GatewayOptions, met: Meeting) -> None:
    from serving.gateway.server import Surroundings, run

    def listens(ports: Mapping[str, int]) -> None:
        if args.ready_file is not None:
            write_private(args.ready_file, _document(options, ports))

    try:
        run(
            options,
            Surroundings(log_file=sys.stdout.buffer, listens=listens, gone=lambda: gone(folder, met)),
        )
    finally:
        if args.ready_file is not None:
            args.ready_file.unlink(missing_ok=True)


def _document(options: GatewayOptions, ports: Mapping[str, int]) -> dict[str, object]:
    host, secure = in_brackets(options.host), "s" if options.edge.tls else ""
    return {
        "http_url": f"http{secure}://{host}:{ports['http_port']}",
        "grpc_url": f"grpc{secure}://{host}:{ports['grpc_port']}",
        "metrics_url": f"http://{host}:{ports['metrics_port']}/metrics",
        "door_pid": os.getpid(),
        "state_file": str(options.state_file),
        "admin_header": ADMIN_HEADER,
        "admin_key": options.admin_key,
    }


def make_parser() -> argparse.ArgumentParser:
    """What reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m serving door",
        description="The door before a Triton that `python -m serving triton` keeps, in this process.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_run(parser, "the folder of `python -m serving triton --run`")
    add_addresses(parser)
    add_callers(parser)
    add_trace_url(parser)
    add_edge(parser)
    add_reports(parser)
    add_feedback(parser)
    return parser
