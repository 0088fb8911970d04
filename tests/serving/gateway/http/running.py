"""A door for tests, on a free port and an event loop of its own, before the real Triton or one that is made up."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from serving.feedback.opening import open_feedback
from serving.gateway.access.doorkeeper import open_doorkeeper
from serving.gateway.admission import WaitingRoom
from serving.gateway.branches import Branches
from serving.gateway.calls import Board, Inferences
from serving.gateway.catalogue import Catalogue
from serving.gateway.configuration import GatewayLimits, GatewayOptions, RoomLimits
from serving.gateway.http import DoorRunner
from serving.gateway.intake import open_intake
from serving.gateway.logs import open_log
from serving.gateway.metrics import GatewayMetrics
from serving.gateway.parts import Parts
from serving.gateway.quality.routes import make_tallies
from serving.gateway.recording.recorder import Recorder
from serving.gateway.served import Served
from serving.gateway.server import make_whole_app, open_parts
from serving.gateway.verdict import VerdictFile
from serving.intake.fetching.options import FetchOptions
from serving.reports.opening import open_reports
from tests.serving.gateway.http.made_up import REPOSITORY as REPOSITORY
from tests.serving.gateway.http.made_up import FakeTriton as FakeTriton
from tests.serving.gateway.scripted import write_state

PUBLIC = ("classify", "info_lens", "summarize", "verify")
JOIN_S = 30.0
CLOSED = FetchOptions(allowed=False)


@dataclass(kw_only=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        document = self.json  # KServe's, or a problem document
        return str(document["error"] if "error" in document else document["detail"])


def ask(
    url: str, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request on a connection of its own; bodies of iterators are sent in chunks."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=JOIN_S)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read(), headers=response.headers)
    finally:
        connection.close()


def infer_body(text: str | list[str] = "Oil rises.", **more: Any) -> str:
    """A KServe request in JSON for texts."""
    texts = [text] if isinstance(text, str) else text
    given = {"name": "text", "shape": [len(texts), 1], "datatype": "BYTES", "data": texts}
    return json.dumps({"inputs": [given], **more})


@dataclass(kw_only=True)
class RunningDoor:
    """A door that listens."""

    port: int = 0
    parts: Any = None
    loop: Any = None
    log: io.BytesIO = field(default_factory=io.BytesIO)
    """What it logs of requests."""
    records: list[logging.LogRecord] = field(default_factory=list)
    """What else was logged meanwhile, from warnings on."""
    failure: BaseException | None = None

    def call(self, function: Callable[[], Any]) -> None:
        """Have something done on the door's event loop."""
        self.loop.call_soon_threadsafe(function)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return ask(self.url, method, path, body, headers)

    def infer(self, model: str, body: bytes | str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("POST", f"/v2/models/{model}/infer", body, headers)

    @contextmanager
    def raw(self, timeout_s: float = JOIN_S) -> Iterator[socket.socket]:
        """A connection for bytes that no HTTP client would send."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            yield connection


def receive(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@contextmanager
def running(opens: Callable[[Any], AbstractAsyncContextManager[Parts]]) -> Iterator[RunningDoor]:
    """A door in a thread of its own, from what opens its parts when it is given a log."""
    door, listening = RunningDoor(), threading.Event()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # gRPC wakes every event loop of a process; one that finds nothing to read says so, and nothing is lost.
            if "PollerCompletionQueue._handle_events" not in record.getMessage():
                door.records.append(record)

    async def serve() -> None:
        stop = asyncio.Event()
        async with opens(open_log(door.log)) as parts:  # type: ignore[arg-type]
            runner = DoorRunner(make_whole_app(parts), parts.options.limits, shutdown_timeout=1.0)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                door.port, door.parts = runner.addresses[0][1], parts
                door.loop = asyncio.get_running_loop()
                ends.append((asyncio.get_running_loop(), stop))
                listening.set()
                await stop.wait()
            finally:
                await runner.cleanup()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            door.failure = error
        finally:
            listening.set()

    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    keep = Keep(logging.WARNING)
    logging.getLogger().addHandler(keep)
    thread = threading.Thread(target=work, name="door")
    thread.start()
    try:
        assert listening.wait(JOIN_S)
        assert door.failure is None, door.failure
        yield door
    finally:
        for loop, stop in ends:
            loop.call_soon_threadsafe(stop.set)
        thread.join(JOIN_S)
        logging.getLogger().removeHandler(keep)
    assert door.failure is None, door.failure


def options(folder: Path, *, limits: GatewayLimits | None = None, **more: Any) -> GatewayOptions:
    """Options whose supervisor says that all is well; no link is fetched unless a test says so."""
    state = folder / "state.json"
    if not state.exists():
        write_state(state)
    given = {"triton_grpc": "127.0.0.1:1", "triton_metrics": "", "repository": REPOSITORY, "fetch": CLOSED, **more}
    return GatewayOptions(state_file=state, limits=limits or GatewayLimits(), **given)


@contextmanager
def fake_door(
    folder: Path, triton: FakeTriton, *, room: RoomLimits | None = None, intake: Any = open_intake, **more: Any
) -> Iterator[RunningDoor]:
    """A door before a Triton that is made up."""
    settings = options(folder, **more)

    @asynccontextmanager
    async def opens(log: Any) -> AsyncIterator[Parts]:
        catalogue = Catalogue(triton, repository=settings.repository, expose_internal=settings.expose_internal)
        verdicts = VerdictFile(settings.state_file)
        board = Board(settings.board_file)
        inferences = Inferences(triton, verdicts, catalogue, board)
        served = Served(catalogue, settings.repository)
        async with (
            open_doorkeeper(settings, log) as doorkeeper,
            open_reports(settings.reports, log) as reports,
            open_feedback(settings.feedback, log, make_tallies(settings.repository)) as feedback,
            Recorder(feedback, served, log).running() as recorder,
            intake(settings, doorkeeper) as takes_in,
        ):
            yield Parts(
                options=settings,
                verdicts=verdicts,
                upstream=triton,  # type: ignore[arg-type]
                inferences=inferences,
                catalogue=catalogue,
                served=served,
                room=WaitingRoom(room or RoomLimits()),
                branches=Branches(),
                metrics=GatewayMetrics(log),
                doorkeeper=doorkeeper,
                reports=reports,
                feedback=feedback,
                recorder=recorder,
                intake=takes_in,
                log=log,
            )
        inferences.close()
        board.close()

    with running(opens) as door:
        yield door


@contextmanager
def real_door(folder: Path, grpc_url: str, **more: Any) -> Iterator[RunningDoor]:
    """A door before a Triton that runs."""
    settings = options(folder, triton_grpc=grpc_url.removeprefix("grpc://"), **more)
    with running(lambda log: open_parts(settings, log)) as door:
        yield door
