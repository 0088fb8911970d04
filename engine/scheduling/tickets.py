"""An article that was handed in, and the one answer that it gets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from engine.article import Article, Integers
from engine.settings import Rules

from .errors import CancelledError, ClosedError, ExpiredError
from .statistics import Counters

Outcome = Integers | Exception
Answer = Callable[[Outcome], object]
_LOG = logging.getLogger(__name__)


@dataclass(eq=False, slots=True, kw_only=True)
class Ticket:
    """An article between `submit` and its answer. Whoever holds it is the only one to settle it."""

    article: Article
    answer: Answer
    bucket: int
    """Its place in the engine's list of buckets."""
    deadline_s: float | None = None
    """When its time is up, on the engine's clock."""
    is_cancelled: Callable[[], bool] | None = None

    def unwanted(self, now_s: float) -> Exception | None:
        """Why no summary is needed any more; None where one is."""
        try:
            if self.deadline_s is not None and now_s >= self.deadline_s:
                return ExpiredError("the time for this summary was up before it was done")
            if self.is_cancelled is not None and self.is_cancelled():
                return CancelledError("who asked for this summary no longer wants it")
        except BaseException as error:  # The caller's own code, whatever it raises: its article fails, no other one.
            return (
                error
                if isinstance(error, Exception)
                else RuntimeError(f"asking whether it is wanted failed: {error!r}")
            )
        return None

    def settle(self, outcome: Outcome, counters: Counters) -> None:
        """Hand over the outcome and count it; what the caller's own code raises is logged and goes no further."""
        if isinstance(outcome, ExpiredError):
            counters.expired += 1
        elif isinstance(outcome, CancelledError):
            counters.cancelled += 1
        elif isinstance(outcome, Exception):
            counters.failed += 1
        else:
            counters.answered += 1
        try:
            self.answer(outcome)
        except BaseException:  # An exit, or a task that was cancelled, ends no thread that others wait for.
            _LOG.exception("the answer to a summary could not be handed over")


def closed() -> ClosedError:
    """For articles that are left when an engine is closed."""
    return ClosedError("the engine was closed before this summary was done")


def trimmed(tokens: Integers, max_length: int, rules: Rules) -> Integers:
    """A summary without the padding behind it.

    Args:
        tokens: INT64 (target_length,), start and end included, then padding.
        max_length: The greatest number of tokens that the summary may have.
        rules: Its end tokens.

    Returns:
        INT64 (n,): up to the first end token behind the start, or ``max_length`` tokens where none is.
    """
    words = tokens[:max_length].tolist()
    for place in range(1, max_length):
        if words[place] in rules.end_tokens:
            return tokens[: place + 1]
    return tokens[:max_length]
