"""Puts a server together from what the command line asks: which part listens where, and where it says what."""

from __future__ import annotations

import dataclasses
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from serving.arguments import ADMIN_HEADER, ServerOptions, pick_ports
from serving.edge.options import EdgeOptions, check_edge
from serving.errors import EdgeError, FeedbackError, IntakeError, KeysError, PortError, ReportsError
from serving.feedback.options import FeedbackOptions
from serving.feedback.rule import check_feedback
from serving.intake.fetching.options import FetchOptions, check_fetch
from serving.keys.rule import check_start, full_url, is_loopback, warn_if_open
from serving.launcher import TritonServer
from serving.reports.options import ReportsOptions
from serving.reports.rule import check_reports
from serving.runtime import ROOT

from .door import COMMAND, Door, DoorOptions
from .events import Journal
from .patience import Patience
from .supervisor import STATE, Supervisor, SupervisorOptions

LOOPBACK: Final = "127.0.0.1"
BOARD: Final = "board"
"""The file, beside the state, in which the door tells the models who has left."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be served, and how."""

    server: ServerOptions
    """Triton, with the addresses that people reach; behind a door Triton gets others."""
    door: bool = True
    door_command: tuple[str, ...] | None = None
    """Runs in place of the door; the path of the configuration comes after it (for tests)."""
    direct_grpc_port: int | None = None
    """Where trusted machines reach Triton's gRPC past the door."""
    triton_http_port: int | None = None
    """Where Triton's own HTTP endpoint listens, on loopback; ``None`` leaves it off behind a door."""
    expose_internal: bool = False
    keys: bool | None = None
    """Whether callers need a key; None where the host lets other machines in."""
    keys_url: str | None = field(default=None, repr=False)
    """Where keys are kept; None for the environment's word, or a file in the cache."""
    key_rate_per_minute: int = 6000
    """Inferences in a minute of a key that says nothing else."""
    key_concurrency: int = 64
    """Inferences at the same time of a key that says nothing else."""
    max_connection_age_s: float | None = None
    """After so long a gRPC connection is closed in order, so that its client looks where to go anew; None for never."""
    edge: EdgeOptions = field(default_factory=EdgeOptions)
    reports: ReportsOptions = field(default_factory=ReportsOptions)
    feedback: FeedbackOptions = field(default_factory=FeedbackOptions)
    fetch: FetchOptions = field(default_factory=FetchOptions)
    """Whether and how links are fetched."""
    ready_file: Path | None = None
    patience: Patience = field(default_factory=Patience)


def has_door() -> bool:
    """Whether the door is there."""
    return (ROOT / "serving" / "gateway" / "__main__.py").is_file()


def assemble_supervisor(plan: Plan) -> Supervisor:
    """A supervisor for a plan, ready to be started.

    Raises:
        ServingError: An address or a port cannot be had, keys are needed and there is none, or the options of the edge
            of the reports, of feedback or of links cannot be kept to.
    """
    if not plan.door and plan.edge != EdgeOptions():
        raise EdgeError(
            "with --no-door there is no TLS, no --cors-origin, --forwarded-allow or --trace-sample: leave --no-door out"
        )
    if not plan.door and plan.reports.keeps:
        raise ReportsError("with --no-door nobody keeps reports: leave --no-door or --reports out")
    if not plan.door and plan.feedback.keeps:
        raise FeedbackError("with --no-door nobody keeps feedback: leave --no-door or --feedback out")
    if not plan.door and plan.fetch != FetchOptions():
        raise IntakeError("with --no-door nobody fetches links: leave --no-door out, or --fetch and what belongs to it")
    public = plan.server
    # What listens keeps its port when it is started again, so a free one is picked once, here.
    ports = pick_ports(public)
    keys = check_keys(plan)
    fetch = check_fetch(plan.fetch, public.host, keys=keys)
    plan = dataclasses.replace(plan, edge=check_edge(plan.edge, keys=keys), fetch=fetch)
    if plan.door:
        reports, feedback = check_reports(plan.reports, public.cache), check_feedback(plan.feedback, public.cache)
        plan = dataclasses.replace(plan, reports=reports, feedback=feedback)
    number = ports.get("http", ports["grpc"])
    logs = public.cache / "logs" if public.log_file is None else public.log_file.parent
    public = dataclasses.replace(
        public,
        http_port=ports.get("http"),
        grpc_port=ports["grpc"],
        metrics_port=ports["metrics"],
        log_file=public.log_file or logs / f"triton-{number}.log",
    )
    folder = public.cache.resolve() / "run" / f"{number}-{os.getpid()}"
    public = dataclasses.replace(public, run_folder=folder)
    journal = Journal(logs / f"supervisor-{number}.jsonl")
    options = SupervisorOptions(folder=folder, ready_file=plan.ready_file, patience=plan.patience)
    if not plan.door:
        return Supervisor(options, TritonServer(public), journal)
    server = TritonServer(dataclasses.replace(_behind(plan, public), board=folder / BOARD))

    def make_door(triton: TritonServer) -> Door:
        return Door(
            DoorOptions(
                folder=folder,
                configuration=door_configuration(plan, public, triton, folder, keys=keys),
                log_file=logs / f"door-{number}.log",
                root=ROOT,
                command=plan.door_command or COMMAND,
                exit_timeout_s=public.exit_timeout_s + 2.0,
                patience=plan.patience,
            ),
            journal,
        )

    return Supervisor(options, server, journal, make_door)


def check_keys(plan: Plan) -> bool:
    """Whether callers need a key; says aloud where none keeps other machines out.

    Raises:
        KeysError: They do, and nobody can have one, or nobody would ask for it.
    """
    host = plan.server.host
    warn_if_open(host, plan.keys)
    if not plan.door:
        if plan.keys or (plan.keys is None and not is_loopback(host)):
            raise KeysError(
                f"with --no-door nobody asks callers for a key, as --host {host} or --keys wants it: leave --no-door "
                "out, or say --no-keys"
            )
        return False
    return check_start(host, plan.keys, plan.keys_url, plan.server.cache)


def door_configuration(
    plan: Plan, public: ServerOptions, triton: TritonServer, folder: Path, *, keys: bool
) -> dict[str, Any]:
    """What the door is told."""
    return {
        "host": public.host,
        "http_port": public.http_port,
        "grpc_port": public.grpc_port,
        "metrics_port": public.metrics_port,
        "triton_grpc": triton.grpc_address,
        "triton_metrics": triton.metrics_url,
        "state_file": str(folder / STATE),
        "repository": str(public.repository.resolve()),
        "config_name": public.config_name,
        "expose_internal": plan.expose_internal,
        "max_connection_age_s": plan.max_connection_age_s,
        "admin_header": ADMIN_HEADER,
        "admin_key": public.admin_key,
        "triton_admin_key": triton.options.admin_key,
        "edge": plan.edge.document(),
        "reports": plan.reports.document(),
        "feedback": plan.feedback.document(),
        "fetch": plan.fetch.document(),
        "keys": keys,
        "keys_url": full_url(plan.keys_url, public.cache) if keys else "",
        "limits": {
            "exit_timeout_s": float(public.exit_timeout_s),
            "key_rate_per_minute": plan.key_rate_per_minute,
            "key_concurrency": plan.key_concurrency,
        },
    }


def _behind(plan: Plan, public: ServerOptions) -> ServerOptions:
    """Triton's own options behind a door: loopback, ports that nobody is told, and a key of its own.

    Triton's key stands on its command line, where other accounts of the machine can read it. The one that people are
    given is the door's to check, and stands on none.
    """
    options = dataclasses.replace(
        public,
        host=LOOPBACK,
        grpc_host=public.host if plan.direct_grpc_port is not None else None,
        http_port=plan.triton_http_port,
        grpc_port=plan.direct_grpc_port or 0,
        metrics_port=0,
        admin_key=secrets.token_urlsafe(24),
    )
    taken = {public.http_port, public.grpc_port, public.metrics_port}
    while True:
        try:
            ports = pick_ports(options)
        except PortError as error:  # what people said was another option's name
            words = str(error).replace("--grpc-port", "--direct-grpc").replace("--http-port", "--triton-http-port")
            raise PortError(words) from None
        picked = dataclasses.replace(
            options, http_port=ports.get("http"), grpc_port=ports["grpc"], metrics_port=ports["metrics"]
        )
        clash = taken & set(ports.values())
        if not clash or clash & {plan.direct_grpc_port, plan.triton_http_port}:
            return picked
