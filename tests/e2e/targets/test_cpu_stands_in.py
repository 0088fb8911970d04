"""All that a GPU is served with, from an export for it to an answer, with the processor in the GPU's place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infolens import Article, Client
from infolens.targets import Target
from serving.gpu.sharing import OFF, VARIABLE
from serving.launcher import ServerOptions, TritonServer
from serving.processes import stubs_of
from serving.runtime import ROOT
from serving.supervisor.healing import override
from serving.supervisor.patience import Patience
from tests.serving.supervisor.running import Running, supervised, until

pytestmark = [pytest.mark.server, pytest.mark.long]

ARTICLE = Article(text=(ROOT / "tests" / "articles" / "sports.txt").read_text(encoding="utf-8"))
CLASSIFIERS = ("classify", "verify")
SHORT = Patience(answer_s=1.0, ask_s=0.3, doubt_s=0.5, quiet_s=0.5, idle_s=1.0, healthy_s=0.0, loop_ready_s=0.0)


def options(repository: Path, folder: Path) -> ServerOptions:
    return ServerOptions(
        repository=repository,
        config_name=Target.CUDA.record.config_name,
        http_port=0,
        grpc_port=0,
        metrics_port=0,
        log_file=folder / "triton.log",
    )


def hosted(pid: int) -> int:
    """How many models of others a process runs: the ends of connections that have its socket's name."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(f"/.host.{pid}-" in line for line in lines) - 1


@pytest.fixture(scope="module")
def running(for_cuda: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("supervised")
    name = Target.CUDA.record.config_name
    with supervised(for_cuda, folder, patience=SHORT, config_name=name) as running:
        yield running


def answers(running: Running) -> dict[str, Any]:
    return {model: running.ask(model) for model in CLASSIFIERS}


def test_one_process_answers_as_several_do(
    for_cuda: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: Running
) -> None:
    monkeypatch.setenv(VARIABLE, OFF)
    with TritonServer(options(for_cuda, tmp_path)) as server, Client(server.grpc_url, timeout_s=120) as client:
        alone = client.analyze(ARTICLE)
        assert [hosted(stub.pid) for stub in stubs_of(server.pid)].count(-1) == len(stubs_of(server.pid))
    until(lambda: running.state["ready"])
    assert hosted(running.stubs("bart")[0].pid) == len(CLASSIFIERS)
    with Client(running.supervisor.server.grpc_url, timeout_s=120) as client:
        together = client.analyze(ARTICLE)
    assert together.summary is not None
    assert together.summary.text
    assert together.category is not None
    assert together.veracity is not None
    assert (together.summary.text, together.category, together.veracity) == (
        alone.summary.text if alone.summary else None,
        alone.category,
        alone.veracity,
    )


def test_when_that_process_is_killed_all_come_back(running: Running) -> None:
    until(lambda: running.state["ready"] and all(answers(running).values()))
    before, served = running.state, answers(running)
    classifiers = [running.stubs(model)[0].pid for model in ("distilbert", "xlnet")]
    running.kill("bart")
    until(lambda: running.mended(before))
    until(lambda: all(answers(running).values()))
    assert answers(running) == served
    assert hosted(running.stubs("bart")[0].pid) == len(CLASSIFIERS)
    if running.state["triton"]["restarts"] == before["triton"]["restarts"]:
        assert [running.stubs(model)[0].pid for model in ("distilbert", "xlnet")] == classifiers


def test_a_classifier_that_is_killed_comes_back_and_leaves_no_memory(running: Running) -> None:
    until(lambda: running.state["ready"] and all(answers(running).values()))
    before, served = running.state, answers(running)
    running.kill("distilbert")
    until(lambda: running.mended(before))
    until(lambda: all(answers(running).values()))
    assert answers(running) == served
    until(lambda: hosted(running.stubs("bart")[0].pid) == len(CLASSIFIERS))


def test_a_summarizer_that_is_loaded_again_loses_no_answer_of_the_others(running: Running) -> None:
    until(lambda: running.state["ready"] and all(answers(running).values()))
    served, old, end = answers(running), running.stubs("bart")[0].pid, threading.Event()

    def ask(model: str) -> list[Any]:
        wrong = []
        while not end.is_set():
            if (answer := running.ask(model)) != served[model]:
                wrong.append(answer)
        return wrong

    client = running.supervisor.server.client()
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask, model) for model in CLASSIFIERS]
        try:
            config = client.config("bart", 10.0).result().config
            changed = override(config, served=("1",), on_disk=("1",), now_s=time.time())
            client.load("bart", 60.0, changed).result()
            until(lambda: [stub.pid for stub in running.stubs("bart") if stub.pid != old])
            until(lambda: old not in [stub.pid for stub in running.stubs("bart")])
        finally:
            end.set()
        assert [wrong for one in asking for wrong in one.result()] == []
    client.close()
    assert hosted(running.stubs("bart")[0].pid) == len(CLASSIFIERS)
