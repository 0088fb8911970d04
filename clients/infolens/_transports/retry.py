"""When a request is sent again, and how long everything may take."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import Final

from infolens.errors import (
    InvalidSettingError,
    ModelUnavailableError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
)

DEFAULT_TIMEOUT_S: Final = 30.0
DEFAULT_IN_FLIGHT: Final = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """Which failures are tried again: by default only those where the server could not be reached.

    Analyzing an article changes nothing on the server, so sending it again is always safe. It is not always wise: a
    request that timed out or was refused by a full queue would only add to the load, and a refused article stays
    refused.

    Raises:
        InvalidSettingError: A value is out of range.
    """

    attempts: int = 3
    """How often a request is sent at most; 1 turns retries off."""
    backoff_s: float = 0.1
    """Pause before the second attempt; it doubles from one attempt to the next, and half of it is random."""
    max_backoff_s: float = 2.0
    """Longest pause."""
    on_overload: bool = False
    """Whether a request is sent again when the server was busy and refused it, or the API key had asked too much."""

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise InvalidSettingError(f"attempts is a whole number of at least 1, not {self.attempts!r}")
        for name in ("backoff_s", "max_backoff_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidSettingError(f"{name} is a number of seconds from 0 on, not {getattr(self, name)!r}")

    def pause_s(self, error: ServerError, attempt: int, *, patient: bool = False) -> float | None:
        """The pause after failed attempt number ``attempt`` (from 1 on), or None when it was the last.

        Args:
            error: Why it failed.
            attempt: How many attempts there were.
            patient: Whether a busy server is asked again until the call's time is up: many articles are sent at the
                server's own pace.

        A key that has asked too much pauses for as long as the server says: before that the answer would be the same.
        """
        least_s = (error.retry_after_s or 0.0) if isinstance(error, RateLimitedError) else 0.0
        if patient and isinstance(error, ServerOverloadedError):
            return max(least_s, self._pause_s(attempt))
        unreachable = isinstance(error, ServerUnavailableError) and not isinstance(error, ModelUnavailableError)
        overloaded = self.on_overload and isinstance(error, ServerOverloadedError)
        if attempt >= self.attempts or not (unreachable or overloaded):
            return None
        return max(least_s, self._pause_s(attempt))

    def _pause_s(self, attempt: int) -> float:
        longest_s = min(self.backoff_s * 2.0 ** min(attempt - 1, 30), self.max_backoff_s)
        return longest_s * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret


def check_timeout(timeout_s: float) -> float:
    """Return a time-out that makes sense.

    Raises:
        InvalidSettingError: It is not a positive, finite number.
    """
    is_number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not is_number or not math.isfinite(timeout_s) or timeout_s <= 0:
        raise InvalidSettingError(f"timeout_s is a positive number of seconds, not {timeout_s!r}")
    return float(timeout_s)


class Deadline:
    """The moment by which everything about one call must be done, retries and pauses included."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = check_timeout(timeout_s)
        self._end_s = time.monotonic() + self.timeout_s

    def remaining_s(self) -> float:
        """Seconds that are left.

        Raises:
            RequestTimeoutError: None are.
        """
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise RequestTimeoutError(
                f"no answer within the time-out of {self.timeout_s:g} s; raise timeout_s, or ask for less"
            )
        return left_s

    def allows(self, pause_s: float) -> bool:
        """Whether there is time left after a pause."""
        return time.monotonic() + pause_s < self._end_s
