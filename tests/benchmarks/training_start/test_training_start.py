"""What `training-start` reads off a training run; the stand-in for `training` is a process, as the real one is."""

import csv
import json
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.common.machine import this_machine
from benchmarks.common.server import ROOT, BenchmarkError
from benchmarks.training_start import measurement
from benchmarks.training_start.articles import write_table
from benchmarks.training_start.config import Side, StartConfig, sides_of
from benchmarks.training_start.measurement import Compared, Start, train
from benchmarks.training_start.report import markdown

BALLAST_BYTES = 60_000_000
STAND_IN = f"""
import os, subprocess, sys, time
from pathlib import Path
table = Path(sys.argv[sys.argv.index("--data") + 1])
print(*sys.argv[1:], table.is_file(), os.environ.get("MLFLOW_TRACKING_URI"), os.environ["PYTHONPATH"], flush=True)
Path("words").write_text(" ".join(sys.argv[1:]))
print("13:00:00 starting", file=sys.stderr, flush=True)
busy = "import time; ballast = b'x' * {BALLAST_BYTES}\\nwhile time.process_time() < 0.5: pass"
subprocess.run([sys.executable, "-c", busy], check=True)
for step in (3, 4):
    print(f"(Worker pid=7) 13:00:01 step {{step}} of 4; loss 2.3, 10 articles/s", file=sys.stderr, flush=True)
sys.exit(int(os.environ.get("STAND_IN_EXIT", 0)))
"""


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A checkout whose ``training`` is the stand-in."""
    folder = tmp_path / "before"
    (folder / "training").mkdir(parents=True)
    (folder / "training" / "__init__.py").touch()
    (folder / "training" / "__main__.py").write_text(STAND_IN, encoding="utf-8")
    return folder


def test_a_run_is_measured_with_what_it_starts(other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    run = tmp_path / "run"
    run.mkdir()
    found = train(Side(name="stand-in", root=other, workers=2), run, steps=4, look_s=0.02)
    assert (run / "words").read_text(encoding="utf-8") == (
        "fit category --data articles.csv --base starter --set max_steps=4 --set logging_steps=1 --set workers=2 "
        "--out checkpoint"
    )
    assert found.first_step == 3
    assert 0 < found.first_step_s <= found.run_s
    assert found.peak_bytes > BALLAST_BYTES
    assert found.cpu_s > 0.3  # most of what the process below it took


def test_a_run_that_fails_says_what_it_said(other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    monkeypatch.setenv("STAND_IN_EXIT", "3")
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(BenchmarkError, match=r"run of mine ended with exit code 3.*") as raised:
        train(Side(name="mine", root=other), run, steps=4)
    assert f"True None {other / 'clients'}:{other}" in str(raised.value)
    (other / "training" / "__main__.py").write_text("print('done')", encoding="utf-8")
    monkeypatch.setenv("STAND_IN_EXIT", "0")
    with pytest.raises(
        BenchmarkError, match=r'told of no step: no line says "step 1 of \.\.\."; its last lines:\ndone'
    ):
        train(Side(name="mine", root=other), run, steps=4)


def test_sides_take_turns_and_the_report_has_each(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, int | None, Path, list[Path]]] = []

    def fake(side: Side, folder: Path, *, steps: int) -> Start:
        ran.append((side.name, side.workers, side.root, list(folder.iterdir())))
        number = float(len(ran))
        return Start(first_step_s=number, first_step=1, run_s=10 * number, peak_bytes=10**9, cpu_s=5.0)

    monkeypatch.setattr(measurement, "train", fake)
    words = ["training-start", "--against", str(other), "--rounds", "3", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    names = ["workers=0", "workers=1", "other checkout (before)"]
    assert ran == 3 * [(names[0], 0, ROOT, []), (names[1], 1, ROOT, []), (names[2], None, other, [])]
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document == json.loads((tmp_path / "out" / "training_start.json").read_text(encoding="utf-8"))
    assert document["sides"]["workers=1"]["median"]["first_step_s"] == 5.0
    assert [one["run_s"] for one in document["sides"][names[2]]["runs"]] == [30.0, 60.0, 90.0]
    page = (tmp_path / "out" / "training_start.md").read_text(encoding="utf-8")
    assert "| workers=0 | 4.0 (1.0 to 7.0) | 40.0 (10.0 to 70.0) | 1,000 (1,000 to 1,000) | 5.0 (5.0 to 5.0) |" in page
    assert "`python -m benchmarks training-start --against before`" in page
    assert str(tmp_path) not in page


def test_a_log_that_does_not_tell_of_step_1_is_named() -> None:
    start = Start(first_step_s=2.0, first_step=25, run_s=3.0, peak_bytes=10**8, cpu_s=1.0)
    found = Compared(config=StartConfig(rounds=1), starts={"workers=0": (start,)})
    assert "in some runs step 25, not 1" in markdown(found, this_machine(), date(2026, 1, 1), "command")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rounds", "0"], "rounds is at least 1, not 0"),
        (["--workers", "-1"], "workers is 0 (no Ray) or more, not -1"),
        (["--against", "nowhere"], "the other checkout has training/__main__.py, but"),
    ],
)
def test_what_cannot_be_run_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["training-start", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_table_is_the_same_each_time_and_as_it_is_said_to_be(tmp_path: Path) -> None:
    table = write_table(tmp_path / "one.csv")
    assert table.read_bytes() == write_table(tmp_path / "two.csv").read_bytes()
    with table.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    lengths = [len(row["text"].split()) for row in rows]
    assert (len(rows), len({row["text"] for row in rows})) == (400, 400)
    assert 5 <= min(lengths) < 10 < 55 < max(lengths) <= 60
    assert Counter(Counter(row["label"] for row in rows).values()) == {40: 10}
    assert Counter(row["split"] for row in rows) == {"train": 320, "validation": 40, "test": 40}
    assert all(re.fullmatch(r"[A-Z][a-z ]+\.", row["text"]) for row in rows)


def test_without_another_checkout_ours_runs_both_ways() -> None:
    assert [(side.workers, side.root) for side in sides_of(StartConfig())] == [(0, ROOT), (1, ROOT)]


@pytest.mark.slow
def test_our_own_log_tells_of_the_first_step(tmp_path: Path) -> None:
    found = train(Side(name="ours", workers=0), tmp_path, steps=2)
    assert found.first_step == 1
    assert found.first_step_s < found.run_s
    assert (tmp_path / "mlruns" / "mlflow.db").is_file()
    assert (tmp_path / "checkpoint" / "metrics.json").is_file()
