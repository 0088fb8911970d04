"""The door before the real Triton: the SDK as it is, and requests gone wrong."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator

import grpc
import grpc.aio
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from infolens import AsyncClient, Client, Task
from serving.launcher import TritonServer
from tests.serving.gateway.mutations import mutated
from tests.serving.gateway.scripted import (
    LOCAL,
    PATIENCE_S,
    SERVICE,
    Process,
    infer_request,
    process,
)

pytestmark = pytest.mark.server

ARTICLE = "The council met on Tuesday to speak about the new bridge over the river and its costs. " * 8
ALLOWED = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "LATE"}


@pytest.fixture(scope="module")
def door(triton: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    address = triton.grpc_url.removeprefix("grpc://")
    folder = tmp_path_factory.mktemp("door")
    with process(folder, address, triton_metrics=triton.metrics_url) as door:
        yield door
        assert door.stop() == 0


def test_every_call_of_the_sdk_works_through_the_door(door: Process, triton: TritonServer) -> None:
    with Client(door.grpc_url) as client, Client(triton.grpc_url) as direct:
        assert client.analyze(ARTICLE) == direct.analyze(ARTICLE)
        assert client.analyze(ARTICLE, tasks=Task.CATEGORY).category
        assert client.summarize(ARTICLE) == direct.summarize(ARTICLE)
        assert client.classify(ARTICLE) == direct.classify(ARTICLE)
        assert client.verify(ARTICLE) == direct.verify(ARTICLE)
        assert [str(one) for one in client.analyze_many([ARTICLE, ARTICLE[:200]])]
        assert client.is_ready()
        assert client.status().models == direct.status().models
        told = client.status().tasks
        assert {one.model: len(one.revision) for one in told.values()} == {"bart": 12, "distilbert": 12, "xlnet": 12}
        assert direct.status().tasks == {}


@pytest.mark.parametrize("limit_us", [10**18, 2**63 - 1])
def test_a_time_out_of_ages_is_no_time_out(door: Process, limit_us: int) -> None:
    """The library's calendar ends before it, and such a call counted as late at once."""
    text = triton_grpc.InferInput("text", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[ARTICLE.encode()]], dtype=object))
    with triton_grpc.InferenceServerClient(door.grpc_url.removeprefix("grpc://")) as client:
        assert client.infer("classify", [text], timeout=limit_us).as_numpy("category") is not None
    body = json.dumps({"text": ARTICLE, "timeout": limit_us}).encode()
    url = f"http://127.0.0.1:{door.ports['http_port']}/v2/models/classify/generate"
    with urllib.request.urlopen(url, body, timeout=PATIENCE_S) as answer:
        assert answer.status == 200


async def test_the_asynchronous_client_works_through_the_door(door: Process) -> None:
    async with AsyncClient(door.grpc_url) as client:
        reports = await asyncio.gather(
            *(client.analyze(f"{number} {ARTICLE}", tasks="category") for number in range(20))
        )
    assert all(report.category for report in reports)


async def test_a_thousand_requests_gone_wrong_end_nothing(door: Process, triton: TritonServer) -> None:
    await _throw(door, triton, 1000)


@pytest.mark.slow
async def test_ten_thousand_requests_gone_wrong_end_nothing(door: Process, triton: TritonServer) -> None:
    await _throw(door, triton, 10_000, seed=16)


async def _throw(door: Process, triton: TritonServer, count: int, seed: int = 15) -> None:
    """Send requests gone wrong, a few at a time; well-formed ones beside them are answered all along."""
    pid, codes, over = triton.pid, Counter[str](), asyncio.Event()
    address = door.grpc_url.removeprefix("grpc://")
    async with grpc.aio.insecure_channel(address, options=LOCAL) as channel:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        requests = mutated(count, seed)

        async def send() -> None:
            for content in requests:
                call = infer(content, timeout=PATIENCE_S)
                code = (await call.code()).name
                # Some ask for an answer within a microsecond.
                codes["LATE" if "timeout expired" in (await call.details() or "") else code] += 1

        async def neighbour() -> None:
            while not over.is_set():
                await infer(infer_request().SerializeToString(), timeout=PATIENCE_S)

        beside = asyncio.create_task(neighbour())
        await asyncio.gather(*(send() for _ in range(4)))
        over.set()
        await beside
    assert codes.keys() <= ALLOWED, codes
    assert codes.total() == count
    assert codes["OK"] > count // 20
    assert codes["INVALID_ARGUMENT"] > count // 5
    assert (triton.pid, door.process.poll()) == (pid, None)
    # What reached a model was well-formed: nothing broke in any stub.
    assert not re.search(r"Signal \(|Stub process|Internal:", triton.log_file.read_text(errors="replace"))


@pytest.mark.parametrize(
    ("model", "output"),
    [(model, output) for model in ("classify", "info_lens") for output in ("category", "category_labels")]
    + [("summarize", "summary"), ("verify", "veracity"), ("info_lens", "failed")],
)
def test_ranking_an_output_of_strings_is_refused(door: Process, triton: TritonServer, model: str, output: str) -> None:
    pid = triton.pid
    with pytest.raises(InferenceServerException, match=f"the output '{output}' is BYTES") as caught:
        _ranked(door, model, output, 1)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert len(_ranked(door, "classify", "category_probabilities", 1)) == 1
    assert triton.pid == pid


def test_ranked_numbers_have_their_labels_in_every_model(door: Process) -> None:
    classes = _ranked(door, "classify", "category_probabilities", 2)
    assert classes == _ranked(door, "info_lens", "category_probabilities", 2)
    assert [one.count(":") for one in classes] == [2, 2]
    veracity = _ranked(door, "info_lens", "veracity_probabilities", 9)
    assert sorted(one.split(":")[2] for one in veracity) == ["fake", "real"]


def _ranked(door: Process, model: str, output: str, count: int) -> list[str]:
    """The highest elements of an output, as Triton's own client reads them."""
    text = triton_grpc.InferInput("text", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[ARTICLE.encode()]], np.object_))
    with triton_grpc.InferenceServerClient(door.grpc_url.removeprefix("grpc://")) as client:
        wanted = triton_grpc.InferRequestedOutput(output, class_count=count)
        answer = client.infer(model, [text], outputs=[wanted]).as_numpy(output)
    assert answer is not None
    return [one.decode() for one in answer.flatten()]


def test_triton_s_metrics_are_passed_on(door: Process) -> None:
    url = f"http://127.0.0.1:{door.ports['metrics_port']}"
    with urllib.request.urlopen(f"{url}/metrics/triton", timeout=PATIENCE_S) as answer:
        assert b"nv_inference_count" in answer.read()
