"""Links in the place of texts: who may give one, how many are followed at once, and what is read where they lead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Protocol

from infolens import Article, InvalidArticleError
from serving.gateway.access.caller import Caller
from serving.gateway.access.doorkeeper import Doorkeeper
from serving.gateway.refusals import FieldError, Refusal, RefusedError, invalid_fields
from serving.intake.documents import ArticleDocument
from serving.intake.errors import ReadError, ReadersAwayError, ReadersBusyError
from serving.intake.fetching.errors import FetchError
from serving.intake.fetching.fetcher import Fetched, fetch
from serving.intake.fetching.lookup import Lookup, system_lookup
from serving.intake.fetching.options import FetchOptions, fetches
from serving.keys.records import Role

MAX_FETCHES: Final = 8
"""Links that are followed at the same time; further ones are refused, or wait where they may."""
_MAX_PATIENT: Final = 6
"""Those of them that may be rows of batches, so that a long batch leaves room for single links."""
_BUSY_S: Final = 1.0
"""When to come again: most pages are there within a second."""
_POINTER: Final = "/url"


class ArticleReader(Protocol):
    """What makes an article of bytes, apart from this process."""

    async def article(self, data: bytes, *, name: str = "", url: str = "", content_type: str = "") -> ArticleDocument:
        """The article; raises `ReadError` where there is none."""


@dataclass(frozen=True, kw_only=True)
class Linked:
    """The article to which a link led."""

    article: Article
    """As the models get it."""
    document: dict[str, Any]
    """As the answer has it."""


class Links:
    """Follows links.

    Args:
        options: How pages are fetched.
        host: Where the door listens; whether links are followed at all may depend on it.
        doorkeeper: Knows who may give one.
        reader: Makes an article of a page.
        lookup: Gives the addresses of a host.
    """

    def __init__(
        self,
        options: FetchOptions,
        *,
        host: str,
        doorkeeper: Doorkeeper,
        reader: ArticleReader,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._options = options
        self._allowed = fetches(host, options.allowed, keys=doorkeeper.wants_keys)
        self._doorkeeper = doorkeeper
        self._reader = reader
        self._lookup = lookup
        self._places = asyncio.Semaphore(MAX_FETCHES)
        self._of_batches = asyncio.Semaphore(_MAX_PATIENT)
        self._running = 0

    @property
    def running(self) -> int:
        """Links that are followed now."""
        return self._running

    def why_not(self, caller: Caller) -> str:
        """Why a caller may give no link; empty where the caller may."""
        if not self._allowed:
            return "this server fetches no links: send the text itself; whoever runs it can start it with --fetch"
        words = self._doorkeeper.why_not(caller, Role.FETCH)
        return f"to have links fetched, {words}" if words else ""

    async def article_of(self, url: str, *, caller: Caller, patient: bool = False) -> tuple[ArticleDocument, str]:
        """The article to which a link leads, and where it was in the end.

        Args:
            url: The link.
            caller: Who gives it.
            patient: Whether to wait where others are followed, instead of being refused.

        Raises:
            RefusedError: The caller may give none (``FORBIDDEN``), too many are followed already (``BUSY``), or nothing
                is read there (``INVALID``).
        """
        if words := self.why_not(caller):
            raise RefusedError(Refusal.FORBIDDEN, words)
        async with self._place(patient=patient):
            try:
                fetched = await fetch(url, self._options, lookup=self._lookup)
                found = await self._read(fetched, patient=patient)
            except (FetchError, ReadError) as error:
                raise _refused(error) from None
        return found, fetched.url

    async def linked(self, url: str, title: str | None, *, caller: Caller, patient: bool = False) -> Linked:
        """The article to which a link leads, ready to be asked about.

        Args:
            url: The link.
            title: A headline that counts more than the page's; None for the page's.
            caller: Who gives it.
            patient: As in `article_of`.

        Raises:
            RefusedError: As `article_of`, or the article is none that models read.
        """
        found, final_url = await self.article_of(url, caller=caller, patient=patient)
        document = found.to_dict()
        del document["kind"]
        try:
            article = Article(text=found.text, title=title or found.title)
        except InvalidArticleError as error:
            words = f"what was read at the link cannot be analyzed ({error}): send the text itself"
            raise invalid_fields([FieldError(pointer=_POINTER, words=words)]) from None
        return Linked(article=article, document={"url": final_url, **document, "title": article.title})

    @asynccontextmanager
    async def _place(self, *, patient: bool) -> AsyncIterator[None]:
        """One of the places for links that are followed."""
        if not patient and self._places.locked():
            raise _busy(f"it follows {MAX_FETCHES} links, and no more at the same time")
        async with self._of_batches if patient else nullcontext(), self._places:
            self._running += 1
            try:
                yield
            finally:
                self._running -= 1

    async def _read(self, fetched: Fetched, *, patient: bool) -> ArticleDocument:
        told = f"; charset={fetched.charset}" if fetched.charset else ""
        while True:
            try:
                return await self._reader.article(
                    fetched.body, url=fetched.url, content_type=fetched.content_type + told
                )
            except ReadersBusyError:
                if not patient:
                    raise
                await asyncio.sleep(_BUSY_S)


def _busy(why: str) -> RefusedError:
    return RefusedError(Refusal.BUSY, f"the server is busy: {why}; try again later", retry_after_s=_BUSY_S)


def _refused(error: FetchError | ReadError) -> RefusedError:
    """What the door says where nothing was read."""
    if isinstance(error, ReadersBusyError):
        return _busy(error.words)
    if isinstance(error, ReadersAwayError):
        return RefusedError(Refusal.AWAY, error.words, retry_after_s=_BUSY_S)
    return invalid_fields([FieldError(pointer=_POINTER, words=error.words)])
