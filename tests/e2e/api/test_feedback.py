"""The whole server keeps feedback: real answers are rated, audited, read back over either door, and forgotten."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2_grpc

from benchmarks.common.server import Started, started_server
from infolens.contract import CONTRACTS, Task
from tests.conftest import ONNX_MODELS, REPOSITORY
from tests.serving.gateway.scripted import infer_request

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        not all(list(REPOSITORY.glob(f"{name}/*/model.onnx")) for name in ONNX_MODELS), reason="no exported models"
    ),
]
ARTICLE = Path(__file__).parents[2] / "articles" / "business.txt"


def ask(server: Started, path: str, body: Any = None, method: str | None = None, **headers: str) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{server.http_url}{path}", content, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def inferred(server: Started, text: str) -> str:
    """The id of the prediction of an answer of KServe over gRPC."""
    message = infer_request(CONTRACTS[Task.CATEGORY].ensemble, text)
    with grpc.insecure_channel(server.grpc_url.removeprefix("grpc://")) as channel:
        _, call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer.with_call(message, timeout=60)
        return str(dict(call.trailing_metadata())["infolens-prediction"])


def test_real_answers_are_rated_audited_and_forgotten(tmp_path: Path) -> None:
    text = ARTICLE.read_text(encoding="utf-8")
    options = ["--feedback-url", f"sqlite:///{tmp_path / 'feedback.sqlite3'}", "--log-file", str(tmp_path / "a.log")]
    options += ["--feedback-spool", str(tmp_path / "spool"), "--audit-share", "1", "--feedback-texts"]
    with started_server(options) as server:
        assert ask(server, "/v1/models")[1]["feedback"]["audit_share"] == 1.0
        status, answer = ask(server, "/v1/analyze", {"text": text})
        prediction = answer["prediction"]
        ratings = {"summary": {"stars": 4}, "category": {"right": True}, "veracity": {"label": "real"}}
        body = {"prediction": prediction, "ratings": ratings, "rater": "desk-7"}
        for repeated in (False, True):
            status, said = ask(server, "/v1/feedback", body, Idempotency_Key="e2e")
            assert (status, said["kept"], said["repeated"]) == (200, "database", repeated)
        over_grpc = inferred(server, text)
        status, found = ask(server, f"/v1/predictions/{over_grpc}")
        assert (status, found["article"]["text"]) == (200, text)
        assert found["answers"]["category"]["label"] == answer["category"]["label"]
        audit = ask(server, "/v1/analyze", {"text": text, "audit": True})[1]
        assert audit["audit"]["tasks"].keys() == {"category", "veracity"}
        assert "category" not in audit
        status, shown = ask(
            server, f"/v1/predictions/{audit['prediction']}/audit", {"labels": {"category": "Business"}}
        )
        assert (status, shown["category"]) == (200, answer["category"])
        status, found = ask(server, f"/v1/predictions/{prediction}")
        assert (status, [one["ratings"]["summary"] for one in found["feedback"]]) == (200, [{"stars": 4}])
        assert found["answers"]["summary"]["text"] == answer["summary"]["text"]
        assert ask(server, f"/v1/predictions/{prediction}", method="DELETE")[0] == 200
        assert ask(server, f"/v1/predictions/{prediction}")[0] == 404
        assert ask(server, "/v1/feedback", body)[0] == 404
