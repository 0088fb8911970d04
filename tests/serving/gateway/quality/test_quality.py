"""The route of quality and its metrics: computed once at a time, kept while the store is away, few series."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from serving.errors import FeedbackAwayError
from serving.gateway.quality import computing, gauges, routes
from serving.gateway.quality.answers import QualityAnswer
from serving.gateway.quality.routes import add_quality_route
from serving.quality.document import Serving
from serving.quality.references import References
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import Answer, RunningDoor, fake_door
from tests.serving.quality.said import CATEGORY, SUMMARY, Read, came, rated

TODAY = int(time.time() // 86_400)


class Keeper:
    """Says what a made-up store says, or that it is away."""

    def __init__(self, read: Read | None = None, *, why_not: str = "") -> None:
        self.keeps, self.why_not, self.batch, self.trust = not why_not, why_not, 100, 0.75
        self.read = read or Read()
        self.away = False
        self.asked = 0

    async def ask(self, work: Callable[[Any], Any], within_s: float | None = None) -> Any:
        self.asked += 1
        if self.away:
            raise FeedbackAwayError("the store did not answer in time")
        return await asyncio.to_thread(work, self.read)


@pytest.fixture
def open_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Keeper], Any]:
    """A door with the route of quality, over a keeper of the test's."""

    @contextmanager
    def opened(keeper: Keeper) -> Iterator[RunningDoor]:
        def add(app: Any, parts: Any, _: Any) -> None:
            add_quality_route(app, parts, keeper)

        monkeypatch.setattr(routes, "add_quality_route", add)
        with fake_door(tmp_path, make_fake()) as door:
            yield door
        assert [record.getMessage() for record in door.records] == []

    return opened


def metrics(door: RunningDoor) -> str:
    return generate_latest(door.parts.metrics.registry).decode()


def test_the_document_is_what_its_schema_says(open_door: Any) -> None:
    keeper = Keeper(Read(came=[came(5, revision="old", day=TODAY - 3)]))
    with open_door(keeper) as door:
        answer = door.ask("GET", "/v1/quality")
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        found = answer.json
        assert found["days"] == 30
        assert {one["task"] for one in found["models"] if one["serving"]} == {"summary", "category", "veracity"}
        QualityAnswer.model_validate(found, strict=True)
        assert "stale_s" not in found
        assert door.ask("GET", "/v1/quality?days=2").json["days"] == 2
        assert [one for one in door.ask("GET", "/v1/quality?days=2").json["models"] if not one["serving"]] == []


@pytest.mark.parametrize(
    "query", ["days=0", "days=3651", "days=", "days=1e2", "days=-1", "days=%D9%A3", "day=3", "days=3&days=3"]
)
def test_days_are_a_number_within_its_range(open_door: Any, query: str) -> None:
    with open_door(Keeper()) as door:
        answer = door.ask("GET", f"/v1/quality?{query}")
        assert (answer.status, answer.json["type"]) == (400, "/v1/problems/invalid")
        assert "days" in answer.json["detail"]


def test_a_server_that_keeps_nothing_says_why(open_door: Any) -> None:
    with open_door(Keeper(why_not="it has no place for it")) as door:
        answer = door.ask("GET", "/v1/quality")
        assert (answer.status, answer.json["detail"]) == (404, "this server keeps no feedback: it has no place for it")
        assert "infolens_quality" not in metrics(door)


def test_while_the_store_is_away_the_last_document_is_given(open_door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "FRESH_S", 0)
    keeper = Keeper()
    with open_door(keeper) as door:
        last = door.ask("GET", "/v1/quality").json
        keeper.away = True
        again = door.ask("GET", "/v1/quality")
        assert again.status == 200
        assert again.json == {**last, "stale_s": again.json["stale_s"]}
        never = door.ask("GET", "/v1/quality?days=7")
        assert (never.status, never.json["type"], never.headers["Retry-After"]) == (503, "/v1/problems/away", "5")
        keeper.away = False
        assert "stale_s" not in door.ask("GET", "/v1/quality").json


def test_many_who_ask_at_once_are_answered_by_one_computation(open_door: Any) -> None:
    keeper = Keeper()
    with open_door(keeper) as door, ThreadPoolExecutor(8) as callers:
        answers: list[Answer] = list(callers.map(lambda _: door.ask("GET", "/v1/quality?days=9"), range(24)))
        assert {one.status for one in answers} == {200}
        assert len({one.body for one in answers}) == 1
        assert keeper.asked <= 2, "the metrics ask once too"


def test_a_caller_who_leaves_takes_nothing_from_the_others(tmp_path: Path) -> None:
    """And no two spans of days are computed at the same time."""

    async def run() -> None:
        under_way, most, begun, gate = 0, 0, asyncio.Event(), asyncio.Event()

        class Slow(Keeper):
            async def ask(self, work: Callable[[Any], Any], within_s: float | None = None) -> Any:
                nonlocal under_way, most
                under_way += 1
                most = max(most, under_way)
                begun.set()
                await gate.wait()
                under_way -= 1
                return work(self.read)

        class Served:
            async def tasks(self) -> dict[str, Any]:
                return {}

        quality = computing.Quality(Slow(), Served(), References(tmp_path))  # type: ignore[arg-type]
        first, second, other = (asyncio.create_task(quality.body(days)) for days in (30, 30, 7))
        await begun.wait()
        first.cancel()
        gate.set()
        assert json.loads(await second)["days"] == 30
        assert json.loads(await other)["days"] == 7
        assert most == 1
        await quality.close()

    asyncio.run(run())


def test_the_metrics_are_of_what_serves_and_of_the_one_before(open_door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "FRESH_S", 0)
    monkeypatch.setattr(gauges, "FIRST_S", 0)
    monkeypatch.setattr(gauges, "EVERY_S", 0.05)
    read = Read()
    with open_door(Keeper(read)) as door:
        (now,) = (one for one in door.ask("GET", "/v1/quality").json["models"] if one["task"] == "category")
        serving = Serving(task="category", model=now["model"], version="1", revision=now["revision"], labels=True)
        read.ratings = [
            rated(serving, right=True, count=8, day=TODAY),
            rated(serving, right=False, count=2, day=TODAY),
            rated(serving, right=True, audit=True, count=4, day=TODAY),
            *(rated(CATEGORY, right=True, day=TODAY - ago, revision=f"old{ago}") for ago in range(1, 6)),
            rated(SUMMARY, stars=4, count=3, day=TODAY),
        ]
        read.came = [came(50, serving, day=TODAY)]
        of = f'model="{now["model"]}",revision="{now["revision"]}",serving="1"'
        end = time.monotonic() + 30
        while f'infolens_quality_ratings{{{of},source="audit",task="category"}} 4.0' not in (shown := metrics(door)):
            assert time.monotonic() < end, shown
        assert f'infolens_quality_predictions{{{of},task="category"}} 50.0' in shown
        assert f'infolens_quality_accuracy{{bound="value",{of},source="volunteered",task="category"}} 0.8' in shown
        assert 'serving="0",task="category"' in shown
        assert 'revision="old1"' in shown
        assert 'revision="old2"' not in shown, "there may have been hundreds"
        assert 'infolens_quality_satisfaction_stars{bound="value"' in shown
        assert "infolens_quality_trust_bar 0.75" in shown
        assert "infolens_quality_age_seconds" in shown
