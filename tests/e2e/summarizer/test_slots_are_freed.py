"""Callers who leave, whose time is up, or who are too many: their slots are free for others, and all of it is counted.

The real server behind the door, with a summarizer that takes a second for each long summary and has a single slot.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc.aio
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tritonclient import grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from export.graph.precision import Precision
from infolens import Client, RequestTimeoutError, ServerOverloadedError, SummaryOptions
from serving.arguments import ServerOptions
from serving.supervisor.assembling import Plan
from serving.supervisor.patience import Patience
from tests.e2e.summarizer.conftest import Written
from tests.serving.gateway.scripted import LOCAL, SERVICE, infer_request
from tests.serving.supervisor.running import DEADLINE_S, Running, supervised, until

pytestmark = [pytest.mark.server, pytest.mark.filterwarnings("ignore:Moving the following attributes")]

TEXT = "The council met on Tuesday to speak about the new bridge over the river and its costs. " * 8
LONG = {"min_length": 256, "max_length": 256, "num_beams": 8}
SHORT = SummaryOptions(num_beams=1, min_length=0, max_length=8)
CALLERS, ROWS = 8, 4
CALM = Patience(hung_s=600.0, quiet_s=600.0, idle_s=600.0)
ONE_SLOT = "[summary]\nworkers = 1\nslots = 1\nmax_waiting = 40\n"


@pytest.fixture(scope="module")
def running(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = written("step", Precision.FP32, ONE_SLOT, pace="slow")
    folder = tmp_path_factory.mktemp("supervised")
    with supervised(repository, folder, patience=CALM, plan=Plan(server=ServerOptions())) as running:
        until(lambda: running.state["ready"])
        yield running


def counted(running: Running) -> dict[str, float]:
    """What the door shows of the summarizer."""
    assert running.supervisor.urls is not None
    with urllib.request.urlopen(running.supervisor.urls.metrics, timeout=DEADLINE_S) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = [sample for family in families for sample in family.samples if "infolens_engine_" in sample.name]
    assert {sample.labels["model"] for sample in samples} <= {"bart"}
    names = (sample.name.removeprefix("infolens_engine_").removesuffix("_total") for sample in samples)
    found = dict(zip(names, (sample.value for sample in samples), strict=True))
    return {"slots_busy": -1, "waiting": -1, **found}  # before the first file


def at_rest(running: Running) -> dict[str, float]:
    """What the door shows of a summarizer that has nothing to do, by a file that was written since."""
    file, now_s = running.supervisor.state_file.parent / "counts" / "bart.json", time.monotonic()
    until(lambda: file.exists() and json.loads(file.read_text())["written_s"] > now_s and is_idle(counted(running)))
    return counted(running)


def is_idle(found: dict[str, float]) -> bool:
    return found["slots_busy"] == found["waiting"] == 0


def since(running: Running, before: dict[str, float]) -> dict[str, float]:
    """What was counted since, once nothing is going on."""
    now = at_rest(running)
    return {name: now[name] - before[name] for name in before}


def long_request(rows: int = ROWS, model: str = "summarize") -> bytes:
    message = infer_request(model, text=TEXT)
    message.inputs[0].shape[0] = rows
    message.raw_input_contents[0] = message.raw_input_contents[0] * rows
    for name, value in LONG.items():
        message.inputs.add(name=name, datatype="INT32", shape=[rows, 1])
        message.raw_input_contents.append(value.to_bytes(4, "little") * rows)
    content: bytes = message.SerializeToString()
    return content


def the_server_is_well(running: Running) -> None:
    assert running.supervisor.urls is not None
    with Client(running.supervisor.urls.grpc) as client:
        assert client.summarize(TEXT, options=SHORT, timeout_s=DEADLINE_S).text is not None
    assert running.state["heals"] == running.state["triton"]["restarts"] == 0


async def test_callers_who_leave_free_their_slots(running: Running) -> None:
    urls, before = running.supervisor.urls, await asyncio.to_thread(at_rest, running)
    assert urls is not None
    async with grpc.aio.insecure_channel(urls.grpc.removeprefix("grpc://"), options=LOCAL) as channel:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        callers = [asyncio.ensure_future(_ask(infer)) for _ in range(CALLERS)]
        await asyncio.to_thread(until, lambda: counted(running)["waiting"] > CALLERS)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    found = await asyncio.to_thread(since, running, before)
    assert found["answered"] < CALLERS * ROWS, "summaries were written for nobody"
    assert found["answered"] + found["cancelled"] <= CALLERS * ROWS
    assert found["cancelled"] > CALLERS
    assert found["failed"] == found["expired"] == 0
    await asyncio.to_thread(the_server_is_well, running)


async def _ask(infer: grpc.aio.UnaryUnaryMultiCallable) -> object:
    return await infer(long_request())


def test_a_summary_whose_time_is_up_frees_its_slot(running: Running) -> None:
    urls, before = running.supervisor.urls, at_rest(running)
    assert urls is not None
    with Client(urls.grpc) as client, ThreadPoolExecutor(4) as pool:
        options = SummaryOptions(**LONG)  # type: ignore[arg-type]
        asked = [pool.submit(client.summarize, TEXT, options=options, timeout_s=0.3) for _ in range(4)]
        for one in asked:
            with pytest.raises((RequestTimeoutError, ServerOverloadedError)):
                one.result()
    found = since(running, before)
    assert found["answered"] == 0
    assert found["expired"] + found["cancelled"] >= 1
    the_server_is_well(running)


def test_too_many_are_refused_at_once_and_the_others_answered(running: Running) -> None:
    """Past the door, which would keep them back."""
    before, address = at_rest(running), running.supervisor.server.grpc_address
    with triton_grpc.InferenceServerClient(address) as client, ThreadPoolExecutor(60) as pool:
        ends = list(pool.map(lambda _: end_of(client), range(60)))
    refused = [end for end in ends if end]
    assert all("the server is busy: " in end for end in refused), set(refused)
    assert all("UNAVAILABLE" in end for end in refused)
    # Forty wait in any case, and more are taken where some have a slot, or end, before the last one comes.
    assert 0 < len(refused) <= 60 - 40
    found = since(running, before)
    assert found["answered"] == 60 - len(refused)
    assert found["refused"] == len(refused)
    the_server_is_well(running)


def end_of(client: triton_grpc.InferenceServerClient) -> str:
    """How a summary of moderate length ended: nothing where it was answered."""
    inputs = [triton_grpc.InferInput("text", [1, 1], "BYTES").set_data_from_numpy(np.array([[TEXT.encode()]], object))]
    for name, value in {"min_length": 40, "max_length": 40, "num_beams": 8}.items():
        tensor = triton_grpc.InferInput(name, [1, 1], "INT32")
        inputs.append(tensor.set_data_from_numpy(np.array([[value]], np.int32)))
    try:
        client.infer("summarize", inputs, client_timeout=DEADLINE_S)
    except InferenceServerException as error:
        return str(error)
    return ""


def test_short_summaries_do_not_wait_for_long_ones(running: Running) -> None:
    """Those of one beam have a slot beside those of eight: all are answered before a single long one is."""
    assert running.supervisor.urls is not None
    with Client(running.supervisor.urls.grpc) as client, ThreadPoolExecutor(2) as pool:
        long = [pool.submit(client.summarize, TEXT, options=SummaryOptions(**LONG)) for _ in range(2)]  # type: ignore[arg-type]
        until(lambda: counted(running)["slots_busy"] > 0 or any(one.done() for one in long))
        for _ in range(4):
            assert client.summarize(TEXT, options=SHORT).text is not None
        assert not all(one.done() for one in long)
        for one in long:
            one.result()
