"""A few reading processes, started when the first file comes, replaced when they are worn or have died."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from serving.intake.documents import ArticleDocument, TableDocument
from serving.intake.errors import ReadError, ReadersAwayError, ReadersBusyError

from .child import Child, ToldError
from .memory import memory_each

_MIB: Final = 2**20
_MAX_HINT_CHARS: Final = 256
_MAX_URL_CHARS: Final = 2048

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReaderLimits:
    """How much is read at once, and how long a process lives."""

    processes: int = 2
    max_waiting: int = 16
    """Files that wait for a process; further ones are refused."""
    article_s: float = 20.0
    """How long reading one article may take."""
    table_s: float = 60.0
    """How long reading or writing one table may take."""
    max_jobs: int = 200
    """A process that has read so many files is replaced."""
    max_grown_bytes: int = 256 * _MIB
    """So is one that keeps so much more memory than it had at its start."""


class Readers:
    """Reads files of strangers, each in a process that can do nothing else; an async context manager.

    Args:
        limits: How much.
        start: Starts a process that may have so many bytes of memory.
    """

    def __init__(
        self, limits: ReaderLimits | None = None, *, start: Callable[[int], Awaitable[Child]] = Child.start
    ) -> None:
        self._limits = limits or ReaderLimits()
        self._start = start
        self._places = asyncio.Semaphore(self._limits.processes)
        self._waiting = 0
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes; what is being read fails."""
        self._closed = True
        for child in (*self._busy, *self._idle):
            await child.end()

    @property
    def idle_pids(self) -> tuple[int, ...]:
        """The processes that wait for a file."""
        return tuple(child.pid for child in self._idle)

    async def article(self, data: bytes, *, name: str = "", url: str = "", content_type: str = "") -> ArticleDocument:
        """Read the article in a file.

        Args:
            data: The file.
            name: What it is called; a hint.
            url: Where it was fetched; empty for a file.
            content_type: What its sender says that it is; a hint.

        Raises:
            ReadError: It cannot be read; the words say why and what to do. ReadersBusyError: not now.
                ReadersAwayError: not here.
        """
        hints = {"name": name[:_MAX_HINT_CHARS], "content_type": content_type[:_MAX_HINT_CHARS]}
        head = {"job": "article", "url": url if len(url) <= _MAX_URL_CHARS else "", **hints}
        body = await self._ask(head, data, self._limits.article_s)
        try:
            return ArticleDocument.from_dict(json.loads(body))
        except (ValueError, AttributeError, RecursionError):
            log.error("a reading process gave no article")
            raise ReadError("this file could not be read: save its text alone, and send that") from None

    async def table(self, data: bytes, *, name: str = "") -> TableDocument:
        """Read a table of articles, or a ZIP archive of them.

        Raises:
            ReadError: As `article`.
        """
        head = {"job": "table", "name": name[:_MAX_HINT_CHARS]}
        return TableDocument(json=await self._ask(head, data, self._limits.table_s))

    async def write(self, lines: bytes, form: str) -> bytes:
        """Write a table of answers.

        Args:
            lines: JSON lines, each an answer as the JSON API gives it, or an error.
            form: ``csv``, ``xlsx`` or ``json``.

        Raises:
            ReadError: As `article`; also where a line is no answer.
        """
        return await self._ask({"job": "write", "form": form}, lines, self._limits.table_s)

    async def _ask(self, head: dict[str, Any], data: bytes, time_s: float) -> bytes:
        """Have a process read something, once one is free; a caller who leaves ends it."""
        if self._waiting >= self._limits.max_waiting:
            raise ReadersBusyError(
                f"the server is busy: {self._waiting} files wait to be read, and no more may; try again later"
            )
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            child = await self._process()
            self._busy.add(child)
            try:
                body = await child.ask(head, data, time_s)
            except ToldError:
                await self._keep(child)
                raise
            except ReadError:
                await child.end()
                if self._closed:
                    raise _ending() from None
                raise
            except BaseException:
                await child.end()
                raise
            finally:
                self._busy.discard(child)
            await self._keep(child)
            return body
        finally:
            self._places.release()

    async def _process(self) -> Child:
        self._check_open()
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await child.end()
        child = await self._start(memory_each(self._limits.processes))
        try:
            self._check_open()  # it may have been closed meanwhile
        except ReadersAwayError:
            await child.end()
            raise
        return child

    def _check_open(self) -> None:
        if self._closed:
            raise _ending()

    async def _keep(self, child: Child) -> None:
        """Let it wait for the next file, unless it is worn."""
        limits = self._limits
        if self._closed or child.jobs >= limits.max_jobs or child.grown_bytes > limits.max_grown_bytes:
            await child.end()
        else:
            self._idle.append(child)


def _ending() -> ReadersAwayError:
    return ReadersAwayError("the server is being stopped, and reads no more files: try again later")
