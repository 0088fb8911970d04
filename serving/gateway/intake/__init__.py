"""What callers point at or hand in, as the door takes it: who may, how many at once, and how it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from serving.gateway.access.caller import Caller
from serving.gateway.access.doorkeeper import Doorkeeper
from serving.gateway.configuration import GatewayOptions
from serving.intake.documents import ArticleDocument
from serving.intake.process import Readers

from .links import ArticleReader, Links

__all__ = ["ArticleReader", "Intake", "Links", "open_intake"]


@dataclass(frozen=True, kw_only=True)
class Intake:
    """The parts that read what is no text yet."""

    readers: Readers
    links: Links

    async def article_of(self, url: str, *, caller: Caller, patient: bool = False) -> tuple[ArticleDocument, str]:
        """The article to which a link leads, and where it was in the end: `Links.article_of`."""
        return await self.links.article_of(url, caller=caller, patient=patient)


@asynccontextmanager
async def open_intake(options: GatewayOptions, doorkeeper: Doorkeeper) -> AsyncIterator[Intake]:
    """The parts, with whatever they have started ended at the end."""
    async with Readers() as readers:
        links = Links(options.fetch, host=options.host, doorkeeper=doorkeeper, reader=readers)
        yield Intake(readers=readers, links=links)
