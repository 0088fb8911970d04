"""The door as a process: both doors and the port for metrics on one event loop, and an end in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import resource
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from aiohttp import web

from serving.feedback.opening import open_feedback
from serving.reports.opening import open_reports

from .access.doorkeeper import open_doorkeeper
from .admission import WaitingRoom
from .api import add_routes
from .branches import Branches, read_room_limits
from .calls import Board, Inferences
from .catalogue import Catalogue
from .configuration import GatewayOptions
from .edge.headers import add_edge
from .edge.sites import Site
from .edge.tls import open_certificates
from .edge.tracing import OFF, Tracing, open_tracing
from .feedback.operations import OPERATIONS as FEEDBACK
from .feedback.routes import add_feedback_routes
from .files import FILE_OPERATIONS, add_file_routes
from .grpc_door.door import ListenError, listen, make_server
from .http import Bodies, DoorRunner, make_app
from .intake import open_intake
from .logs import log_libraries, open_log
from .memory.heap import giving_back
from .metrics import GatewayMetrics
from .metrics_port import make_metrics_app
from .page import add_page
from .parts import Parts
from .quality import routes as quality
from .recording.recorder import Recorder
from .reports.routes import OPERATIONS as REPORTS
from .reports.routes import add_report_routes
from .served import Served
from .upstream import Upstream
from .verdict import VerdictFile

LOOPBACK: Final = "127.0.0.1"
_MAX_FILES: Final = 65_536
"""No more are of use: the doors have limits of their own."""
LOOK_EVERY_S: Final = 1.0
"""How often the door looks whether its file is still there."""


class LeftAloneError(Exception):
    """The server that the door was before has gone; the message says how that was seen."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the door tells others, and what it hears of them."""

    log_file: BinaryIO | None = None
    """Where its log goes; None for standard error."""
    listens: Callable[[Mapping[str, int]], None] = lambda _: None
    """Told the ports once it listens."""
    gone: Callable[[], str] = lambda: ""
    """Asked every `LOOK_EVERY_S` whether the server before which it was started has gone: words end the door."""


def run(options: GatewayOptions, surroundings: Surroundings | None = None) -> None:
    """Run the door until it is told to end (SIGTERM or Ctrl-C); requests in flight may finish.

    Args:
        options: How to run it.
        surroundings: What it tells others and hears of them; None for a door that a supervisor keeps.

    Raises:
        LeftAloneError: What it was before has gone; the words are those of the surroundings.
        ConfigurationError: The repository's limits cannot be read.
        ListenError: A port cannot be had.
        KeysError: Keys are needed, and their store cannot be used at all.
        EdgeError: The certificate cannot be served.
    """
    raise_file_limit()
    asyncio.run(_run(options, surroundings or Surroundings()))


def raise_file_limit() -> None:
    """Let this process open as many files as it may: each connection is one, and many systems begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # then the doors do with fewer
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@asynccontextmanager
async def open_parts(options: GatewayOptions, log: Any) -> AsyncIterator[Parts]:
    """The parts that both doors share, with the channel to Triton closed in the end.

    Raises:
        KeysError: Keys are needed, and their store cannot be used at all.
    """
    limits = read_room_limits(options.repository, options.config_name, max_waiting=options.limits.max_waiting)
    metrics = GatewayMetrics(log, log_requests=options.log_requests)
    room = WaitingRoom(limits, on_refusal=metrics.refused_by_room)
    verdicts = VerdictFile(options.state_file)
    upstream = Upstream(options.triton_grpc)
    catalogue = Catalogue(
        upstream,
        repository=options.repository,
        expose_internal=options.expose_internal,
        restarts=lambda: verdicts.read().restarts,
    )
    board = Board(options.board_file)
    inferences = Inferences(upstream, verdicts, catalogue, board)
    served = Served(catalogue, options.repository)
    try:
        async with (
            open_doorkeeper(options, log) as doorkeeper,
            open_reports(options.reports, log) as reports,
            open_feedback(options.feedback, log, quality.make_tallies(options.repository)) as feedback,
            Recorder(feedback, served, log).running() as recorder,
            open_intake(options, doorkeeper) as intake,
        ):
            metrics.watch(room, verdicts, doorkeeper, options.counts_folder)
            metrics.watch_feedback(feedback)
            yield Parts(
                options=options,
                verdicts=verdicts,
                upstream=upstream,
                inferences=inferences,
                catalogue=catalogue,
                served=served,
                room=room,
                branches=Branches(),
                metrics=metrics,
                doorkeeper=doorkeeper,
                reports=reports,
                feedback=feedback,
                recorder=recorder,
                intake=intake,
                log=log,
            )
    finally:
        inferences.close()
        await upstream.close()
        board.close()


def make_whole_app(parts: Parts, tracing: Tracing = OFF) -> web.Application:
    """All that HTTP offers, KServe v2 and the JSON API, behind what every request and answer passes."""
    bodies = Bodies(parts.options.limits)
    app = make_app(parts, bodies)
    add_routes(app, parts, bodies, also=(*FILE_OPERATIONS, *REPORTS, *FEEDBACK, *quality.OPERATIONS))
    add_file_routes(app, parts, bodies)
    add_report_routes(app, parts)
    add_feedback_routes(app, parts, bodies)
    quality.add_quality_route(app, parts, parts.feedback)
    add_page(app)
    add_edge(app, parts.options.edge)
    app.middlewares.insert(0, tracing.over_http)
    app.on_response_prepare.append(tracing.mark)
    return app


@asynccontextmanager
async def open_door(parts: Parts) -> AsyncIterator[dict[str, int]]:
    """Listen on all ports inside the block; yields them by name. At the end requests in flight may finish.

    Raises:
        ListenError: A port cannot be had.
        EdgeError: The certificate cannot be served.
    """
    options, grace_s = parts.options, parts.options.limits.exit_timeout_s
    async with AsyncExitStack() as stack:
        # What comes last here ends first: the doors, and then the port that tells how they are.
        metrics_runner = await _runner(stack, make_metrics_app(parts), 1.0)
        metrics_port = await _listen(metrics_runner, options.host, options.metrics_port, "metrics")
        tracing = await stack.enter_async_context(open_tracing(options.edge))
        certificates = await stack.enter_async_context(
            open_certificates(options.edge, parts.log, parts.metrics.registry)
        )
        server = make_server(parts, tracing)
        credentials = None if certificates is None else certificates.grpc_credentials()
        ports = {"grpc_port": listen(server, options.host, options.grpc_port, credentials)}
        if certificates is not None:  # the supervisor asks whether the door lives, and trusts no certificate
            ports["plain_grpc_port"] = listen(server, LOOPBACK, 0)
        http_runner = DoorRunner(make_whole_app(parts, tracing), options.limits, shutdown_timeout=grace_s)
        await http_runner.setup()
        try:
            context = None if certificates is None else certificates.http_context
            http_port = await _listen(http_runner, options.host, options.http_port, "http", context)
            await server.start()
            yield {"http_port": http_port, "metrics_port": metrics_port, **ports}
        finally:
            parts.room.close()
            await asyncio.gather(server.stop(grace_s), http_runner.cleanup())


async def _run(options: GatewayOptions, around: Surroundings) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = open_log(around.log_file)
    log_libraries(log, logging.WARNING)
    async with open_parts(options, log) as parts, open_door(parts) as ports, giving_back():
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection needs to look through it again
        write_door_file(options.door_file, ports)
        log.info("listening", host=options.host, **ports)
        around.listens(ports)
        try:
            alone = await _until(stop, options.door_file, ports, around.gone)
        finally:
            _remove(options.door_file)
            log.info("stopping", running=parts.room.running, waiting=parts.room.waiting)
    log.info("stopped")
    if alone:
        raise LeftAloneError(alone)


async def _until(stop: asyncio.Event, path: Path, ports: dict[str, int], gone: Callable[[], str]) -> str:
    """Wait for the end; why it came without a signal. A file that somebody has deleted is written anew."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
        if not stop.is_set():
            if words := gone():
                return words
            _write_again(path, ports)
    return ""


def _write_again(path: Path, ports: dict[str, int]) -> None:
    with contextlib.suppress(OSError):  # its folder is the supervisor's to make
        if not path.exists():
            write_door_file(path, ports)


def write_door_file(path: Path, ports: dict[str, int]) -> None:
    """Say on which ports the door listens."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps({**ports, "pid": os.getpid()}) + "\n", encoding="utf-8")
    partial.rename(path)


def _remove(path: Path) -> None:
    """Take the file away, unless a door that came after this one has written it anew."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads(path.read_text(encoding="utf-8")).get("pid") == os.getpid():
            path.unlink()


async def _runner(stack: AsyncExitStack, app: web.Application, grace_s: float) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=grace_s)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


async def _listen(runner: web.AppRunner, host: str, port: int, kind: str, context: ssl.SSLContext | None = None) -> int:
    try:
        await Site(runner, host, port, ssl_context=context).start()
    except OSError as error:
        reason = error.strerror or error
        raise ListenError(
            f"port {port} for {kind} cannot be had on {host} ({reason}): stop what listens there, or choose another "
            f"with --{kind}-port"
        ) from None
    address: tuple[Any, ...] = runner.addresses[0]
    return int(address[1])
