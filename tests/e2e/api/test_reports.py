"""The whole server keeps reports: of the real models' answers, past its own end, and without the article's text."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.server import Started, started_server
from tests.conftest import ONNX_MODELS, REPOSITORY
from tests.serving.reports.kept import contents

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        not all(list(REPOSITORY.glob(f"{name}/*/model.onnx")) for name in ONNX_MODELS), reason="no exported models"
    ),
]
ARTICLE = Path(__file__).parents[2] / "articles" / "business.txt"


def ask(server: Started, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.http_url}{path}", content)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.long
def test_a_report_outlives_the_server_and_has_no_text(tmp_path: Path) -> None:
    file = tmp_path / "reports.sqlite3"
    text = ARTICLE.read_text(encoding="utf-8")
    options = ["--reports-url", f"sqlite:///{file}", "--reports-days", "9", "--log-file", str(tmp_path / "triton.log")]
    with started_server(options) as server:
        status, models = ask(server, "/v1/models")
        assert status == 200
        assert (models["keeps"]["reports"], models["keeps"]["texts"], models["keeps"]["days"]) == (True, False, 9)
        accuracy = {one["task"]: one["accuracy"] for one in models["models"]}
        assert accuracy["summary"] is None
        for task in ("category", "veracity"):
            assert accuracy[task]["unseen"] < accuracy[task]["in_domain"], "as the committed models are"
        _, answer = ask(server, "/v1/analyze", {"text": text, "keep": True, "evidence": True})
        report = answer.pop("report")
    kept = contents(file)
    assert answer["summary"]["text"].encode() in kept, "the summary quotes, and is the answer"
    spans = sorted(answer["summary"]["sentences"], key=lambda one: int(one["start"]))
    unquoted = [text[one["end"] : two["start"]] for one, two in pairwise(spans)]
    unquoted += [text[: spans[0]["start"]], text[spans[-1]["end"] :]]
    sentences = [one.strip() for part in unquoted for one in part.replace("\n", ". ").split(". ") if len(one) > 30]
    assert len(sentences) >= 5
    for sentence in sentences:
        assert sentence.encode() not in kept
    with started_server([*options, "--reports-texts"]) as server:
        status, found = ask(server, f"/v1/reports/{report['id']}")
        assert (status, found["answer"], found["article"]["text"]) == (200, answer, None)
        _, answer = ask(server, "/v1/analyze", {"text": text, "keep": True})
        _, found = ask(server, f"/v1/reports/{answer['report']['id']}")
        assert found["article"]["text"] == text
    with started_server(["--no-reports", "--log-file", str(tmp_path / "triton.log")]) as server:
        assert ask(server, f"/v1/reports/{report['id']}")[0] == 404
