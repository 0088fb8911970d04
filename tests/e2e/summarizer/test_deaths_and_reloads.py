"""A summarizer whose process is killed comes back, and one that is loaded again loses no answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from export.graph.precision import Precision
from infolens import Client, SummaryOptions
from serving.arguments import ServerOptions
from serving.launcher import TritonServer
from serving.supervisor.patience import Patience
from tests.e2e.summarizer.conftest import Written
from tests.serving.supervisor.running import DEADLINE_S, Running, supervised, until

pytestmark = [pytest.mark.server, pytest.mark.filterwarnings("ignore:Moving the following attributes")]

TEXT = "The council met on Tuesday to speak about the new bridge over the river and its costs."
SHORT = Patience(
    answer_s=1.0, ask_s=0.3, doubt_s=0.5, hung_s=20.0, quiet_s=0.5, idle_s=1.0, healthy_s=0.0, loop_ready_s=0.0
)


@pytest.fixture(scope="module")
def running(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = written("step", Precision.FP32)
    with supervised(repository, tmp_path_factory.mktemp("supervised"), patience=SHORT) as running:
        yield running


def test_a_killed_summarizer_comes_back(running: Running) -> None:
    until(lambda: running.state["ready"])
    before, served = running.state, running.ask("summarize")
    assert served is not None
    running.kill("bart")
    until(lambda: running.mended(before))
    assert running.ask("summarize") == served


def test_no_answer_is_wrong_while_it_dies(running: Running) -> None:
    """Callers get the right answer or an error, those whose articles were in its slots among them."""
    until(lambda: running.state["ready"])
    right, wrong, answered, end = running.ask("summarize"), [], [], threading.Event()

    def call() -> None:
        while not end.is_set():
            answer = running.ask("summarize", timeout_s=5.0)
            if answer is not None:
                (answered if answer == right else wrong).append(answer)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        before = running.state
        running.kill("bart")
        until(lambda: running.mended(before))
        seen = len(answered)
        until(lambda: len(answered) > seen)
    finally:
        end.set()
        for caller in callers:
            caller.join()
    assert wrong == []


def test_the_supervisor_s_sign_of_life_is_answered(running: Running) -> None:
    """An idle summarizer is asked for one, and is not taken for dead."""
    until(lambda: running.state["ready"])
    before = running.state
    until(lambda: running.state["written_at"] > before["written_at"] + 4 * SHORT.idle_s)
    after = running.state
    assert (after["heals"], after["triton"]["restarts"]) == (before["heals"], before["triton"]["restarts"])
    assert after["ready"]


def test_a_reload_loses_no_answer(written: Written, tmp_path: Path) -> None:
    options = ServerOptions(
        http_port=0,
        grpc_port=0,
        metrics_port=0,
        repository=written("step", Precision.FP32),
        log_file=tmp_path / "triton.log",
    )
    wishes = SummaryOptions(min_length=200, max_length=200, num_beams=4)
    with TritonServer(options) as server, Client(server.grpc_url) as client, ThreadPoolExecutor(8) as pool:
        alone, admin = client.summarize(TEXT, options=wishes), server.client()
        for _ in range(3):
            asked = [pool.submit(client.summarize, TEXT, options=wishes) for _ in range(24)]
            admin.load("bart", DEADLINE_S).result()
            assert all(one.result() == alone for one in asked)
        admin.close()
