"""Requests that are traced, and answers that come from Triton's cache: of a backend that answers after ``execute``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tritonclient import grpc

from benchmarks.common.server import started_server
from benchmarks.load.trace.otlp import SpanReceiver
from export.graph.precision import Precision
from infolens import Client, SummaryOptions
from serving.arguments import ServerOptions
from serving.launcher import TritonServer
from tests.e2e.summarizer.conftest import Written

pytestmark = [pytest.mark.server, pytest.mark.filterwarnings("ignore:Moving the following attributes")]

TEXT = "The council met on Tuesday to speak about the new bridge over the river and its costs."
MANY = 60


def test_traced_requests_share_the_steps_and_crash_nothing(written: Written, tmp_path: Path) -> None:
    repository = written("step", Precision.FP32)
    with SpanReceiver() as receiver:
        options = ["--repository", str(repository), "--log-file", str(tmp_path / "triton.log")]
        with started_server([*options, "--trace-url", receiver.url]) as server, Client(server.grpc_url) as client:
            wishes = [SummaryOptions(num_beams=1 + i % 4, max_length=20 + i) for i in range(MANY)]
            alone = [client.summarize(TEXT, options=one).text for one in wishes]
            with ThreadPoolExecutor(6) as pool:
                found = list(pool.map(lambda one: client.summarize(TEXT, options=one).text, wishes))
            assert found == alone
            spans = [span for trace in receiver.wait_for(2 * MANY) for span in trace]
    assert sum(span.name == "bart" for span in spans) >= 2 * MANY


def test_the_cache_answers_what_was_answered_before(written: Written, tmp_path: Path) -> None:
    options = ServerOptions(
        http_port=0,
        grpc_port=0,
        metrics_port=0,
        repository=written("step", Precision.FP32),
        log_file=tmp_path / "triton.log",
        response_cache_bytes=2**24,
    )
    with TritonServer(options) as server, Client(server.grpc_url) as client:
        first = client.summarize(TEXT)
        assert {client.summarize(TEXT).text for _ in range(5)} == {first.text}
        other = client.summarize(TEXT, options=SummaryOptions(max_length=9, min_length=0))
        with grpc.InferenceServerClient(server.grpc_url.removeprefix("grpc://")) as plain:
            stats = plain.get_inference_statistics("bart").model_stats[0].inference_stats
    assert len(other.text) < len(first.text)
    assert stats.cache_hit.count == 5
