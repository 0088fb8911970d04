"""How much of a batch is under way, and in which order answers are handed out."""

from __future__ import annotations

import asyncio

import pytest

from serving.gateway.api import flow as module
from serving.gateway.api.flow import Flow


async def read_some(flow: Flow) -> bytes:
    async for some in flow.read():
        return some
    raise AssertionError("nothing was handed out")


async def test_in_order_an_answer_waits_for_those_before_it() -> None:
    flow = Flow(ordered=True)
    for _ in range(3):
        await flow.begin(1)
    flow.finish(2, b"c")
    flow.finish(0, b"a")
    assert await read_some(flow) == b"a"
    flow.finish(1, b"b")
    assert await read_some(flow) == b"bc"


async def test_as_finished_an_answer_waits_for_none() -> None:
    flow = Flow(ordered=False)
    for _ in range(2):
        await flow.begin(1)
    flow.finish(1, b"b")
    flow.finish(0, b"a")
    flow.end(b"!")
    assert [some async for some in flow.read()] == [b"ba!"]


@pytest.mark.parametrize("size_bytes", [1, module.MAX_BEGUN_BYTES // 2])
async def test_no_row_begins_beyond_the_limits(size_bytes: int) -> None:
    flow = Flow(ordered=False)
    fits = min(module.MAX_BEGUN, module.MAX_BEGUN_BYTES // size_bytes)
    for _ in range(fits):
        await asyncio.wait_for(flow.begin(size_bytes), 10)
    late = asyncio.create_task(flow.begin(size_bytes))
    await asyncio.sleep(0)
    assert not late.done()
    flow.finish(0, b"a")
    assert await asyncio.wait_for(late, 10) == fits


async def test_a_row_larger_than_all_that_may_be_begins_alone() -> None:
    flow = Flow(ordered=True)
    assert await asyncio.wait_for(flow.begin(2 * module.MAX_BEGUN_BYTES), 10) == 0


async def test_answers_that_nobody_reads_keep_rows_from_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNREAD_BYTES", 4)
    flow = Flow(ordered=False)
    flow.finish(await flow.begin(1), b"1234")
    late = asyncio.create_task(flow.begin(1))
    await asyncio.sleep(0)
    assert not late.done()
    assert await read_some(flow) == b"1234"
    assert await asyncio.wait_for(late, 10) == 1


async def test_the_end_comes_after_what_was_handed_out() -> None:
    flow = Flow(ordered=True)
    flow.finish(await flow.begin(1), b"a")
    flow.end()
    assert [some async for some in flow.read()] == [b"a"]
