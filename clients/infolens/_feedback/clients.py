"""What both clients do with feedback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from infolens._json import Asking, AsyncAsking
from infolens.contract import Task
from infolens.types import Report

if TYPE_CHECKING:
    from .quality import Quality
    from .values import Forgotten, KeptPrediction, Rated

Said = bool | str | None
"""Whether a label is right, or the right one; None where nothing is said."""


class Feedback(Asking):
    """The blocking client's part that is about feedback."""

    def rate(
        self,
        prediction: str | Report,
        *,
        stars: int | None = None,
        better: str | None = None,
        category: Said = None,
        veracity: Said = None,
        more: Mapping[Task | str, Said] | None = None,
        note: str | None = None,
        rater: str | None = None,
        consent: bool = False,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Rated:
        """Say what you think of answers; for HTTP addresses alone.

        However often the request must be sent, the rating counts once: all attempts have one idempotency key. Of one
        rater the latest rating of an answer counts.

        Args:
            prediction: The report with the answers, or its `Report.prediction`.
            stars: How good the summary is, 1 to 5.
            better: A better summary; it goes with ``stars``.
            category: Whether the category is right, or the right one, such as ``"Politics"``.
            veracity: The same of the veracity.
            more: The same of further tasks with labels, by task.
            note: Anything else that is to be said.
            rater: Who says so, under a name that tells people apart, and better not who they are: ``desk-7``.
            consent: Whether it may be used to train models.
            idempotency_key: 1 to 64 visible ASCII characters, by which the server knows this rating, for a program that
                may have to call again after a `RequestTimeoutError`; None for a new one with every call.
            timeout_s: Time-out of the whole call, retries included; None for the client's.

        Raises:
            InvalidSettingError: An argument is not valid, or the client's address is none of HTTP.
            PredictionNotFoundError: The server has no such prediction, or no more.
            PermissionDeniedError: Another key made it, and yours may not rate it.
            RequestRejectedError: The server refuses it, and says why: a label that is none of the model's, a task that
                was not answered, an idempotency key of another rating.
            ServerError: The server gave no answer for another reason.
        """
        from .asking import rating

        question = rating(
            prediction,
            stars=stars,
            better=better,
            labels={Task.CATEGORY: category, Task.VERACITY: veracity, **(more or {})},
            note=note,
            rater=rater,
            consent=consent,
            idempotency_key=idempotency_key,
        )
        return self._ask(question, timeout_s)

    def forget(self, prediction: str | Report, *, timeout_s: float | None = None) -> Forgotten:
        """Have the server forget a prediction, and all that was said of it; for HTTP addresses alone.

        Raises:
            InvalidSettingError: ``prediction`` is no id, or the client's address is none of HTTP.
            PredictionNotFoundError: The server has no such prediction, or no more.
            PermissionDeniedError: Another key made it.
            ServerError: The server gave no answer for another reason.
        """
        from .asking import Forgetting

        return self._ask(Forgetting(prediction), timeout_s)

    def prediction(self, prediction: str | Report, *, timeout_s: float | None = None) -> KeptPrediction:
        """What the server keeps of a prediction, and what was said of it; arguments and errors as in `forget`."""
        from .asking import finding

        return self._ask(finding(prediction), timeout_s)

    def quality(self, days: int = 30, *, timeout_s: float | None = None) -> Quality:
        """How good the server's models are, by what people said of their answers; for HTTP addresses alone.

        Args:
            days: How many of the last days count, 1 to 3,650.
            timeout_s: Time-out of the whole call, retries included; None for the client's.

        Raises:
            InvalidSettingError: ``days`` is out of range, or the client's address is none of HTTP.
            PermissionDeniedError: The key may not see it.
            ServerError: The server gave no answer for another reason.
        """
        from .asking import measuring

        return self._ask(measuring(days), timeout_s)


class AsyncFeedback(AsyncAsking):
    """The asyncio client's part that is about feedback."""

    async def rate(
        self,
        prediction: str | Report,
        *,
        stars: int | None = None,
        better: str | None = None,
        category: Said = None,
        veracity: Said = None,
        more: Mapping[Task | str, Said] | None = None,
        note: str | None = None,
        rater: str | None = None,
        consent: bool = False,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Rated:
        """As `Client.rate`."""
        from .asking import rating

        question = rating(
            prediction,
            stars=stars,
            better=better,
            labels={Task.CATEGORY: category, Task.VERACITY: veracity, **(more or {})},
            note=note,
            rater=rater,
            consent=consent,
            idempotency_key=idempotency_key,
        )
        return await self._ask(question, timeout_s)

    async def forget(self, prediction: str | Report, *, timeout_s: float | None = None) -> Forgotten:
        """As `Client.forget`."""
        from .asking import Forgetting

        return await self._ask(Forgetting(prediction), timeout_s)

    async def prediction(self, prediction: str | Report, *, timeout_s: float | None = None) -> KeptPrediction:
        """As `Client.prediction`."""
        from .asking import finding

        return await self._ask(finding(prediction), timeout_s)

    async def quality(self, days: int = 30, *, timeout_s: float | None = None) -> Quality:
        """As `Client.quality`."""
        from .asking import measuring

        return await self._ask(measuring(days), timeout_s)
