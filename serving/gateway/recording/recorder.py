"""Notes answers for the keeper of feedback, and costs them nothing: what takes time is done in a thread, later.

>>> async with Recorder(keeper, served, log).running() as recorder:
...     prediction_id = recorder.note(Said(report=report, served=tasks, text=text, ...))
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Self

from infolens import Labelled
from infolens.contract import Task
from serving.errors import FeedbackError
from serving.feedback.keeper import Keeper
from serving.feedback.records import Prediction, make_id
from serving.gateway.catalogue import CatalogueModel
from serving.gateway.checking import InferRequestView
from serving.gateway.refusals import RefusedError
from serving.gateway.served import Served

from .audits import Audited, is_drawn
from .inferred import tasks_asked
from .making import Job, Made, Said, make_all, of_inferred, of_said
from .predictions import sha256_of

HEADER: Final = "Infolens-Prediction"
"""Where an answer over HTTP says its prediction's id; over gRPC in the trailing metadata."""
LINGER_S: Final = 0.02
"""How long answers gather before a thread makes predictions of them: it is woken once for many."""
MAX_HELD_BYTES: Final = 32 * 2**20
"""Answers and their articles that wait for that have no more bytes; one beyond is not noted, and has no id."""
MAX_RECENT: Final = 2048
"""Predictions that are remembered here, without texts: they can be rated while the database is away."""
AUDIT_PATIENCE_S: Final = 1.0
"""How long an answer waits until its audit is kept; then it is an ordinary answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """An answer whose labels are withheld."""

    prediction: str = field(repr=False)
    """The id of the prediction."""
    tasks: tuple[Task, ...]


class Recorder:
    """Notes answers. It belongs to the event loop in which it is used.

    Args:
        keeper: Keeps predictions.
        served: What answers each task.
        log: The door's log.
        linger_s: As `LINGER_S`.
    """

    def __init__(self, keeper: Keeper, served: Served, log: Any, *, linger_s: float = LINGER_S) -> None:
        self._keeper = keeper
        self._served = served
        self._log = log
        self._linger_s = linger_s
        self._jobs: dict[str, Job] = {}
        self._held_bytes = 0
        self._working: asyncio.Task[None] | None = None
        self._hurry, self._made = asyncio.Event(), asyncio.Event()
        self._recent: OrderedDict[str, Prediction] = OrderedDict()
        self._audited = Audited()
        self._failed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """At the end of the block what was said is handed to the keeper."""
        try:
            yield self
        finally:
            if self._working is not None:
                self._hurry.set()
                await self._working

    def note(self, said: Said) -> str | None:
        """Have an answer kept; returns the id of the prediction, None where nothing is kept."""
        if not self._keeper.keeps:
            return None
        prediction_id = make_id()
        work = partial(of_said, said, prediction_id, _now_us())
        # The answer is the article's words too; a character is one byte of most.
        return self._later(prediction_id, Job(make=work, size_bytes=2 * len(said.text)))

    def inferred(
        self, model: CatalogueModel, view: InferRequestView, request: bytes, answer: bytes, *, key: str, route: str
    ) -> str | None:
        """Have an answer of Triton kept that is passed on as it is.

        Args:
            model: The model that was asked.
            view: The request, which passed all checks.
            request: The ``ModelInferRequest``, serialised.
            answer: The ``ModelInferResponse``, serialised, without what the door adds to it.
            key: The name of the caller's key; empty where none was needed.
            route: By which it was asked.

        Returns:
            The id of the prediction; None where nothing is kept, or the answer is not that for one article.
        """
        if not self._keeper.keeps or not (tasks := tasks_asked(model, view)):
            return None
        prediction_id = make_id()
        work = partial(of_inferred, request, answer, tasks, prediction_id, _now_us(), key=key, route=route)
        return self._later(prediction_id, Job(make=work, size_bytes=len(request) + len(answer)))

    async def audit(self, said: Said, *, within_s: float) -> Audit | None:
        """Have an answer kept whose labels are withheld, if its article was drawn for that.

        Args:
            said: The answer.
            within_s: How long that may take.

        Returns:
            What is withheld: it is kept now. None for an ordinary answer.
        """
        keeper = self._keeper
        labelled = [task for task, one in said.report.answers.items() if isinstance(one, Labelled)]
        if not (keeper.keeps and keeper.salt and keeper.audit_share > 0) or keeper.standing().away:
            return None
        digest = await asyncio.to_thread(sha256_of, said.text) if len(said.text) > 2**16 else sha256_of(said.text)
        tasks = tuple(task for task in labelled if is_drawn(keeper.salt, str(task), digest, keeper.audit_share))
        if not tasks or not self._audited.add(digest):
            return None
        made = of_said(said, make_id(), _now_us(), withheld=tasks)
        try:
            await keeper.keep(made.prediction, made.text, made.title, within_s=min(within_s, AUDIT_PATIENCE_S))
        except FeedbackError:  # its keeper has told the log
            self._audited.discard(digest)
            return None
        except BaseException:  # the caller has left
            self._audited.discard(digest)
            raise
        self._remember(made.prediction)
        return Audit(prediction=made.prediction.id, tasks=tasks)

    async def settled(self, prediction_id: str) -> None:
        """Wait until the keeper has what was said under an id."""
        while prediction_id in self._jobs:
            self._hurry.set()
            await self._made.wait()

    def recent(self, prediction_id: str) -> Prediction | None:
        """A prediction that was made here a while ago, as far as it is remembered; without its article."""
        return self._recent.get(prediction_id)

    def forget(self, prediction_id: str) -> None:
        """Remember a prediction no more."""
        self._recent.pop(prediction_id, None)

    def _later(self, prediction_id: str, job: Job) -> str | None:
        if self._held_bytes + job.size_bytes > MAX_HELD_BYTES:
            return None
        self._jobs[prediction_id] = job
        self._held_bytes += job.size_bytes
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return prediction_id

    async def _work(self) -> None:
        try:
            while self._jobs:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._linger_s):
                        await self._hurry.wait()
                self._hurry.clear()
                await self._work_on(dict(self._jobs))
        finally:
            self._working = None

    async def _work_on(self, jobs: Mapping[str, Job]) -> None:
        made: Sequence[Made] = ()
        try:
            served = await self._served.tasks()
            made, error = await asyncio.to_thread(make_all, tuple(jobs.values()), served)
            if error is not None:
                self._tell(error)
        except RefusedError as error:  # nobody knows now which models these were
            self._tell(error)
        finally:
            for one in made:
                self._keeper.note(one.prediction, one.text, one.title)
                self._remember(one.prediction)
            for prediction_id, job in jobs.items():
                del self._jobs[prediction_id]
                self._held_bytes -= job.size_bytes
            waited, self._made = self._made, asyncio.Event()
            waited.set()

    def _remember(self, prediction: Prediction) -> None:
        self._recent[prediction.id] = prediction
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)

    def _tell(self, error: Exception) -> None:
        """Tell the first answer that could not be noted, by its type alone: the words may quote it."""
        if not self._failed:
            self._log.warning("answer not noted", error=type(error).__name__)
        self._failed = True


def _now_us() -> int:
    return time.time_ns() // 1000
