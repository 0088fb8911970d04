"""A model that hangs is ended; one that works for as long is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.supervisor.patience import Patience
from tests.serving.supervisor.running import Running, supervised, until, write_sleeper

pytestmark = pytest.mark.server

SHORT = Patience(ask_s=0.2, hung_s=1.5, quiet_s=0.3, idle_s=0.3, healthy_s=0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sleeper(tmp_path_factory.mktemp("sleeper"))


@pytest.fixture(scope="module")
def running(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with supervised(model.parent, tmp_path_factory.mktemp("supervised"), patience=SHORT) as running:
        yield running


def asking(running: Running) -> tuple[threading.Thread, list[object]]:
    """A request that is out."""
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(running.ask("sleeper", timeout_s=60.0)))
    thread.start()
    return thread, answers


def test_a_model_that_hangs_is_ended_and_healed(running: Running, model: Path) -> None:
    before, pid = running.state, running.stubs("sleeper")[0].pid
    (model / "hold").touch()
    thread, answers = asking(running)
    until(lambda: "stub hung" in running.kinds)
    (model / "hold").unlink()
    until(lambda: running.mended(before))
    thread.join()
    assert answers == [None]
    assert running.stubs("sleeper")[0].pid != pid
    assert running.ask("sleeper", b"again") == {"answer": [[b"again"]]}


def test_a_silent_model_that_hangs_is_found_without_a_request(running: Running, model: Path) -> None:
    before = running.state
    (model / "hold").touch()
    until(lambda: not running.state["ready"])
    (model / "hold").unlink()
    until(lambda: running.mended(before))


@pytest.mark.long
def test_a_model_at_work_is_left_alone(running: Running, model: Path) -> None:
    """It takes three times as long as one that hangs may."""
    heals, stub = running.state["heals"], running.stubs("sleeper")[0]

    def worked_s() -> float:
        return running.stubs("sleeper")[0].processor_s - stub.processor_s

    (model / "burn").touch()
    thread, answers = asking(running)
    try:
        until(busy_for(worked_s, 3 * SHORT.hung_s))
    finally:
        (model / "burn").unlink()
    thread.join()
    assert answers == [{"answer": [[b"a goal"]]}]
    assert running.state["heals"] == heals
    assert running.stubs("sleeper")[0].pid == stub.pid


def busy_for(worked_s: Callable[[], float], wanted_s: float) -> Callable[[], bool]:
    return lambda: worked_s() >= wanted_s
