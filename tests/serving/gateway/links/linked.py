"""A site on loopback, what reads its pages, and a door that follows links to it."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from serving.gateway.access.doorkeeper import Doorkeeper
from serving.gateway.configuration import GatewayOptions
from serving.gateway.intake import Intake, Links
from serving.intake.documents import ArticleDocument, Review
from serving.intake.errors import ReadError, ReadersBusyError
from serving.intake.fetching.options import FetchOptions
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor, fake_door

TEXT = "Oil rises as tankers wait."


class Reader:
    """Takes the body of a page for its text, and knows all else."""

    def __init__(self) -> None:
        self.given: list[tuple[bytes, str, str]] = []
        self.busy = 0

    async def article(self, data: bytes, *, name: str = "", url: str = "", content_type: str = "") -> ArticleDocument:
        assert name == ""
        self.given.append((data, url, content_type))
        if self.busy:
            self.busy -= 1
            raise ReadersBusyError("others are being read: try again later")
        if data == b"unreadable":
            raise ReadError("there is no article in this page: paste the text instead")
        review = Review(claim="Oil rises.", rating="Mostly true", url="https://checks.example/1")
        return ArticleDocument(
            kind="html", text=data.decode(), title="Oil", author="A. Writer", date="2026-06-01", reviews=(review,)
        )


class Pages:
    """A site on loopback."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.going = threading.Event()
        self.going.set()
        self.arrived = threading.Semaphore(0)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.paths.append(handler.path)
        self.arrived.release()
        assert self.going.wait(60)
        if handler.path == "/away":
            handler.send_response(302)
            handler.send_header("Location", "/story")
            handler.end_headers()
            return
        body = {"/story": TEXT.encode(), "/unreadable": b"unreadable", "/blank": b" \n "}.get(handler.path)
        handler.send_response(404 if body is None else 200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.end_headers()
        handler.wfile.write(body or b"")


@contextmanager
def serving_pages() -> Iterator[Pages]:
    """The site inside the block."""
    pages = Pages()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):
                pages.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        pages.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield pages
        pages.going.set()
        server.shutdown()
        thread.join()


@contextmanager
def linked_door(folder: Path, fake: FakeTriton, pages: Pages, reader: Reader, **more: Any) -> Iterator[RunningDoor]:
    """A door that follows links to the site."""

    @asynccontextmanager
    async def intake(options: GatewayOptions, doorkeeper: Doorkeeper) -> AsyncIterator[Intake]:
        links = Links(options.fetch, host=options.host, doorkeeper=doorkeeper, reader=reader)
        yield Intake(readers=reader, links=links)

    more.setdefault("fetch", FetchOptions(allow=(f"127.0.0.1:{pages.port}",)))
    with fake_door(folder, fake, intake=intake, **more) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []


def analyze(door: RunningDoor, document: Any, headers: dict[str, str] | None = None) -> Answer:
    return door.ask("POST", "/v1/analyze", json.dumps(document), headers)


def begin(door: RunningDoor, stack: ExitStack, path: str, *documents: Any) -> Any:
    """Send a request, and wait for nothing."""
    body = b"\n".join(json.dumps(one).encode() for one in documents)
    connection = stack.enter_context(door.raw())
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection
