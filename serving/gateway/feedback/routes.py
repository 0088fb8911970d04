"""The routes of feedback: predictions by their ids, ratings of them, and blind audits."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel

from infolens.contract import Task
from serving.errors import FeedbackError, SpoolFullError
from serving.feedback.keeper import Receipt
from serving.feedback.keeping import Outcome
from serving.feedback.records import Answered, Prediction, Rating, Submission, is_id, make_id
from serving.gateway.access.caller import Caller
from serving.gateway.http.body import Bodies
from serving.gateway.http.documents import dump, parse
from serving.gateway.http.notes import CALLER, NOTES
from serving.gateway.http.protocol import encoded_response, leave_expect
from serving.gateway.parts import Parts
from serving.gateway.recording.predictions import withheld_tasks
from serving.gateway.refusals import Refusal, RefusedError
from serving.gateway.served import ServedTask
from serving.keys.records import Role

from .checking import audited_of, ratings_of
from .documents import audit_document, prediction_document
from .operations import NAMES, OPERATIONS
from .requests import KEY_HEADER, AuditRequest, FeedbackRequest, read_request, read_token

_AGAIN_S: Final = 5.0
_FULL_S: Final = 30.0
_PRIVATE: Final[Mapping[str, str]] = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex"}
"""Whoever has the address can read it: no cache keeps it, and no search engine lists it."""
_TAKEN: Final = f"this {KEY_HEADER} was used for something else: send a new one with what is new"
_ANSWERED: Final = "this audit was answered already, and is answered once: rate what you see with POST /v1/feedback"
_T = TypeVar("_T")
_B = TypeVar("_B", bound=BaseModel)


class Feedback:
    """The handlers.

    Args:
        parts: What the doors share.
        bodies: Reads the bodies of all requests.
    """

    def __init__(self, parts: Parts, bodies: Bodies) -> None:
        self._keeper = parts.feedback
        self._recorder = parts.recorder
        self._served = parts.served
        self._wants_keys = parts.doorkeeper.wants_keys
        self._max_depth = parts.options.limits.max_json_depth
        self._bodies = bodies

    async def feedback(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/feedback``."""
        token, asked = await self._asked(request, FeedbackRequest)
        prediction = await self._known(asked.prediction, request[CALLER])
        withheld: Sequence[Answered] = () if prediction is None else withheld_tasks(prediction)
        if withheld and await self._is_answered(asked.prediction):
            withheld = ()
        ratings = ratings_of(asked.ratings, prediction, await self._models(), withheld)
        submission, receipt = await self._submitted(request, asked.prediction, token, asked, ratings)
        self._still_there(prediction, receipt)
        repeated = receipt.written is not None and receipt.written.outcome is Outcome.REPEATED
        document = {
            "id": receipt.written.id if repeated and receipt.written else submission.id,
            "prediction": asked.prediction,
            "kept": receipt.where,
            "repeated": repeated,
        }
        return encoded_response(request, dump(document))

    async def prediction(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/predictions/{id}``."""
        found = await self._found(request.match_info["id"])
        said = await _told(self._keeper.said(found.id))
        open_audit = found.audit and not any(one.audit for one in said)
        document = prediction_document(found, said, days=self._keeper.days, open_audit=open_audit)
        return encoded_response(request, dump(document))

    async def prediction_delete(self, request: web.Request) -> web.StreamResponse:
        """``DELETE /v1/predictions/{id}``."""
        prediction_id, caller = request.match_info["id"], request[CALLER]
        found = await self._looked_up(prediction_id)
        if self._wants_keys and not caller.may(Role.ADMIN) and not _is_own(caller, found):
            raise RefusedError(
                Refusal.FORBIDDEN,
                "a prediction is removed by the key that asked for it, or one with the role 'admin', and this key is "
                "neither: ask whoever has it, or runs the server",
            )
        receipt = await _told(self._keeper.erase(prediction_id))
        self._recorder.forget(prediction_id)
        if receipt.written is not None and receipt.written.outcome is Outcome.UNKNOWN and found is None:
            raise self._none()
        return encoded_response(request, dump({"id": prediction_id, "deleted": True, "kept": receipt.where}))

    async def prediction_audit(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/predictions/{id}/audit``."""
        prediction_id = request.match_info["id"]
        token, asked = await self._asked(request, AuditRequest)
        prediction = await self._known(prediction_id, request[CALLER])
        if prediction is None:  # what was withheld stands in the database
            raise _away()
        withheld = withheld_tasks(prediction)
        if not withheld:
            words = "nothing of this prediction was withheld: rate it with POST /v1/feedback"
            raise RefusedError(Refusal.CONFLICT, words)
        ratings = audited_of(asked.labels, withheld, await self._models())
        _, receipt = await self._submitted(request, prediction_id, token, asked, ratings, audit=True)
        self._still_there(prediction, receipt)
        document = {"prediction": prediction_id, "kept": receipt.where, **audit_document(withheld)}
        return encoded_response(request, dump(document))

    async def _asked(self, request: web.Request, kind: type[_B]) -> tuple[str, _B]:
        """The idempotency key of a request, and what its body says."""
        async with self._bodies.read(request) as body:
            notes = request[NOTES]
            notes.bytes_in, notes.started_s = len(body), asyncio.get_running_loop().time()
            token = read_token(request.headers.getall(KEY_HEADER, []))
            return token, read_request(kind, parse(body, max_depth=self._max_depth))

    async def _submitted(
        self,
        request: web.Request,
        prediction_id: str,
        token: str,
        asked: FeedbackRequest | AuditRequest,
        ratings: tuple[Rating, ...],
        *,
        audit: bool = False,
    ) -> tuple[Submission, Receipt]:
        """What somebody says, and where it is kept.

        Raises:
            RefusedError: It is not kept.
        """
        key = request[CALLER].name
        submission = Submission(
            id=make_id(),
            made_us=time.time_ns() // 1000,
            prediction=prediction_id,
            token=token,
            digest=_digest(prediction_id, asked, audit=audit),
            key=key,
            rater=asked.rater or "",
            ratings=ratings,
            note=asked.note,
            consent=asked.consent,
            audit=audit,
        )
        receipt = await _told(self._keeper.submit(submission))
        if receipt.written is not None:
            outcome = receipt.written.outcome
            if outcome is Outcome.CONFLICT:
                raise RefusedError(Refusal.CONFLICT, _TAKEN)
            if outcome is Outcome.ANSWERED:
                raise RefusedError(Refusal.CONFLICT, _ANSWERED)
        return submission, receipt

    async def _models(self) -> Mapping[Task, ServedTask]:
        """The models that answer now; none while Triton cannot be asked."""
        try:
            return await self._served.tasks()
        except RefusedError:
            return {}

    async def _is_answered(self, prediction_id: str) -> bool:
        """Whether somebody has answered an audit."""
        return any(one.audit for one in await _told(self._keeper.said(prediction_id)))

    async def _known(self, prediction_id: str, caller: Caller) -> Prediction | None:
        """The prediction of which somebody wants to say something; None while nobody can look it up.

        Raises:
            RefusedError: There is none, it is not his to rate, or that cannot be told now.
        """
        found = await self._looked_up(prediction_id)
        if self._wants_keys and not caller.may(Role.FEEDBACK) and not _is_own(caller, found):
            if found is None:
                raise _away()
            raise RefusedError(
                Refusal.FORBIDDEN,
                "an answer is rated by the key that asked for it, or one with the role 'feedback' or 'admin', and this "
                "key is neither: ask whoever runs the server",
            )
        return found

    async def _found(self, prediction_id: str) -> Prediction:
        if (found := await self._looked_up(prediction_id)) is None:
            raise _away()
        return found

    async def _looked_up(self, prediction_id: str) -> Prediction | None:
        """A prediction, if need be from the memory of this door; None while nobody can look it up.

        Raises:
            RefusedError: There is none.
        """
        if not self._keeper.keeps or not is_id(prediction_id):
            raise self._none()
        await self._recorder.settled(prediction_id)
        try:
            found = await self._keeper.find(prediction_id)
        except FeedbackError:
            return self._recorder.recent(prediction_id)
        if found is None:
            self._recorder.forget(prediction_id)
            raise self._none()
        return found

    def _still_there(self, found: Prediction | None, receipt: Receipt) -> None:
        """Somebody may remove a prediction between the look for it and what is said of it, which is not kept then.

        Raises:
            RefusedError: It is gone.
        """
        if found is not None and receipt.written is not None and receipt.written.outcome is Outcome.UNKNOWN:
            self._recorder.forget(found.id)
            raise self._none()

    def _none(self) -> RefusedError:
        if not self._keeper.keeps:
            return RefusedError(Refusal.NOT_FOUND, f"this server keeps no feedback: {self._keeper.why_not}")
        return RefusedError(
            Refusal.NOT_FOUND,
            f"there is no such prediction here: one is kept for {self._keeper.days} days, unless somebody removes it "
            "before; see that its id is whole",
        )


async def _told(asked: Awaitable[_T]) -> _T:
    """What the keeper says; why it says nothing stands in the log, since it is not for callers."""
    try:
        return await asked
    except SpoolFullError:
        words = "the database of the feedback is away, and no more can be kept until it is back: send it again later"
        raise RefusedError(Refusal.AWAY, words, retry_after_s=_FULL_S) from None
    except FeedbackError:
        raise _away() from None


def _away() -> RefusedError:
    words = "the feedback cannot be had now: try again later"
    return RefusedError(Refusal.AWAY, words, retry_after_s=_AGAIN_S)


def _is_own(caller: Caller, prediction: Prediction | None) -> bool:
    return prediction is not None and caller.name == prediction.key and caller.name != ""


def _digest(prediction_id: str, asked: BaseModel, *, audit: bool) -> str:
    """A hash of what is submitted, by which it is known when it comes again."""
    document = {**asked.model_dump(mode="json", exclude_none=True), "prediction": prediction_id, "audit": audit}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


async def _private(request: web.Request, response: web.StreamResponse) -> None:
    if request.match_info.route.name in NAMES:
        response.headers.update(_PRIVATE)


def add_feedback_routes(app: web.Application, parts: Parts, bodies: Bodies) -> None:
    """Add all of them to the door's application."""
    feedback = Feedback(parts, bodies)
    for one in OPERATIONS:
        handler = getattr(feedback, one.name)
        if one.takes is None:
            app.router.add_route(one.method, one.path, handler, name=one.name)
        else:
            app.router.add_post(one.path, handler, name=one.name, expect_handler=leave_expect)
    app.on_response_prepare.append(_private)
