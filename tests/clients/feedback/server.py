"""A small server on loopback that takes feedback as the front door does: real HTTP, ratings in memory."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from infolens import InfoLensError
from infolens.problems import CONTENT_TYPE, to_problem
from tests.clients.v1.server import Script, v1_server

ID = "q3nCk5mGSxuZ0dX2yQe9Tw"
KEPT = {
    "id": ID,
    "made": "2026-11-27T12:00:00+00:00",
    "until": "2027-02-25T12:00:00+00:00",
    "article": {"text_sha256": "ab" * 32, "words": 367, "title": None, "text": None},
    "answers": {
        "category": {
            "label": "Sports",
            "signal": "unsure",
            "probability": 0.5,
            "model": "distilbert",
            "version": "1",
            "revision": "0f3c",
        }
    },
    "timings": {"total": 35.5},
    "audit": False,
    "feedback": [{"id": "r", "rater": "desk-7", "ratings": {"category": {"right": False}}}],
}


def estimate(value: float | None, low: float | None, high: float | None, count: int, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "ratings": count, **more}


QUALITY: dict[str, Any] = {
    "made": "2026-11-27T12:00:00Z",
    "days": 30,
    "batch": 100,
    "trust_bar": 0.75,
    "bias": "People choose what they rate, and rate what they have an opinion of.",
    "models": [
        {
            "task": "summary",
            "model": "bart",
            "revision": "0f3c9a12",
            "serving": True,
            "predictions": 1234,
            "satisfaction": {**estimate(3.86, 3.61, 4.1, 212), "stars": [10, 20, 40, 62, 80]},
            "accuracy": None,
            "shown": {"accuracy": None, "coverage": None},
            "audit": None,
            "trusted": None,
            "trusted_why": "texts have no audits",
            "batches": [
                {"batch": 0, "first_day": "2026-11-01", "last_day": "2026-11-09", **estimate(3.7, 3.5, 3.9, 100)},
                {"batch": 1, "first_day": "2026-11-09", "last_day": "2026-11-20", **estimate(4.0, 3.8, 4.2, 100)},
                {"batch": 2, "first_day": "2026-11-20", "last_day": "2026-11-21", **estimate(4.4, 3.5, 4.8, 19)},
            ],
            "by_day": [
                {"day": "2026-11-27", "predictions": 40, "value": None, "low": None, "high": None, "ratings": 0}
            ],
            "drift": {"words": {"psi": 0.31, "p": 0.001, "state": "moved", "seen": 1234, "buckets": []}},
            "drift_why": "",
            "agreement": {"answers": 30, "raters": 4, "same": 0.8, "alpha": 0.62},
        },
        {
            "task": "category",
            "model": "distilbert",
            "revision": "77aa01ff",
            "serving": False,
            "predictions": 1,
            "satisfaction": None,
            "accuracy": estimate(1.0, 0.6, 1.0, 7),
            "shown": {
                "accuracy": estimate(0.9, 0.8, 0.95, 90),
                "coverage": {"value": 0.9, "low": 0.8, "high": 0.95, "answers": 1200},
            },
            "audit": estimate(0.81, 0.74, 0.87, 140, passed=12),
            "trusted": False,
            "trusted_why": "the lower bound, 74 %, is below 75 %",
            "batches": [],
            "by_day": [],
            "drift": {
                "label": {
                    "psi": None,
                    "p": None,
                    "state": "stable",
                    "seen": 3,
                    "buckets": [{"bucket": "Sports", "expected": 0.1, "seen": 0.2}],
                },
                "words": None,
            },
            "drift_why": "",
            "agreement": None,
        },
    ],
}


@dataclass
class Desk:
    """What a server keeps, and how it behaves."""

    known: set[str] = field(default_factory=lambda: {ID})
    refusals: list[InfoLensError | dict[str, Any]] = field(default_factory=list)
    """How the first requests are refused: errors, or problem documents."""
    breaks: int = 0
    """How many orders are carried out, and then not acknowledged: the connection ends."""
    answers: Callable[[str], dict[str, Any] | None] = lambda _: None
    """What is answered instead, by method and path."""
    kept: str = "database"
    hold: threading.Event | None = None
    """Ratings are kept at once, and acknowledged when it is set."""
    has_kept: threading.Event = field(default_factory=threading.Event)
    """Set when a rating is kept."""

    ratings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By idempotency key."""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and key of each request."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Every request."""
        token = request.headers.get("Idempotency-Key")
        self.asked.append((request.method, request.path_qs, token))
        if self.refusals:
            first = self.refusals.pop(0)
            document = first if isinstance(first, dict) else to_problem(first)
            return web.json_response(document, status=document["status"], content_type=CONTENT_TYPE)
        if (document := self.answers(f"{request.method} {request.path}")) is not None:
            return web.json_response(document)
        if request.path == "/v1/quality":
            return web.json_response(QUALITY)
        if request.path == "/v1/feedback":
            return await self._rated(request, token or "")
        if (name := request.match_info["id"]) not in self.known:
            return _missing()
        if request.method == "DELETE":
            self.known.discard(name)
            if self.breaks:  # a proxy has lost the answer; aiohttp itself sends again where a connection ends
                self.breaks -= 1
                return web.json_response({"error": "bad gateway"}, status=502)
            return web.json_response({"id": name, "deleted": True, "kept": self.kept})
        return web.json_response(KEPT)

    async def _rated(self, request: web.Request, token: str) -> web.StreamResponse:
        document = await request.json()
        if document["prediction"] not in self.known:
            return _missing()
        repeated = token in self.ratings
        if self.ratings.setdefault(token, document) != document:
            problem = {"type": "/v1/problems/conflict", "status": 409, "detail": "this key is that of another rating"}
            return web.json_response(problem, status=409, content_type=CONTENT_TYPE)
        self.has_kept.set()
        if self.hold is not None:
            await asyncio.to_thread(self.hold.wait, 10)
        if self.breaks:
            self.breaks -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(
            {"id": "r-1", "prediction": document["prediction"], "kept": self.kept, "repeated": repeated}
        )

    @contextlib.contextmanager
    def listening(self) -> Iterator[str]:
        """Serve until the block ends."""
        routes = [
            web.post("/v1/feedback", self.answer),
            web.get("/v1/predictions/{id}", self.answer),
            web.delete("/v1/predictions/{id}", self.answer),
            web.get("/v1/quality", self.answer),
        ]
        with v1_server(Script(), routes=routes) as url:
            yield url


def _missing() -> web.Response:
    document = {"type": "/v1/problems/not_found", "status": 404, "detail": "there is no such prediction here"}
    return web.json_response(document, status=404, content_type=CONTENT_TYPE)
