"""The part that measures the whole server: a dry run of it, and which rates it tries."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.server import ROOT
from benchmarks.gpu.parts import served
from benchmarks.gpu.served import programs
from tests.benchmarks.gpu.sent import Sent

ASKED = {"tokens_in": 128, "tokens_out": 12, "beams": 4}


@pytest.mark.long
def test_a_server_of_random_models_is_started_and_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "gpu", "--dry-run", "--seconds", "280", "--part", "served"]
    command += ["--out", str(tmp_path), "--models", str(tmp_path / "models")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    document = json.loads(next(tmp_path.glob("*.json")).read_text("utf-8"))
    (part,) = document["parts"]
    assert (done.returncode, part["status"], part["skipped"]) == (0, "done", []), done.stderr + str(part)
    rows = part["tables"]["served"]
    assert [(row["asked"], row["load"]) for row in rows] == [
        *((asked, "one client") for asked in ("info_lens", "summary", "category", "veracity")),
        ("info_lens", "2 in flight"),
        ("info_lens", "10 a second, at random moments"),
    ]
    for row in rows:
        assert row["answered"] == row["requests"] > 0, done.stderr
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert {name: row[name] for name in ASKED} == ASKED
    stages = {row["model"]: row["requests"] for row in part["tables"]["served_stages"]}
    assert stages["bart"] == stages["info_lens"] == rows[-1]["requests"]
    processes = {row["process"]: row["processes"] for row in part["tables"]["served_processes"]}
    assert {"door", "tritonserver", "bart", "load generator"} <= set(processes)
    assert len(part["tables"]["served_start"]) == 4
    assert (tmp_path / "models" / "bart" / "configs" / "cuda.pbtxt").is_file()
    assert str(tmp_path) not in str(document["settings"])


class FakeAsking:
    """A server that holds up to ``most_per_s``."""

    def __init__(self, most_per_s: float) -> None:
        self.most_per_s = most_per_s
        self.asked: list[tuple[str, float]] = []

    def at_rate(
        self, rate_per_s: float, seconds: float, warmup_s: float, p99_ms: float, limit_s: float, kind: str
    ) -> dict[str, Any]:
        assert (seconds, warmup_s, p99_ms) == (5, 2, 500)
        self.asked.append((kind, rate_per_s))
        holds = rate_per_s <= self.most_per_s
        latency = {"p50": 100.0, "p99": 200.0 if holds else 900.0}
        return {
            "sent": 10, "answered": 10, "answered_per_s": rate_per_s, "latency_ms": latency, "holds": holds,
            "models": [], "processes": [],
        }  # fmt: skip


@pytest.mark.parametrize(
    ("most_per_s", "tried_per_s"), [(1000, [300, 375, 468.75]), (200, [300, 150, 225]), (360, [300, 375, 337.5])]
)
def test_rates_close_in_on_the_highest_that_holds(most_per_s: float, tried_per_s: list[float]) -> None:
    asking, sent = FakeAsking(most_per_s), Sent()
    plan = replace(served._PLAN, halvings=2, tasks=("category",))
    served._rates(sent.context, plan, asking)  # type: ignore[arg-type]
    assert asking.asked == [*(("info_lens", rate) for rate in tried_per_s), ("category", 300)]
    assert not sent.skipped()
    assert [row["holds"] for row in sent.rows("served")] == [rate <= most_per_s for _, rate in asking.asked]


def test_where_the_packages_of_the_server_are_missing_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_NEEDED", ("json", "nothing_of_this_name"))
    sent = Sent().by(served.run)
    assert not sent.rows("served")
    assert "nothing_of_this_name" in sent.skipped()["Triton over gRPC"]


def test_a_program_that_fails_or_hangs_is_told_by_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(programs.ProgramError, match=r"benchmarks ended with exit code 2: .*invalid choice: 'nothing'"):
        programs.run(["benchmarks", "nothing"], tmp_path, limit_s=60)
    with pytest.raises(programs.ProgramError, match=r"^http.server was ended after 0 s: it said nothing$"):
        programs.run(["http.server", "--bind", "127.0.0.1", "0"], tmp_path, limit_s=0.2)
