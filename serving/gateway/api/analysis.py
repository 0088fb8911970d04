"""Answers a question: through the waiting room to Triton, and back as the document of a report."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError

from infolens import Article, Report, UnexpectedResponseError
from infolens.contract import EVIDENCE_MODEL, FAILED, Task
from infolens.wire import for_older, pack, unpack
from serving.gateway.access.caller import ANONYMOUS, Caller
from serving.gateway.catalogue import CatalogueModel
from serving.gateway.kserve.messages import to_arrays, to_message
from serving.gateway.parts import Parts
from serving.gateway.recording.audits import without
from serving.gateway.recording.making import Said
from serving.gateway.refusals import Refusal, RefusedError, expired, invalid
from serving.gateway.served import Served, ServedTask
from serving.gateway.upstream import is_busy

from .faults import MAX_DEADLINE_MS
from .requests import Link, Question

MAX_ANSWER_S: Final = MAX_DEADLINE_MS / 1e3
"""How long an answer may take whose caller names no time."""
PATIENCE_S: Final = 30.0
"""How long a question that may wait waits for models that are away; they are mostly back within 5 s."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A question as Triton is asked it."""

    question: Question
    served: Mapping[Task, ServedTask]
    model: CatalogueModel
    message: bytes
    branches: tuple[str, ...]


@dataclass(kw_only=True)
class _Clock:
    """When a question came, until when it is of use, and where the time went."""

    came_s: float
    until_s: float
    models_s: float = 0.0
    fetching_s: float | None = None
    """In a link, until its text was there; None where there was none."""

    @property
    def left_s(self) -> float:
        return self.until_s - time.monotonic()

    def timings(self) -> dict[str, float]:
        total_s = time.monotonic() - self.came_s
        waiting_s = total_s - self.models_s - (self.fetching_s or 0.0)
        seconds = {"waiting_ms": waiting_s, "models_ms": self.models_s, "total_ms": total_s}
        if self.fetching_s is not None:
            seconds["fetching_ms"] = self.fetching_s
        return {name: round(1e3 * max(0.0, value), 3) for name, value in seconds.items()}


class Analysis:
    """Answers questions.

    Args:
        parts: What the doors share.
        served: The models of the tasks.
    """

    def __init__(self, parts: Parts, served: Served) -> None:
        self._parts = parts
        self._served = served

    @property
    def stopping(self) -> asyncio.Event:
        """Set once the server stops."""
        return self._parts.room.closing

    async def answer(
        self,
        question: Question,
        request_id: str,
        *,
        caller: Caller = ANONYMOUS,
        route: str = "analyze",
        patient: bool = False,
        came_s: float | None = None,
    ) -> dict[str, Any]:
        """The document that answers a question.

        Args:
            question: What is asked.
            request_id: Under which the log has it.
            caller: Who asks; not everybody may give a link.
            route: By which it was asked, as the metrics name it.
            patient: Whether it waits while the server is busy, or its models are away, where it would be refused.
            came_s: When it came, on the monotonic clock; None for now.

        Raises:
            RefusedError: There is no answer.
        """
        now_s = time.monotonic()
        came_s = now_s if came_s is None else came_s
        until_s = now_s + MAX_ANSWER_S if question.deadline_s is None else came_s + question.deadline_s
        clock = _Clock(came_s=came_s, until_s=until_s)
        read: dict[str, Any] = {}
        if isinstance(question.article, Link):
            article, read = await self._follow(question.article, caller, clock, patient=patient)
            question = dataclasses.replace(question, article=article)
        asked, report = await (self._patiently if patient else self._at_once)(question, request_id, clock)
        timings = clock.timings()
        document = {
            "id": question.id or request_id,
            **read,
            **report.to_dict(),
            "models": {str(task): asked.served[task].named for task in report.answers},
            "timings": timings,
        }
        about = asked.question.article
        said = Said(
            report=report,
            served=asked.served,
            text="" if isinstance(about, Link) else about.text,
            title=about.title,
            key=caller.name,
            route=route,
            timings=timings,
        )
        return await self._noted(document, said, clock, audit=question.audited)

    async def _noted(self, document: dict[str, Any], said: Said, clock: _Clock, *, audit: bool) -> dict[str, Any]:
        """The answer with the id of its prediction, and without what is asked about first."""
        recorder = self._parts.recorder
        if audit and (found := await recorder.audit(said, within_s=clock.left_s)) is not None:
            return {**without(document, found.tasks, said.served), "prediction": found.prediction}
        return {**document, "prediction": recorder.note(said)}

    async def _follow(
        self, link: Link, caller: Caller, clock: _Clock, *, patient: bool
    ) -> tuple[Article, dict[str, Any]]:
        """The article to which a link leads, and what the answer says of it. It holds no place in the room."""
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(clock.left_s):
                found = await self._parts.intake.links.linked(link.url, link.title, caller=caller, patient=patient)
        except TimeoutError:
            raise expired() from None
        finally:
            clock.fetching_s = time.monotonic() - started_s
        return found.article, {"article": found.document}

    async def _asked(self, question: Question, request_id: str) -> _Asked:
        served = await self._served.tasks()
        if missing := [task for task in question.tasks if task not in served]:
            raise invalid(
                f"this server does not answer {', '.join(missing)}: it answers {', '.join(served) or 'nothing now'}"
            )
        evidence = question.evidence
        if isinstance(question.article, Link):
            raise TypeError("a link is followed before its article is asked about")
        request = pack(question.article, question.tasks, question.options, partial=question.partial, evidence=evidence)
        if evidence and EVIDENCE_MODEL not in self._parts.catalogue.models_by_name:
            raise invalid("this server has no model that finds evidence: leave evidence out")
        model = await self._parts.catalogue.find(request.model)
        # A repository whose configurations were written by an earlier version gives fewer outputs.
        request = for_older(request, known=model.outputs.keys())
        outputs = [name for name in request.outputs if name != FAILED.name]
        return _Asked(
            question=question,
            served=served,
            model=model,
            message=to_message(request, request_id),
            branches=self._parts.branches.asked(model, outputs, request.parameters),
        )

    async def _at_once(self, question: Question, request_id: str, clock: _Clock) -> tuple[_Asked, Report]:
        asked = await self._asked(question, request_id)
        return asked, await self._once(asked, clock)

    async def _patiently(self, question: Question, request_id: str, clock: _Clock) -> tuple[_Asked, Report]:
        patient_until_s = time.monotonic() + PATIENCE_S
        asked = None
        while True:
            try:
                # What is asked may have to be looked up at a Triton that is just away.
                asked = asked or await self._asked(question, request_id)
                report = await self._once(asked, clock)
            except RefusedError as error:
                waits = error.kind is Refusal.BUSY
                waits |= error.kind is Refusal.AWAY and time.monotonic() < patient_until_s
                if not waits or self._parts.room.closed:
                    raise
                pause_s = error.retry_after_s or 0.0
            else:
                if not any(is_busy(reason) for reason in report.failed.values()):
                    return asked, report
                pause_s = 0.0
            pause_s = min(max(pause_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
            await asyncio.sleep(min(pause_s, max(0.0, clock.left_s)))

    async def _once(self, asked: _Asked, clock: _Clock) -> Report:
        parts = self._parts
        allowed_s = clock.left_s if asked.question.deadline_s is not None else None
        async with parts.room.enter(asked.branches, allowed_s) as place:
            left_s = clock.left_s
            if left_s <= 0:
                raise expired()
            started_s = time.monotonic()
            try:
                answer = await parts.inferences.infer(
                    asked.message, asked.model.name, asked.branches, left_s, place=place
                )
            finally:
                clock.models_s += time.monotonic() - started_s
        try:
            return unpack(to_arrays(answer), asked.question.tasks)
        except (UnexpectedResponseError, DecodeError, ValueError, KeyError) as error:
            parts.log.error("unexpected answer", model=asked.model.name, error=type(error).__name__)
            words = f"the model '{asked.model.name}' gave an answer that breaks its contract: its export is broken"
            raise RefusedError(Refusal.FAILED, words) from None
