"""Many articles at once: over threads (`in_order`), or through one connection for all of them (`stream`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infolens._calls import DEFAULT_BATCH_IN_FLIGHT, check_in_flight
from infolens._transports.base import ConnectionSettings
from infolens._transports.retry import RetryPolicy
from infolens._transports.url import ServerURL
from infolens.contract import Task
from infolens.types import SummaryOptions

if TYPE_CHECKING:
    from .stream import Batch

__all__ = ["StreamMaker"]


class StreamMaker:
    """Makes the batches of a client whose server is spoken to over HTTP; loads aiohttp when the first one is made.

    Args:
        url: The server's.
        settings: Headers and certificates.
        retries: Which failures are tried again.
    """

    def __init__(self, url: ServerURL, settings: ConnectionSettings, retries: RetryPolicy) -> None:
        self._url = url
        self._settings = settings
        self._retries = retries
        self._running: set[Batch] = set()

    def stop(self) -> None:
        """End the batches that are under way with a `ClientClosedError`."""
        for batch in list(self._running):
            batch.stop()

    def batch(
        self,
        tasks: tuple[Task, ...],
        options: SummaryOptions | None,
        *,
        partial: bool,
        evidence: bool,
        timeout_s: float,
        ordered: bool,
        in_flight: int | None,
    ) -> Batch:
        """A batch; arguments as in `Client.analyze_batch`.

        Raises:
            InvalidSettingError: ``in_flight`` is out of range, or the certificates cannot be read.
        """
        from .rows import Asked
        from .stream import Batch

        return Batch(
            self._url,
            self._settings,
            retries=self._retries,
            asked=Asked(
                tasks=tasks,
                options=options,
                partial=partial,
                evidence=evidence,
                timeout_s=timeout_s,
                server=str(self._url),
            ),
            ordered=ordered,
            in_flight=DEFAULT_BATCH_IN_FLIGHT if in_flight is None else check_in_flight(in_flight),
            running=self._running,
        )
