"""A server on which one model is broken and one task is missing: partial answers, and errors that say what there is.

The model fails for real: its tokenizer pads with an id that the model does not have.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from export.cli import main as export
from infolens import AsyncClient, Client, InferenceFailedError, ModelUnavailableError, Report, Task
from infolens.cli import main as infolens
from serving.launcher import ServerOptions, TritonServer
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.server

TEXT = "The striker scored twice and the goal decided the cup."
BOTH = (Task.CATEGORY, Task.VERACITY)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """No summaries, and a veracity that fails."""
    place = tmp_path_factory.mktemp("broken")
    repository = place / "model_repository"
    shutil.copytree(REPOSITORY, repository, ignore=shutil.ignore_patterns("bart*", "summarize"))
    assert export(["configs", "--repository", str(repository)]) == 0
    config = repository / "xlnet_tokenizer" / "config.pbtxt"
    before, key, after = config.read_text(encoding="utf-8").partition('key: "pad_id"')
    assert key
    value = after.split('"')[1]
    config.write_text(before + key + after.replace(f'"{value}"', '"99999999"', 1), encoding="utf-8")
    options = ServerOptions(
        repository=repository, http_port=0, grpc_port=0, metrics_port=0, log_file=place / "triton.log"
    )
    with TritonServer(options) as server:
        yield server


@pytest.fixture(params=["grpc", "http"])
def url(request: pytest.FixtureRequest, server: TritonServer) -> str:
    return {"grpc": server.grpc_url, "http": server.http_url}[request.param]


def check(report: object) -> None:
    assert isinstance(report, Report)
    assert list(report.answers) == [Task.CATEGORY]
    assert list(report.failed) == [Task.VERACITY]
    assert report.failed[Task.VERACITY].startswith("ONNX Runtime")


async def test_the_other_answer_is_given_with_the_reason(url: str) -> None:
    with Client(url) as client:
        check(client.analyze(TEXT, tasks=BOTH, partial=True))
        for report in client.analyze_many([TEXT] * 4, tasks=BOTH, partial=True):
            check(report)
    async with AsyncClient(url) as async_client:
        check(await async_client.analyze(TEXT, tasks=BOTH, partial=True))


def test_a_whole_answer_is_the_default(url: str) -> None:
    with Client(url) as client:
        with pytest.raises(InferenceFailedError, match="ONNX Runtime"):
            client.analyze(TEXT, tasks=BOTH)
        with pytest.raises(InferenceFailedError, match="ONNX Runtime"):
            client.analyze(TEXT, tasks=Task.VERACITY, partial=True)
        assert client.classify(TEXT).label


@pytest.mark.parametrize("partial", [False, True])
def test_a_task_that_the_server_lacks_is_no_partial_answer(url: str, *, partial: bool) -> None:
    with Client(url) as client:
        for tasks in (None, (Task.SUMMARY, Task.CATEGORY), Task.SUMMARY):
            with pytest.raises(ModelUnavailableError, match="see `infolens status`"):
                client.analyze(TEXT, tasks=tasks, partial=partial)


def test_the_command_prints_what_there_is(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    article = tmp_path / "article.txt"
    article.write_text(TEXT, encoding="utf-8")
    words = ["analyze", "--server", url, "--partial", "--json", "--task", "category", "--task", "veracity"]
    assert infolens([*words, str(article)]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["category"]["label"]
    assert list(document["failed"]) == ["veracity"]
    assert err.startswith(f"infolens: {article}: no veracity: ONNX Runtime")
