"""Keeps predictions and what people say of them, for the door: no answer waits for it, and none is broken by it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from serving.errors import FeedbackAwayError, FeedbackError
from serving.storage.asking import Asker

from .keeping import FeedbackStorage
from .location import KEPT
from .options import FeedbackOptions
from .records import Erasure, Prediction, Submission, is_id
from .spool.spool import Spool
from .writing.pipeline import Patience, Pipeline
from .writing.queue import Item
from .writing.receipts import Receipt, Standing
from .writing.writer import Tallies

__all__ = ["Keeper", "Receipt", "Standing", "no_tallies", "off"]

_T = TypeVar("_T")


def no_tallies(prediction: Prediction, text: str, title: str | None) -> tuple[()]:  # noqa: ARG001 (as `Tallies` is)
    """Nothing is counted towards drift."""
    return ()


class Keeper:
    """Keeps feedback. It belongs to the event loop in which it is used; all work is done in threads beside it.

    Args:
        opens: Opens the store; called in a thread, since its library takes time to load.
        log: The door's log.
        options: Whether, for how long, and with what; as `check_feedback` gives them.
        tally: What is counted of a prediction towards drift; called in a thread.
        opens_spool: Opens the spool; called in a thread. None for no spool.
        patience: How long is waited for what.

    Attributes:
        keeps: Whether feedback is kept...
        why_not: ...and why not, in words for callers.
        texts: Whether the texts of articles are kept.
        days: How long a prediction is kept.
        audit_share: The share of articles that are audited blindly.
        batch: Ratings of a batch of the measure.
        trust: The lower bound of accuracy from which on a model is trusted.
    """

    def __init__(
        self,
        opens: Callable[[], FeedbackStorage],
        log: Any,
        options: FeedbackOptions,
        *,
        tally: Tallies = no_tallies,
        opens_spool: Callable[[], Spool] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.keeps = bool(options.keeps)
        self.why_not = "" if self.keeps else options.why_not or "it was not started to keep any"
        self.texts, self.days, self.audit_share = options.texts, options.days, options.audit_share
        self.batch, self.trust = options.batch, options.trust
        self._patience = patience or Patience()
        self._asker: Asker[FeedbackStorage] = Asker(opens, KEPT, log, patience_s=self._patience.caller_s)
        self._pipeline = Pipeline(
            self._asker, log, days=self.days, tally=tally, opens_spool=opens_spool, patience=self._patience
        )

    @property
    def salt(self) -> str:
        """Random characters of the store; empty until it was reached once."""
        return self._pipeline.salt

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Keep what comes inside the block; at its end what is queued goes into the database, or into the spool."""
        if not self.keeps:
            yield self
            return
        async with self._pipeline.running():
            yield self

    def note(self, prediction: Prediction, text: str = "", title: str | None = None) -> None:
        """Keep a prediction some time soon. It never waits and never fails: what does not fit is dropped and counted.

        Args:
            prediction: What was answered.
            text: The text of the article, for its tallies, and to be kept where texts are.
            title: Its headline, likewise.
        """
        if self.keeps:
            self._pipeline.put(self._item(prediction, text, title))

    async def keep(
        self, prediction: Prediction, text: str = "", title: str | None = None, *, within_s: float | None = None
    ) -> Receipt:
        """Keep a prediction, and come back once it is kept: where that fails it is not kept at all.

        Args:
            prediction: As for `note`.
            text: As for `note`.
            title: As for `note`.
            within_s: How long it may take; None for as long as anything may.

        Raises:
            FeedbackError: It could not be kept, or not in time.
        """
        item = self._item(prediction, text, title)
        try:
            return await self._put(item, within_s)
        except BaseException:
            item.left = True  # and where the database has it already:
            if self.keeps:
                self._pipeline.put(Item(entry=Erasure(prediction=prediction.id, made_us=time.time_ns() // 1000)))
            raise

    async def submit(self, submission: Submission, *, within_s: float | None = None) -> Receipt:
        """Keep what somebody says of a prediction. One that is given up here may be kept still; so ask with its token.

        Args:
            submission: It.
            within_s: How long it may take; None for as long as anything may.

        Raises:
            SpoolFullError: The database is away, and the spool full.
            FeedbackAwayError: It took too long.
            FeedbackError: It cannot be kept.
        """
        return await self._put(Item(entry=submission), within_s)

    async def erase(self, prediction_id: str) -> Receipt:
        """Forget a prediction and all that was said of it.

        Raises:
            FeedbackError: As `submit`.
        """
        return await self._put(Item(entry=Erasure(prediction=prediction_id, made_us=time.time_ns() // 1000)), None)

    async def find(self, prediction_id: str) -> Prediction | None:
        """The prediction of an id, be it in the database or on its way there; None if there is none.

        Raises:
            FeedbackError: The database cannot be asked.
        """
        if not self.keeps or not is_id(prediction_id):
            return None
        for entry in reversed(await self._pipeline.waiting(prediction_id)):
            if isinstance(entry, Erasure):
                return None
            if isinstance(entry, Prediction):
                return dataclasses.replace(entry, tallies=())
        return await self.ask(lambda store: store.prediction(prediction_id))

    async def said(self, prediction_id: str) -> Sequence[Submission]:
        """What was said of a prediction, in its order; of very much the latest, and its audit.

        What is on its way to the database is among it.

        Raises:
            FeedbackError: The database cannot be asked.
        """
        if not self.keeps or not is_id(prediction_id):
            return ()
        said: list[Submission] = []
        for entry in reversed(await self._pipeline.waiting(prediction_id)):
            if not isinstance(entry, Submission):  # it came, or went, before the database could know it
                return said[::-1]
            said.append(entry)
        found = await self.ask(lambda store: store.submissions(prediction_id))
        tokens = {(one.key, one.token) for one in found}
        return [*found, *(one for one in said[::-1] if (one.key, one.token) not in tokens)]

    async def ask(self, work: Callable[[FeedbackStorage], _T], within_s: float | None = None) -> _T:
        """Have something read from the store in a thread.

        Args:
            work: It.
            within_s: How long it may take; None for as long as anything may.

        Raises:
            FeedbackError: It failed, or took too long.
        """
        if not self.keeps:
            raise FeedbackError(self.why_not)
        return await self._asker.ask(work, self._asker.patience(within_s))

    def standing(self) -> Standing:
        """How it is now."""
        return self._pipeline.standing()

    def _item(self, prediction: Prediction, text: str, title: str | None) -> Item:
        if self.texts:
            prediction = dataclasses.replace(prediction, text=text or prediction.text, title=title or prediction.title)
        else:
            prediction = dataclasses.replace(prediction, text=None, title=None)
        return Item(entry=prediction, text=text, title=title)

    async def _put(self, item: Item, within_s: float | None) -> Receipt:
        if not self.keeps:
            raise FeedbackError(self.why_not)
        within_s = self._patience.caller_s if within_s is None else min(within_s, self._patience.caller_s)
        if within_s <= 0:
            raise FeedbackAwayError("no time was left for it")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()

        def settle(what: Receipt | Exception) -> None:
            if future.done():
                return
            if isinstance(what, Exception):
                future.set_exception(what)
            else:
                future.set_result(what)

        def told(what: Receipt | Exception) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, what)

        item.told = told
        if not self._pipeline.put(item):
            raise FeedbackAwayError("too much waits for the store of the feedback")
        try:
            async with asyncio.timeout(within_s):
                return await future
        except TimeoutError:
            raise FeedbackAwayError("the store did not answer in time") from None


def off(why_not: str) -> Keeper:
    """What keeps nothing.

    Args:
        why_not: Why not, in words for callers.
    """

    def nothing() -> FeedbackStorage:
        raise FeedbackError(why_not)

    return Keeper(nothing, None, FeedbackOptions(keeps=False, why_not=why_not))
