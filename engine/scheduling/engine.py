"""The engine: articles in, summaries out, as many at a time as there are slots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from engine.article import Article, Integers, check
from engine.settings import Bucket, Rules

from .errors import BusyError, ClosedError
from .queue import Queue
from .seats import Make
from .statistics import COUNTED, Counters, Statistics
from .tickets import Answer, Outcome, Ticket
from .worker import Worker


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an engine consists of."""

    buckets: tuple[Bucket, ...]
    """Sizes of the buffers, those with fewer beams first; each worker has an executor for each."""
    rules: Rules
    vocabulary: int
    """Words that the model knows."""
    make: Make
    """Makes an executor, on the thread that will use it."""
    workers: int
    """Threads."""
    max_waiting: int
    """Articles that wait at most while no slot is free for them."""
    joins_per_step: int = 1
    """Articles that join at most between two steps: those that run wait while they are read."""
    gather_rounds: int = 1
    """Steps after which articles join that have come meanwhile, where others run and fewer than may join at once have
    come: executors that read articles together take less time for each."""
    eager: bool = False
    """Whether all executors are made before the first article comes."""

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("max_waiting", 0), ("joins_per_step", 1), ("gather_rounds", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {least} or more, not {getattr(self, name)}")
        beams = [bucket.beams for bucket in self.buckets]
        if not beams or beams != sorted(set(beams)):
            raise ValueError(f"the buckets have 1 or more numbers of beams, each once and growing, not {beams}")


class Engine:
    """Summarizes articles, many at a time. Every method may be called from every thread."""

    def __init__(self, plan: Plan, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the workers.

        Raises:
            UnavailableError: An executor that is made at once cannot be.
        """
        self._plan = plan
        self._lock, self._outside = threading.Lock(), Counters()
        slots = [bucket.slots for bucket in plan.buckets]
        self._queue = Queue(slots, plan.workers, plan.max_waiting)
        self._workers = [
            Worker(
                number,
                self._queue,
                plan.buckets,
                plan.make,
                plan.rules,
                joins_per_step=plan.joins_per_step,
                gather_rounds=plan.gather_rounds,
                eager=plan.eager,
                clock=clock,
            )
            for number in range(plan.workers)
        ]
        try:
            for worker in self._workers:
                worker.ready.result()
        except BaseException:
            self.close()
            raise

    def submit(
        self,
        article: Article,
        answer: Answer,
        deadline_s: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Have an article summarized.

        Args:
            article: With its settings.
            answer: Called once, on a thread of the engine: with the summary, INT64 (n,), start and end included and
                no padding behind; or with an exception: ``ExpiredError``, ``CancelledError``, ``ClosedError``, or
                what the executor raised. It should return soon, since the thread's other articles wait.
            deadline_s: When the summary is of no use any more, in seconds of ``time.monotonic``.
            is_cancelled: Asked now and then, on a thread of the engine; True gives up the summary.

        Raises:
            ValueError: The article fits no bucket, or its settings are out of their range; the message has the rule.
            BusyError: As many articles wait as may.
            ClosedError: The engine is closed.
        """
        try:
            ticket = Ticket(
                article=article,
                answer=answer,
                bucket=self._bucket_of(article),
                deadline_s=deadline_s,
                is_cancelled=is_cancelled,
            )
            self._queue.put(ticket)
        except (ValueError, BusyError, ClosedError):
            with self._lock:
                self._outside.refused += 1
            raise

    def summarize(self, article: Article) -> Integers:
        """The summary of an article, INT64 (n,), start and end included.

        It waits, so that an ``answer`` must not ask for it: its thread would wait for itself.

        Raises:
            ValueError: See `submit`.
            BusyError: Likewise.
            ClosedError: Likewise, or the engine is closed before the summary is done.
        """
        future: Future[Integers] = Future()

        def answer(outcome: Outcome) -> None:
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.submit(article, answer)
        return future.result()

    def statistics(self) -> Statistics:
        """What the engine has done and does."""
        counters = [self._outside, *(worker.counters for worker in self._workers)]
        counted = {name: sum(getattr(counter, name) for counter in counters) for name in COUNTED}
        return Statistics(busy=self._queue.busy, waiting=self._queue.waiting, **counted)

    def close(self) -> None:
        """Answer all articles with ``ClosedError``, wait until that is done, and free the buffers.

        An ``answer`` that calls it does not wait: its thread is among those that would be waited for.
        """
        self._queue.close()
        if not any(worker.is_current for worker in self._workers):
            for worker in self._workers:
                worker.join()

    def _bucket_of(self, article: Article) -> int:
        """The first bucket with enough beams, by its place.

        Raises:
            ValueError: The article does not fit.
        """
        buckets, beams = self._plan.buckets, article.settings.num_beams
        index = next((i for i, bucket in enumerate(buckets) if bucket.beams >= beams), len(buckets) - 1)
        check(article, buckets[index], self._plan.rules, self._plan.vocabulary)
        return index
