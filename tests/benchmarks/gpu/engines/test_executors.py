"""The parts that check, time and load the engine's executors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import engines
from benchmarks.gpu.parts import arrivals, executors
from engine.article import Article, Integers
from engine.executor import UnavailableError
from tests.benchmarks.gpu.conftest import DryRun
from tests.benchmarks.gpu.sent import Sent


def test_an_executor_writes_the_tokens_of_generate_and_answers_under_load(dry_run: DryRun) -> None:
    rows = [row for row in dry_run.rows("executor_check") if row["device"] == "cpu"]
    assert [(row["precision"], row["summaries"], row["equal"], row["passed"]) for row in rows] == [("fp32", 6, 6, True)]
    assert {row["batch"] for row in dry_run.rows("executors") if row["device"] == "cpu"} == {1, 3}
    loads = [row for row in dry_run.rows("arrivals") if row["device"] == "cpu"]
    assert [row["load"].partition(",")[0] for row in loads] == ["1 in flight", "6 in flight", *["random"] * 3]
    for row in loads:
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert 1 <= row["busy_slots"] <= row["slots"]


def test_other_tokens_fail_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    real = executors.summaries

    def forgetful(executor: Any, articles: Sequence[Article]) -> list[Integers]:
        found = real(executor, articles)
        found[1] = np.roll(found[1], 1)
        return found

    monkeypatch.setattr(executors, "summaries", forgetful)
    monkeypatch.setattr(executors, "devices_of", lambda _: ("cpu",))
    sent = Sent()
    with pytest.raises(executors.DifferentTokensError, match="cpu"):
        sent.by(executors.run)
    assert [row["equal"] for row in sent.rows("executor_check")] == [5]
    assert sent.rows("executors"), "what is wrong is measured nevertheless"


@pytest.mark.long
def test_a_device_that_is_not_there_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise UnavailableError("TensorRT is not installed: pip install a-wheel")

    monkeypatch.setitem(engines.DEVICES, "tensorrt", missing)
    for part in (executors, arrivals):
        monkeypatch.setattr(part, "devices_of", lambda _: ("tensorrt", "cpu"))
        sent = Sent().by(part.run)
        assert {row["device"] for row in sent.rows(part.TABLE)} == {"cpu"}
        reasons = [reason for what, reason in sent.skipped().items() if what.startswith("tensorrt")]
        assert reasons
        assert all("a-wheel" in reason for reason in reasons)


def test_searches_that_never_end_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.ort.cpu.CpuExecutor.done", lambda _: [])
    monkeypatch.setattr(executors, "devices_of", lambda _: ("cpu",))
    sent = Sent().by(executors.run)
    assert not sent.rows("executors")
    assert all("not over after" in reason for reason in sent.skipped().values())


def test_graphs_that_cannot_be_written_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        def save_pretrained(self, folder: Any) -> None:
            folder.mkdir()

    with pytest.raises(engines.GraphsError, match=r"config\.json"), engines.graphs_of(Model(), "fp32"):
        pass
