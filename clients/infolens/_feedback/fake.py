"""The feedback of a server that is none, for `infolens.testing.FakeTransport`."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from typing import Any, Final

from infolens._json import no_http
from infolens._transports import JSONAnswer, JSONRequest
from infolens.errors import RequestRejectedError
from infolens.problems import TYPE_PREFIX, to_problem

from .asking import FEEDBACK_PATH, KEY_HEADER, PREDICTIONS_PATH, QUALITY_PATH

_NO_QUALITY: Final[Mapping[str, Any]] = {
    "made": "2026-01-01T00:00:00+00:00",
    "days": 30,
    "batch": 100,
    "trust_bar": 0.75,
    "bias": "People rate what they have an opinion of.",
    "models": [],
}


class FakeFeedback:
    """Keeps what is rated in memory; may be used from several threads.

    Args:
        quality: The document of ``GET /v1/quality``; None for one without models.
    """

    def __init__(self, quality: Mapping[str, Any] | None) -> None:
        self._quality = quality or _NO_QUALITY
        self._lock = threading.Lock()
        self._by_token: dict[str, dict[str, Any]] = {}
        self._gone: set[str] = set()

    @property
    def ratings(self) -> list[dict[str, Any]]:
        """What was said so far, as the server gets it, each once; what is forgotten is not there."""
        with self._lock:
            return [dict(one) for one in self._by_token.values() if one["prediction"] not in self._gone]

    def answer(self, request: JSONRequest, known: Collection[str]) -> JSONAnswer:
        """Answer a request as a server would.

        Args:
            request: The request.
            known: The predictions that there are.

        Raises:
            InvalidSettingError: It is about something else.
        """
        path = request.path.partition("?")[0]
        if path == QUALITY_PATH:
            return _json(200, self._quality)
        if path != FEEDBACK_PATH and not path.startswith(PREDICTIONS_PATH):
            raise no_http("what a FakeTransport does not know is answered")
        document = json.loads(request.body or b"{}")
        name = document["prediction"] if path == FEEDBACK_PATH else path.removeprefix(PREDICTIONS_PATH)
        with self._lock:
            if name not in known or name in self._gone:
                return _missing()
            if path == FEEDBACK_PATH:
                return self._rated(request.headers[KEY_HEADER], document)
            if request.method == "DELETE":
                self._gone.add(name)
                return _json(200, {"id": name, "deleted": True, "kept": "database"})
            said = [one for one in self._by_token.values() if one["prediction"] == name]
        return _json(200, {**_EMPTY, "id": name, "feedback": said})

    def _rated(self, token: str, document: dict[str, Any]) -> JSONAnswer:
        earlier = self._by_token.setdefault(token, document)
        if earlier != document:
            problem = to_problem(RequestRejectedError("this idempotency key is that of another rating"))
            return _json(409, {**problem, "status": 409})
        repeated = earlier is not document
        return _json(200, {"id": token, "prediction": document["prediction"], "kept": "database", "repeated": repeated})


_EMPTY: Final[Mapping[str, Any]] = {
    "made": _NO_QUALITY["made"],
    "until": "2026-04-01T00:00:00+00:00",
    "article": {"text_sha256": "0" * 64, "words": 0, "title": None, "text": None},
    "answers": {},
    "timings": {},
    "audit": False,
}


def _missing() -> JSONAnswer:
    document = {"type": f"{TYPE_PREFIX}not_found", "status": 404, "detail": "there is no such prediction here"}
    return _json(404, document)


def _json(status: int, document: Mapping[str, Any]) -> JSONAnswer:
    return status, json.dumps(document).encode(), {}
