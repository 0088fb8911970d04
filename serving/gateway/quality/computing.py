"""The document of quality: computed in a thread, once at a time, and kept for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from infolens.contract import CONTRACTS, AnswerKind
from serving.errors import FeedbackError
from serving.feedback.keeping import FeedbackStorage
from serving.gateway.http.documents import dump
from serving.gateway.refusals import Refusal, RefusedError
from serving.gateway.served import Served
from serving.quality.document import Serving, Terms, make_document
from serving.quality.references import References

FRESH_S: Final = 10.0
"""A document counts for so long."""
PATIENCE_S: Final = 20.0
"""How long a store may take for it."""
MAX_KEPT: Final = 8
"""Documents in memory, of as many spans of days."""
_AGAIN_S: Final = 5.0
_T = TypeVar("_T")


class Asks(Protocol):
    """What is needed of the keeper of feedback."""

    keeps: bool
    why_not: str
    batch: int
    trust: float

    async def ask(self, work: Callable[[FeedbackStorage], _T], within_s: float | None = None) -> _T:
        """Have something done by the store in a thread."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Computed:
    """A document, and its text."""

    document: dict[str, Any]
    body: bytes
    at_s: float
    """When, by the clock that only goes forward."""


class Quality:
    """Computes the document. It belongs to the event loop.

    Args:
        keeper: Has the feedback.
        served: The models of all tasks.
        references: What their articles were like in training.
    """

    def __init__(self, keeper: Asks, served: Served, references: References) -> None:
        self._keeper = keeper
        self._served = served
        self._references = references
        self._serving: Sequence[Serving] = ()
        self._one_at_a_time = asyncio.Lock()
        self._kept: dict[int, Computed] = {}
        self._under_way: dict[int, asyncio.Task[Computed]] = {}

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def keeps(self) -> bool:
        """Whether there is feedback at all."""
        return self._keeper.keeps

    async def body(self, days: int) -> bytes:
        """The document as JSON; with `stale_s`, how many seconds old it is, while the store is away.

        Raises:
            RefusedError: No feedback is kept (``NOT_FOUND``), or the store is away and never was asked (``AWAY``).
        """
        if not self._keeper.keeps:
            raise RefusedError(Refusal.NOT_FOUND, f"this server keeps no feedback: {self._keeper.why_not}")
        try:
            return (await self.computed(days)).body
        except FeedbackError:
            if (last := self._kept.get(days)) is None:
                words = "the quality cannot be had now: try again later"
                raise RefusedError(Refusal.AWAY, words, retry_after_s=_AGAIN_S) from None
        return dump({**last.document, "stale_s": round(time.monotonic() - last.at_s)})

    async def computed(self, days: int) -> Computed:
        """The document for so many days, at most `FRESH_S` old.

        Raises:
            FeedbackError: The store cannot be asked.
            RefusedError: Nobody knows which models serve.
        """
        if (found := self._fresh(days)) is not None:
            return found
        task = self._under_way.get(days)
        if task is None:  # it goes on for the others when the caller who began it leaves
            task = self._under_way[days] = asyncio.create_task(self._compute(days))
            task.add_done_callback(lambda done: self._is_over(days, done))
        return await asyncio.shield(task)

    def _fresh(self, days: int) -> Computed | None:
        found = self._kept.get(days)
        return found if found is not None and time.monotonic() - found.at_s < FRESH_S else None

    def _is_over(self, days: int, done: asyncio.Task[Computed]) -> None:
        self._under_way.pop(days, None)
        if not done.cancelled():
            done.exception()  # told already, or of callers who have left

    async def _compute(self, days: int) -> Computed:
        async with self._one_at_a_time:
            serving = await self._now_serving()
            terms = Terms(days=days, batch=self._keeper.batch, trust=self._keeper.trust)

            def work(store: FeedbackStorage) -> Computed:
                document = make_document(store, terms, serving=serving, references=self._references, now_s=time.time())
                return Computed(document=document, body=dump(document), at_s=time.monotonic())

            found = await self._keeper.ask(work, PATIENCE_S)
        self._kept.pop(days, None)
        self._kept[days] = found
        while len(self._kept) > MAX_KEPT:
            self._kept.pop(next(iter(self._kept)))
        return found

    async def _now_serving(self) -> Sequence[Serving]:
        """The models that serve; those that served last where nobody can tell now."""
        try:
            tasks = await self._served.tasks()
        except RefusedError:
            if not self._serving:
                raise
            return self._serving
        self._serving = [
            Serving(
                task=str(one.task),
                model=one.model,
                version=one.version,
                revision=one.revision,
                labels=CONTRACTS[one.task].answers is AnswerKind.LABELS,
            )
            for one in tasks.values()
        ]
        return self._serving
