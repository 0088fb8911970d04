"""The search for the highest rate, and the report of a load test."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.common.charts import save
from benchmarks.common.machine import this_machine
from benchmarks.common.metrics import Stage
from benchmarks.common.open_loop import Arrivals, Run, Sent
from benchmarks.common.processes import ProcessUse
from benchmarks.common.wire import RequestOutcome
from benchmarks.load.closed_loop.figures import LocustFigures
from benchmarks.load.closed_loop.locust_run import LocustResult
from benchmarks.load.open_loop import pictures
from benchmarks.load.open_loop.command import closed_loop_of
from benchmarks.load.open_loop.report import Load, document, markdown, write_load
from benchmarks.load.open_loop.steps import Step, find_max
from infolens.contract import CONTRACTS, Task


def step(rate_per_s: float, latency_ms: float, outcome: RequestOutcome = RequestOutcome.ANSWERED) -> Step:
    sent = tuple(Sent(due_s=n / rate_per_s, latency_ms=latency_ms, outcome=outcome) for n in range(100))
    use = ProcessUse(name="bart", processes=2, cpu_s=1, cores=0.5, memory_bytes=10**8, peak_memory_bytes=10**8)
    stage = Stage(
        model="bart", requests=30, failures=4, batch=2.5, wait_ms=3.5, copy_ms=0.1, compute_ms=20.0, total_ms=24.0
    )
    arrivals = Arrivals(rate_per_s=rate_per_s, seconds=10)
    result = Run(arrivals=arrivals, sent=sent, reasons={}, behind_p99_ms=0.1)
    served = {Task.SUMMARY: CONTRACTS[Task.SUMMARY].served()}
    return Step(run=result, stages=(stage,), processes=(use,), memory=(), served=served)


@pytest.mark.parametrize("limit_per_s", [7.0, 33.0, 100.0, 170.0])
def test_the_search_finds_the_highest_rate_that_holds(limit_per_s: float) -> None:
    best, steps = find_max(
        lambda rate: step(rate, 100 if rate <= limit_per_s else 900), p99_ms=500, guess_per_s=100, resolution=0.02
    )
    assert limit_per_s - 2 <= best <= limit_per_s
    assert len(steps) < 16


def test_a_server_that_holds_nothing_is_told() -> None:
    best, _ = find_max(lambda rate: step(rate, 10, RequestOutcome.REFUSED), p99_ms=500, guess_per_s=8, resolution=0.1)
    assert best == 0


def loaded(*steps: Step) -> Load:
    return Load(
        steps=steps,
        p99_ms=500,
        best_per_s=20,
        searched=True,
        mix="new",
        articles="articles as long as real ones",
        machine=this_machine(),
        day=date(2026, 1, 2),
    )


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    load = loaded(step(10, 40), step(20, 90), step(30, 700), step(40, 5, RequestOutcome.REFUSED))
    paths = write_load(load, "python -m benchmarks load", tmp_path)
    assert all(path.stat().st_size for path in paths)
    assert not list(tmp_path.glob("*.partial*"))
    page = paths[0].read_text()
    assert "20.0 info_lens requests a second, all of them answered" in page
    assert page.count("data:image/png;base64,") == 3
    assert "does not hold" in page
    assert [one["rate_per_s"] for one in document(load)["steps"]] == [10, 20, 30, 40]
    assert document(load)["steps"][3]["refused"] == 100
    assert "| 40.0 | 100 | 0.0 |" in markdown(load, "x")


def test_the_picture_of_stages_has_the_models_that_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def look(figure: Any, path: Path) -> None:
        drawn.append([label.get_text() for label in figure.axes[0].get_yticklabels()])
        save(figure, path)

    monkeypatch.setattr(pictures, "save", look)
    work = {"requests": 9, "failures": 0, "batch": 1.0, "wait_ms": 1.0, "copy_ms": 0.0, "compute_ms": 5.0}
    starters = {task: contract.served() for task, contract in CONTRACTS.items()}
    served = {**starters, Task.CATEGORY: CONTRACTS[Task.CATEGORY].served("category_roberta")}
    models = [name for model in served.values() for name in model.chain]
    one = Step(
        run=Run(arrivals=Arrivals(rate_per_s=20.0), sent=(), reasons={}, behind_p99_ms=0.1),
        stages=tuple(Stage(model=model, total_ms=6.0, **work) for model in models),
        processes=(),
        memory=(),
        served=served,
    )
    pictures.draw_stages(one, this_machine(), tmp_path / "stages.png")
    names = ["summary\n(bart)", "category\n(category_roberta)", "veracity\n(xlnet)"]
    assert drawn == [["what a\ncaller waits", *names]]
    assert (tmp_path / "stages.png").stat().st_size > 0


def test_the_page_links_to_the_report_of_locust_that_lies_below_it(tmp_path: Path) -> None:
    html = tmp_path / "locust" / "locust.html"
    html.parent.mkdir()
    html.touch()
    times = {"p50_ms": 12.0, "p90_ms": 14.0, "p99_ms": None, "p999_ms": None, "max_ms": None}
    figures = LocustFigures(protocol="gRPC", name="info_lens", requests=9, failures=2, requests_per_s=4.5, **times)
    together = replace(figures, protocol="", name="all")
    result = LocustResult(figures=(figures, together), failures=(), html=html.resolve(), csvs=())
    page = write_load(loaded(step(10, 40)), "x", tmp_path, closed_loop_of(result, tmp_path))[0]
    (link,) = re.findall('href="([^"]+)"', page.read_text())
    assert (page.parent / link).samefile(html)
    assert page.read_text().count("<td>info_lens (gRPC)</td><td>9</td><td>2</td><td>4.5</td>") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "0"], "rate_per_s is a number above 0"),
        (["--rate", "1", "--kind", "category", "--set", "num_beams=4"], "for requests of category, not 'num_beams=4'"),
        (["--rate", "1", "--set", "beams=4"], "--set takes NAME=VALUE"),
        (["--rate", "1", "--set", "style=loose"], "--set style is free or extractive, not 'loose'"),
        (["--find-max", "--seconds", "1"], "at least 5 s a rate"),
    ],
)
def test_wrong_usage_is_told(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["load", *words])
    assert message in capsys.readouterr().err
