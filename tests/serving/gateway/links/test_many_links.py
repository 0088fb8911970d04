"""How many links are followed at once, and who waits for whom."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

from serving.gateway.configuration import RoomLimits
from serving.gateway.intake.links import MAX_FETCHES
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, receive
from tests.serving.gateway.links.linked import TEXT, Pages, Reader, analyze, begin, linked_door


def test_a_busy_reader_is_told_to_who_asks_for_one_article(door: RunningDoor, pages: Pages, reader: Reader) -> None:
    reader.busy = 1
    answer = analyze(door, {"url": f"{pages.url}/story"})
    assert (answer.status, answer.json["type"], answer.headers["Retry-After"]) == (429, "/v1/problems/busy", "1")


def test_so_many_links_are_followed_and_no_more(door: RunningDoor, pages: Pages) -> None:
    link = {"url": f"{pages.url}/story"}
    pages.going.clear()
    with ExitStack() as stack:
        waiting = [begin(door, stack, "/v1/analyze", link) for _ in range(MAX_FETCHES)]
        for _ in waiting:
            assert pages.arrived.acquire(timeout=60)
        refused = analyze(door, link)
        assert analyze(door, {"text": TEXT}).status == 200  # whoever brings a text waits for none of them
        pages.going.set()
        assert all(b" 200 OK" in receive(one) for one in waiting)
    assert (refused.status, refused.json["type"], refused.headers["Retry-After"]) == (429, "/v1/problems/busy", "1")
    assert f"follows {MAX_FETCHES} links" in refused.json["detail"]
    assert analyze(door, link).status == 200


def test_a_batch_leaves_room_for_single_links(door: RunningDoor, pages: Pages) -> None:
    link = {"url": f"{pages.url}/story"}
    pages.going.clear()
    with ExitStack() as stack:
        batch = begin(door, stack, "/v1/analyze/batch", *[link] * 20)
        for _ in range(MAX_FETCHES - 2):
            assert pages.arrived.acquire(timeout=60)
        single = begin(door, stack, "/v1/analyze", link)
        assert pages.arrived.acquire(timeout=60)  # its page is asked for while 14 rows of the batch wait
        assert len(pages.paths) == MAX_FETCHES - 1
        pages.going.set()
        assert b" 200 OK" in receive(single)
        assert receive(batch).count(b'"article"') == 20


def test_whoever_leaves_gives_the_place_back(door: RunningDoor, pages: Pages, fake: FakeTriton) -> None:
    link = {"url": f"{pages.url}/story"}
    pages.going.clear()
    with ExitStack() as stack:
        for _ in range(MAX_FETCHES):
            begin(door, stack, "/v1/analyze", link)
        for _ in range(MAX_FETCHES):
            assert pages.arrived.acquire(timeout=60)
    links = door.parts.intake.links

    async def free() -> None:
        async with asyncio.timeout(60):
            while links.running:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(free(), door.loop).result(60)
    pages.going.set()
    assert analyze(door, link).status == 200
    assert len(fake.requests) == 1


def test_a_link_holds_no_place_in_the_waiting_room(
    tmp_path: Path, fake: FakeTriton, pages: Pages, reader: Reader
) -> None:
    pages.going.clear()
    with (
        linked_door(tmp_path, fake, pages, reader, room=RoomLimits(max_running=1, max_wait_s=0.0)) as door,
        ExitStack() as stack,
    ):
        waiting = begin(door, stack, "/v1/analyze", {"url": f"{pages.url}/story"})
        assert pages.arrived.acquire(timeout=60)
        assert analyze(door, {"text": TEXT}).status == 200
        pages.going.set()
        assert b" 200 OK" in receive(waiting)


def test_the_time_of_a_request_counts_for_its_link(door: RunningDoor, pages: Pages) -> None:
    pages.going.clear()
    answer = analyze(door, {"url": f"{pages.url}/story", "deadline_ms": 50})
    pages.going.set()
    assert (answer.status, answer.json["type"]) == (504, "/v1/problems/late")
