"""Two hundred callers leave in the middle: nobody is counted any more, and the models do only what they had begun."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import grpc.aio
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tritonclient import grpc as triton_grpc

from infolens import Client
from serving.arguments import ServerOptions
from serving.supervisor.assembling import Plan, has_door
from serving.supervisor.patience import Patience
from tests.conftest import ONNX_MODELS, REPOSITORY
from tests.serving.gateway.scripted import LOCAL, SERVICE, infer_request
from tests.serving.supervisor.running import DEADLINE_S, Running, supervised, until

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not has_door(), reason="the door is not there"),
    pytest.mark.skipif(
        not all(list(REPOSITORY.glob(f"{name}/*/model.onnx")) for name in ONNX_MODELS), reason="no exported models"
    ),
]

CALLERS = 200
MAY_RUN = 12
"""Requests that run at the same time in one branch: `max_running` of `info_lens`."""
TEXT = "The council met on Tuesday to speak about the new bridge over the river and its costs. " * 50
LONG = {"min_length": 256, "max_length": 256, "num_beams": 8}
CALM = Patience(hung_s=600.0, quiet_s=600.0, idle_s=600.0)
"""A model that stands still is left alone, and none is asked for a sign of life, which would use its processor."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    plan = Plan(server=ServerOptions())
    with supervised(REPOSITORY, tmp_path, patience=CALM, plan=plan) as running:
        until(lambda: running.state["ready"])
        yield running


def gauges(running: Running) -> dict[str, float]:
    """Of the door: requests in flight, and who is in the waiting room."""
    assert running.supervisor.urls is not None
    with urllib.request.urlopen(running.supervisor.urls.metrics, timeout=DEADLINE_S) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    found = {"infolens_requests_in_flight": 0.0}  # it has no samples before the first request
    for sample in (sample for family in families for sample in family.samples):
        if sample.name.startswith(("infolens_waiting_room_", "infolens_requests_in_flight")):
            found[sample.name] = found.get(sample.name, 0) + sample.value
    names = ("requests_in_flight", "waiting_room_running", "waiting_room_waiting", "waiting_room_kept")
    return {name: found[f"infolens_{name}"] for name in names}


def numbers(flight: float, running: float, waiting: float, kept: float) -> dict[str, float]:
    names = ("requests_in_flight", "waiting_room_running", "waiting_room_waiting", "waiting_room_kept")
    return dict(zip(names, (flight, running, waiting, kept), strict=True))


def counted(running: Running, model: str) -> int:
    """Requests that Triton has counted as answered by a model."""
    with triton_grpc.InferenceServerClient(running.supervisor.server.grpc_address) as client:
        return int(client.get_inference_statistics(model).model_stats[0].inference_stats.success.count)


def spent_s(running: Running, model: str) -> float:
    """Seconds of the processor that the processes of a model have used."""
    return sum(stub.processor_s for stub in running.stubs(model))


@contextmanager
def standing_still(running: Running, model: str) -> Iterator[Callable[[], None]]:
    """The processes of a model do nothing until the block ends, or calls what it is given."""
    stubs = running.stubs(model)
    assert stubs

    def go_on() -> None:
        for stub in stubs:
            os.kill(stub.pid, signal.SIGCONT)

    for stub in stubs:
        os.kill(stub.pid, signal.SIGSTOP)
    try:
        yield go_on
    finally:
        go_on()


async def ask_http(url: str, session: aiohttp.ClientSession, model: str) -> None:
    inputs = [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [TEXT]}]
    inputs += [{"name": key, "shape": [1, 1], "datatype": "INT32", "data": [value]} for key, value in LONG.items()]
    async with session.post(f"{url}/v2/models/{model}/infer", data=json.dumps({"inputs": inputs})) as answer:
        await answer.read()
    raise AssertionError(f"answered: {answer.status}")


async def ask_grpc(channel: grpc.aio.Channel, model: str) -> None:
    raise AssertionError(f"answered: {await channel.unary_unary(f'/{SERVICE}/ModelInfer')(long_request(model))!r}")


def long_request(model: str) -> bytes:
    message = infer_request(model, text=TEXT)
    for name, value in LONG.items():
        message.inputs.add(name=name, datatype="INT32", shape=[1, 1])
        message.raw_input_contents.append(value.to_bytes(4, "little"))
    content: bytes = message.SerializeToString()
    return content


def ask_past_the_door(running: Running) -> None:
    """As many such requests as may run are answered, one after another; the door learns nothing of their time."""
    with grpc.insecure_channel(running.supervisor.server.grpc_address) as channel:
        for _ in range(MAY_RUN):
            channel.unary_unary(f"/{SERVICE}/ModelInfer")(long_request("summarize"), timeout=DEADLINE_S)


async def test_callers_who_leave_cost_nothing_that_had_not_begun(running: Running) -> None:
    urls = running.supervisor.urls
    assert urls is not None
    before_s, summarized = spent_s(running, "bart"), counted(running, "summarize") + MAY_RUN
    await asyncio.to_thread(ask_past_the_door, running)
    await asyncio.to_thread(
        until, lambda: counted(running, "summarize") == summarized
    )  # Triton counts after it answers
    all_s = spent_s(running, "bart") - before_s
    tokenized = counted(running, "bart_tokenizer")
    with standing_still(running, "bart") as go_on:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            grpc.aio.insecure_channel(urls.grpc.removeprefix("grpc://"), options=LOCAL) as channel,
        ):
            models = ["info_lens", "summarize"] * (CALLERS // 4)
            callers = [asyncio.ensure_future(ask_http(urls.http, session, model)) for model in models]
            callers += [asyncio.ensure_future(ask_grpc(channel, model)) for model in models]
            there = numbers(CALLERS, MAY_RUN, CALLERS - MAY_RUN, 0)
            await asyncio.to_thread(until, lambda: gauges(running) == there)
            await asyncio.to_thread(until, lambda: counted(running, "bart_tokenizer") == tokenized + MAY_RUN)
            for caller in callers:
                caller.cancel()
            ends = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}
        # Nobody is there any more, although the summarizer has not moved: what it holds is free for nobody yet.
        await asyncio.to_thread(until, lambda: gauges(running) == numbers(0, 0, 0, MAY_RUN))
        before_s = spent_s(running, "bart")
        go_on()
        await asyncio.to_thread(until, lambda: gauges(running) == numbers(0, 0, 0, 0))
    # The clock of a process moves in steps of 10 ms, and one request may take less: so half of what all of them take.
    assert spent_s(running, "bart") - before_s < all_s / 2, "the summarizer has written for somebody who has left"
    assert counted(running, "bart_tokenizer") == tokenized + MAY_RUN, "somebody who waited has reached a model"
    assert counted(running, "summarize") == summarized
    with Client(urls.grpc) as client:
        assert (await asyncio.to_thread(client.summarize, TEXT)).text
    assert running.state["heals"] == 0
