"""What the users of Locust see, for Prometheus, where ``--metrics-port`` asks for it."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.common.wire import RequestOutcome
from benchmarks.load.exposed import LoadMetrics, exposed
from infolens import InfoLensError, RequestTimeoutError, ServerOverloadedError


class Shown:
    """Counts what users send; without a port it counts nothing."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._metrics: LoadMetrics | None = None

    def open(self, port: int | None) -> None:
        """Show the counts on a port; None shows them nowhere.

        Raises:
            BenchmarkError: The port cannot be had.
        """
        self._metrics = self._stack.enter_context(exposed(port))

    def close(self) -> None:
        """Let go of the port."""
        self._stack.close()

    def sends(self) -> None:
        """Count a request that is sent."""
        if self._metrics is not None:
            self._metrics.sends()

    def ends(self, failure: InfoLensError | None, seconds: float) -> None:
        """Count a request that has ended, by what the client raised; None for an answer."""
        if self._metrics is not None:
            self._metrics.ends(outcome_of(failure), seconds)


def outcome_of(failure: InfoLensError | None) -> RequestOutcome:
    """What became of a request, by what the client raised; None for an answer."""
    if failure is None:
        return RequestOutcome.ANSWERED
    if isinstance(failure, ServerOverloadedError):
        return RequestOutcome.REFUSED
    return RequestOutcome.LATE if isinstance(failure, RequestTimeoutError) else RequestOutcome.FAILED
