"""What both clients do with a link."""

from __future__ import annotations

from collections.abc import Iterable

from infolens._json import Asking, AsyncAsking
from infolens.contract import Task
from infolens.types import SummaryOptions

from .values import LinkedReport


class Links(Asking):
    """The blocking client's part that is about links."""

    def analyze_url(
        self,
        url: str,
        *,
        title: str | None = None,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
    ) -> LinkedReport:
        """What `analyze` gives for the article behind a link, and that article; for HTTP addresses alone.

        The server fetches the page, which takes up to 10 s, if it may and, where it wants keys, if yours has the role
        ``fetch``.

        Args:
            url: The link: http or https.
            title: A headline that counts more than the page's.
            tasks: As in `analyze`.
            options: As in `analyze`.
            partial: As in `analyze`.
            evidence: As in `analyze`.
            timeout_s: Time-out of the whole call, fetching and retries included; None for the client's.

        Raises:
            InvalidArticleError: ``url`` is no text.
            InvalidSettingError: Another argument is not valid, or the client's address is none of HTTP.
            PermissionDeniedError: The server fetches no links, or not for this key.
            RequestRejectedError: Nothing could be read there; its words say why.
            ServerError: The server gave no answer for another reason.
        """
        from .asking import LinkQuestion

        return self._ask(LinkQuestion(url, title, tasks, options, partial=partial, evidence=evidence), timeout_s)


class AsyncLinks(AsyncAsking):
    """The asyncio client's part that is about links."""

    async def analyze_url(
        self,
        url: str,
        *,
        title: str | None = None,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
    ) -> LinkedReport:
        """As `Client.analyze_url`."""
        from .asking import LinkQuestion

        return await self._ask(LinkQuestion(url, title, tasks, options, partial=partial, evidence=evidence), timeout_s)
