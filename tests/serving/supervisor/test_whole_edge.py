"""The server under TLS: with its real door, and with the committed models whose spans join the door's."""

from __future__ import annotations

import json
import os
import signal
import ssl
import urllib.request
from pathlib import Path

import pytest
import trustme

from benchmarks.common.server import started_server
from benchmarks.load.trace.otlp import SpanReceiver
from infolens import Client
from serving.edge.options import EdgeOptions
from serving.processes import members
from serving.supervisor.assembling import Plan
from tests.conftest import ONNX_MODELS, REPOSITORY
from tests.serving.edge.authority import write
from tests.serving.supervisor.running import supervised, until
from tests.serving.supervisor.test_loops_and_doors import QUICK

pytestmark = pytest.mark.long

ARTICLE = "The home side scored a late goal to win the cup final on Saturday. The crowd sang until the night came. " * 3


def test_a_door_under_tls_that_hangs_is_found_out(stand_in: Path, fake: Path, tmp_path: Path) -> None:
    """The supervisor asks it without a certificate, on a port of their own."""
    files = write(tmp_path, trustme.CA())
    plan = Plan(server=None, edge=EdgeOptions(**files.options))  # type: ignore[arg-type]
    with supervised(stand_in, tmp_path, plan=plan, executable=fake, patience=QUICK) as running:
        door, urls = running.supervisor.door, running.supervisor.urls
        assert door is not None
        assert urls is not None
        assert (urls.http[:8], urls.grpc[:8], urls.metrics[:7]) == ("https://", "grpcs://", "http://")
        context = ssl.create_default_context(cafile=str(files.root))
        with urllib.request.urlopen(f"{urls.http}/healthz", context=context) as answer:
            assert json.loads(answer.read()) == {"status": "ok"}
        until(lambda: door.answers)
        pid = door.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        until(lambda: "door hung" in running.kinds and "door back" in running.kinds)
        assert members(pid) == []
        until(lambda: door.answers)


@pytest.mark.server
@pytest.mark.skipif(
    not all(list(REPOSITORY.glob(f"{name}/*/model.onnx")) for name in ONNX_MODELS), reason="no exported models"
)
def test_the_sdk_asks_the_whole_server_and_the_models_spans_join_the_door_s(tmp_path: Path) -> None:
    files = write(tmp_path, trustme.CA())
    tls = ["--tls-cert", str(files.cert), "--tls-key", str(files.key)]
    with SpanReceiver() as receiver:
        spans = ["--trace-url", receiver.url, "--trace-sample", "1", "--trace-models"]
        with started_server([*tls, *spans, "--log-file", str(tmp_path / "triton.log")]) as server:
            for url in (server.http_url, server.grpc_url):
                with Client(url, root_certificates=files.root) as client:
                    assert client.analyze(ARTICLE).category is not None
            context = ssl.create_default_context(cafile=str(files.root))
            request = urllib.request.Request(
                f"{server.http_url}/v1/analyze",
                json.dumps({"text": ARTICLE}).encode(),
                {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"},
            )
            with urllib.request.urlopen(request, context=context) as answer:
                assert answer.headers["X-Trace-Id"] == "ab" * 16
            until(lambda: _joined(receiver, "ab" * 16), 90)
        with receiver._changed:
            receiver._complete()
            roots = [{span.attributes.get("infolens.door") for span in spans} for spans in receiver._traces.values()]
    # Three requests, and none that the door has not chosen, such as the supervisor's own.
    assert sorted(str(*found - {None}) for found in roots) == ["grpc", "http", "http"]


def _joined(receiver: SpanReceiver, trace: str) -> bool:
    """Whether the models' spans lie inside the door's question to Triton."""
    with receiver._changed:
        receiver._complete()
        spans = receiver._traces.get(trace, [])
    asked = {span.span_id for span in spans if span.name == "ModelInfer"}
    of_models = {span.name for span in spans if span.parent_id in asked}
    return bool(of_models) and len(spans) > 6
