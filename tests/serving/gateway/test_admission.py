"""The waiting room, on a clock that the tests turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.gateway.admission import WaitingRoom
from serving.gateway.configuration import RoomLimits
from serving.gateway.refusals import Refusal, RefusedError
from tests.serving.gateway.scripted import PATIENCE_S, until

WHOLE = ("summarize", "classify", "verify")


@dataclass
class Visitors:
    """Requests that run until the test lets them go; whoever runs is in `running`, in the order of their start."""

    room: WaitingRoom
    now_s: float = 0.0
    running: list[str] = field(default_factory=list)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    ends: dict[str, asyncio.Event] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    async def come(self, name: str, branches: tuple[str, ...] = WHOLE, deadline_s: float | None = None) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name, branches, deadline_s))
        await settle()

    async def _visit(self, name: str, branches: tuple[str, ...], deadline_s: float | None) -> None:
        async with self.room.enter(branches, deadline_s):
            self.running.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.running.remove(name)

    async def go(self, name: str, after_s: float = 0.0) -> None:
        """One has its answer; the clock turns before."""
        self.now_s += after_s
        self.ends[name].set()
        await asyncio.wait_for(self.tasks[name], PATIENCE_S)
        await settle()

    async def refusal(self, name: str) -> RefusedError:
        with pytest.raises(RefusedError) as caught:
            await asyncio.wait_for(self.tasks[name], PATIENCE_S)
        return caught.value

    async def learn(self, took_s: float, branches: tuple[str, ...] = WHOLE) -> None:
        """Let the room see one request that took so long."""
        await self.come("first", branches)
        await self.go("first", took_s)


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def visitors() -> AsyncIterator[Callable[..., Visitors]]:
    made: list[Visitors] = []

    def make(**limits: Any) -> Visitors:
        one = Visitors(room=None)  # type: ignore[arg-type]
        one.room = WaitingRoom(
            RoomLimits(**limits),
            now=lambda: one.now_s,
            on_refusal=one.reasons.append,
        )
        made.append(one)
        return one

    yield make
    for one in made:
        for task in one.tasks.values():
            task.cancel()
        await asyncio.gather(*one.tasks.values(), return_exceptions=True)
        assert (one.room.running, one.room.waiting) == (0, 0)


async def test_requests_wait_for_a_place_in_the_order_in_which_they_came(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1)
    for name in ("a", "b", "c"):
        await guests.come(name)
    assert (guests.running, guests.room.running, guests.room.waiting) == (["a"], 1, 2)
    await guests.go("a")
    assert guests.running == ["b"]
    await guests.go("b")
    assert guests.running == ["c"]


async def test_requests_for_a_single_task_leave_the_other_branches_free(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=2)
    await guests.come("whole 1")
    await guests.come("whole 2")
    await guests.come("classify", ("classify",))
    assert guests.running == ["whole 1", "whole 2"]
    await guests.go("whole 1")
    assert guests.running == ["whole 2", "classify"]
    await guests.come("summarize", ("summarize",))
    assert guests.running == ["whole 2", "classify", "summarize"]


async def test_nobody_overtakes_at_a_branch_and_nobody_waits_for_another_s(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1)
    await guests.come("summary", ("summarize",))
    await guests.come("another summary", ("summarize",))
    await guests.come("whole")  # waits for the summarizer, and so keeps its turn at the others
    await guests.come("category", ("classify",))
    await guests.come("own model", ("bart",))
    assert guests.running == ["summary", "own model"]
    await guests.go("summary")
    assert guests.running == ["own model", "another summary"]
    await guests.go("another summary")
    assert guests.running == ["own model", "whole"]
    await guests.go("whole")
    assert guests.running == ["own model", "category"]


async def test_who_leaves_gives_the_turn_to_those_behind(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1)
    await guests.come("summary", ("summarize",))
    await guests.come("whole")
    await guests.come("category", ("classify",))
    guests.tasks["whole"].cancel()
    await settle()
    assert guests.running == ["summary", "category"]


async def test_a_wait_that_would_be_too_long_is_refused_at_once(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1, max_wait_s=0.5)
    await guests.learn(0.3)
    await guests.come("runs")
    await guests.come("waits 0.3 s")
    await guests.come("would wait 0.6 s")
    error = await guests.refusal("would wait 0.6 s")
    assert error.kind is Refusal.BUSY
    assert "the server is busy: 2 requests are ahead, a wait of about 600 ms where at most 500 ms" in error.words
    assert error.retry_after_s == pytest.approx(0.6)
    assert guests.reasons == ["wait_too_long"]
    await guests.come("other branch", ("bart",))
    assert guests.running == ["runs", "other branch"]


async def test_a_slow_model_has_a_queue_as_long_as_what_may_run(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1, max_wait_s=0.5)
    await guests.learn(60)
    await guests.come("runs a minute")
    await guests.come("waits a minute")
    assert guests.room.waiting == 1
    await guests.come("would wait two")
    assert "a wait of about 120000 ms" in (await guests.refusal("would wait two")).words


async def test_what_cannot_be_answered_in_its_time_is_refused_at_once(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=4, max_wait_s=100)
    await guests.learn(10)
    await guests.come("an idle server takes anything", deadline_s=9)
    await guests.come("has not enough time", deadline_s=15)
    await guests.come("has", deadline_s=25)
    error = await guests.refusal("has not enough time")
    assert error.kind is Refusal.BUSY
    assert "an answer would take about 20000 ms and the time-out is 15000 ms" in error.words
    assert guests.running == ["an idle server takes anything", "has"]


async def test_no_busy_server_is_blamed_for_a_time_out_that_is_too_short_for_any(
    visitors: Callable[..., Visitors],
) -> None:
    guests = visitors(max_running=4, max_wait_s=100)
    await guests.learn(10)
    await guests.come("runs")
    await guests.come("a microsecond", deadline_s=1e-6)
    error = await guests.refusal("a microsecond")
    assert error.kind is Refusal.LATE
    assert "allow more time" in error.words


async def test_the_pace_is_learned_from_how_many_run_side_by_side(visitors: Callable[..., Visitors]) -> None:
    """Four that take 1.2 s together are one answer every 0.3 s."""
    guests = visitors(max_running=4, max_waiting=1)
    for number in range(4):
        await guests.come(f"early {number}")
    guests.now_s += 1.2
    await guests.go("early 0")
    await guests.come("in its place")
    await guests.come("waits")
    await guests.come("too many")
    assert "1 requests wait, and no more than 1 may" in (await guests.refusal("too many")).words
    assert guests.reasons == ["room_full"]


async def test_a_branch_of_few_places_refuses_what_finds_none_and_lets_all_others_pass(
    visitors: Callable[..., Visitors],
) -> None:
    guests = visitors(max_running=4, places={"evidence": 1})
    await guests.come("evidence", ("summarize", "classify", "evidence"))
    await guests.come("more evidence", ("summarize", "classify", "evidence"))
    error = await guests.refusal("more evidence")
    assert error.kind is Refusal.BUSY
    assert error.retry_after_s == 1.0
    assert "1 requests for evidence are ahead, and no more than 1 may be; try again later, or leave" in error.words
    for number in range(3):
        await guests.come(f"plain {number}")
    assert guests.running == ["evidence", "plain 0", "plain 1", "plain 2"]
    assert guests.reasons == ["branch_full"]
    await guests.come("waits")
    await guests.go("evidence", after_s=600)
    await guests.come("is not refused by that pace", deadline_s=9)
    await guests.come("evidence that waits", ("classify", "evidence"))
    await guests.come("evidence behind it", ("classify", "evidence"))
    assert "1 requests for evidence are ahead" in (await guests.refusal("evidence behind it")).words
    assert guests.room.waiting == 2
    assert guests.running == ["plain 0", "plain 1", "plain 2", "waits"]


async def test_who_has_left_or_whose_time_is_up_never_runs(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1, max_wait_s=100)
    await guests.come("runs")
    await guests.come("leaves")
    await guests.come("expires", deadline_s=1)
    await guests.come("stays")
    guests.tasks["leaves"].cancel()
    await settle()
    assert guests.room.waiting == 2
    await guests.go("runs", after_s=2)
    assert guests.running == ["stays"]
    error = await guests.refusal("expires")
    assert error.kind is Refusal.LATE
    assert "Request timeout expired" in error.words


async def test_the_loop_s_own_clock_ends_a_wait_too(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1, max_wait_s=100)
    await guests.come("runs")
    await guests.come("expires", deadline_s=0.01)
    assert (await guests.refusal("expires")).kind is Refusal.LATE
    assert guests.room.waiting == 0


async def test_a_place_is_not_lost_when_its_owner_leaves_in_the_same_moment(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1)
    for name in ("runs", "unlucky", "next"):
        await guests.come(name)
    guests.ends["runs"].set()
    await until(lambda: guests.room.waiting < 2)  # its turn has come, and it has not yet heard of that
    guests.tasks["unlucky"].cancel()
    await settle()
    assert guests.running == ["next"]


async def test_one_that_left_does_not_get_a_place(visitors: Callable[..., Visitors]) -> None:
    """Cancelled, but not yet told so, when a place becomes free."""
    guests = visitors(max_running=1)
    for name in ("runs", "leaves", "next"):
        await guests.come(name)
    guests.ends["runs"].set()
    guests.tasks["leaves"].cancel()
    await settle()
    assert guests.running == ["next"]


async def test_a_failure_teaches_nothing(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1, max_wait_s=0.5)
    await guests.come("fails")
    guests.now_s += 60
    guests.tasks["fails"].cancel()
    await settle()
    for name in ("runs", "waits", "waits too"):
        await guests.come(name)
    assert guests.room.waiting == 2


async def test_a_room_that_closes_refuses_all_but_those_that_run(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1)
    await guests.come("runs")
    await guests.come("waits")
    guests.room.close()
    await guests.come("comes late")
    for name in ("waits", "comes late"):
        error = await guests.refusal(name)
        assert error.kind is Refusal.AWAY
        assert "the server stops" in error.words
    assert guests.running == ["runs"]
    await guests.go("runs")


async def test_a_time_out_that_is_over_is_not_called_busy(visitors: Callable[..., Visitors]) -> None:
    guests = visitors(max_running=1)
    await guests.come("no time", deadline_s=0.0)
    assert (await guests.refusal("no time")).kind is Refusal.LATE
