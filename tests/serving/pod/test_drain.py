"""A replica that leaves while others serve, as the kubelet has it leave: no request is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from infolens import AsyncClient
from tests.serving.pod.models import CATEGORY, write_answers
from tests.serving.pod.names import NAME, names
from tests.serving.pod.pods import pod
from tests.serving.pod.test_spread import HOSTS, TEXT, shared_port

RATE = 20
"""Requests in a second, half of them over gRPC."""
DEADLINE_S = 90.0
BODY = {
    "inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [TEXT]}],
    "outputs": [{"name": "category"}],
}


@pytest.mark.long
@pytest.mark.server
async def test_a_replica_that_leaves_under_load_loses_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = write_answers(tmp_path / "models", work_s=0.2)
    grpc, http = shared_port(), shared_port()
    endpoints = list(HOSTS)
    answered: Counter[str] = Counter()
    wrong: list[str] = []
    begun: set[asyncio.Task[None]] = set()
    end = asyncio.Event()

    async def over_grpc(client: AsyncClient) -> None:
        try:
            report = await client.analyze(TEXT)
            assert report.category is not None
            assert report.category.label == CATEGORY
        except Exception as error:
            wrong.append(f"gRPC: {error!r}")
        answered["grpc"] += 1

    async def over_http(session: aiohttp.ClientSession, host: str) -> None:
        try:
            async with session.post(f"http://{host}:{http}/v2/models/info_lens/infer", json=BODY) as answer:
                document = await answer.json()
                assert answer.status == 200, document
                assert document["outputs"][0]["data"] == [CATEGORY]
        except Exception as error:
            wrong.append(f"HTTP from {host}: {error!r}")
        answered[host] += 1

    async def load(client: AsyncClient, session: aiohttp.ClientSession) -> None:
        """An open loop: a request begins when its time has come, whatever became of those before."""
        number, start_s = 0, asyncio.get_running_loop().time()
        while not end.is_set():
            host = endpoints[number // 2 % len(endpoints)]
            one = asyncio.create_task(over_http(session, host) if number % 2 else over_grpc(client))
            begun.add(one)
            number += 1
            await asyncio.sleep(max(0.0, start_s + number / RATE - asyncio.get_running_loop().time()))

    async def more(count: int) -> None:
        """Wait until so many more requests were answered."""
        wanted = answered.total() + count
        while answered.total() < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def opened(host: str) -> object:
        return pod(tmp_path / host, repository, "--host", host, http=http, grpc=grpc)

    with names(HOSTS, monkeypatch) as dns, opened(HOSTS[0]) as leaving, opened(HOSTS[1]):  # type: ignore[attr-defined]
        connector = aiohttp.TCPConnector(force_close=True)  # as a Service sees it: each connection goes somewhere
        async with (
            asyncio.timeout(DEADLINE_S),
            AsyncClient(f"grpc://{NAME}:{grpc}") as client,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            loading = asyncio.create_task(load(client, session))
            await more(30)
            assert min(answered[host] for host in HOSTS) > 0
            # The kubelet sleeps in preStop while the cluster hears that the replica leaves; then it sends the signals.
            dns.addresses = HOSTS[1:]
            await more(10)
            endpoints.remove(HOSTS[0])
            await more(20)
            codes = await asyncio.to_thread(leaving.leave)
            await more(20)
            end.set()
            await loading
            await asyncio.gather(*begun)
    assert codes == (0, 0)
    assert wrong == []
    log = (tmp_path / HOSTS[0] / "door.log").read_text()
    assert log.count('"route":"infer"') > 10
