"""Whether the server answers: the supervisor's verdict, and a tiny real question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from infolens import Article
from infolens.wire import default_tasks, pack
from serving.gateway.kserve.messages import to_message
from serving.gateway.parts import Parts
from serving.gateway.refusals import Refusal, RefusedError

MAX_AGE_S: Final = 2.0
"""An answer to the question counts so long."""
_TIMEOUT_S: Final = 5.0
_TEXT: Final = "Is anybody there?"
_BUSY: Final = frozenset({Refusal.BUSY, Refusal.LATE, Refusal.CANCELLED})
"""None of these says that a model is away: busy is never dead."""


class Readiness:
    """Asks, at most every `MAX_AGE_S`, however often it is asked itself.

    Args:
        parts: What the doors share.
        now: The clock, in seconds.
    """

    def __init__(self, parts: Parts, *, now: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._now = now
        self._asked_s: float | None = None
        self._reason = ""
        self._asking: asyncio.Task[None] | None = None

    async def read(self) -> dict[str, Any]:
        """Whether the server is ready, why not, and the same of each public model."""
        verdict = self._parts.verdicts.read()
        reason = verdict.reason
        if verdict.ready:
            await self._ask()
            reason = self._reason
        public = self._parts.catalogue.models
        models = {
            name: one for name in verdict.models if (one := verdict.model(name)) and (name in public or not public)
        }
        return {
            "ready": verdict.ready and not reason,
            "reason": reason,
            "models": {name: {"ready": one.ready, "reason": one.reason} for name, one in sorted(models.items())},
        }

    async def _ask(self) -> None:
        if self._asked_s is not None and self._now() - self._asked_s < MAX_AGE_S:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._question())
        await asyncio.shield(self._asking)

    async def _question(self) -> None:
        request = pack(Article(text=_TEXT), default_tasks())
        reason = ""
        try:
            await self._parts.upstream.infer(to_message(request, "readiness"), _TIMEOUT_S)
        except RefusedError as error:
            if error.kind not in _BUSY:
                reason = f"{request.model} did not answer a small request: {error.words[:200]}"
        self._reason, self._asked_s = reason, self._now()
