"""Why an engine has no summary for an article."""

from __future__ import annotations


class BusyError(Exception):
    """As many articles wait as may wait; try again later."""


class ClosedError(Exception):
    """The engine is closed, or was before the summary was done."""


class ExpiredError(Exception):
    """The time for the summary was up before it was done."""


class CancelledError(Exception):
    """Who asked for the summary no longer wants it."""
