"""A site on loopback that answers as no well-behaved server would, and counts who comes."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from serving.intake.fetching.addresses import Address

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
HTML = b"<!doctype html><html><head><title>Oil</title></head><body><p>Oil rises.</p></body></html>"


@dataclass(kw_only=True)
class Site:
    """What it answers at which path, and what it was asked.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        connections: How many came.
        asked: The head of each request.
        left: One entry for each connection whose other end has gone while an answer was sent.
    """

    answers: Mapping[str, Answer] = field(default_factory=dict)
    port: int = 0
    connections: int = 0
    asked: list[str] = field(default_factory=list)
    left: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        path = ""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(head)
            path = head.split(" ")[1]
            answering = asyncio.ensure_future(self.answers.get(path, missing)(writer))
            leaving = asyncio.ensure_future(reader.read())
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not answering.done():
                self.left.put_nowait(path)
            for one in (answering, leaving):
                one.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.put_nowait(path)
        finally:
            writer.close()


@asynccontextmanager
async def listening(
    answers: Mapping[str, Answer] | None = None, *, context: ssl.SSLContext | None = None
) -> AsyncIterator[Site]:
    """A site inside the block."""
    site = Site(answers=answers or {})
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=context)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()


def says(body: bytes = HTML, *headers: str, status: str = "200 OK", length: int | None = None) -> Answer:
    """A plain answer; of HTML unless a header says otherwise."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    if not any(line.lower().startswith("content-type:") for line in headers):
        lines.append("Content-Type: text/html")
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def raw(*parts: bytes) -> Answer:
    """Bytes as they are."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


def endless(head: bytes, part: bytes) -> Answer:
    """A beginning, and the same bytes again and again for as long as somebody reads."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()

    return answer


def silent(head: bytes = b"") -> Answer:
    """A beginning, and then nothing until the other end leaves."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await asyncio.Event().wait()

    return answer


def to(location: str, status: str = "302 Found") -> Answer:
    """A redirect."""
    return says(b"", f"Location: {location}", status=status)


missing = says(b"", status="404 Not Found")


class Names:
    """Name servers that are made up: each name has answers for the first, the second and further lookups."""

    def __init__(self, names: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self.names = dict(names)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        turns = self.names.get(host)
        if turns is None:
            raise OSError("there is no such name")
        turn = turns[min(self.asked.count(host), len(turns) - 1)]
        self.asked.append(host)
        return [ipaddress.ip_address(address) for address in turn]
