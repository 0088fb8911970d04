"""The matrix of ways to train, its report, and the model that predicts other clusters."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infolens.contract import Task
from tests.training.toys import small, toy_file
from training.cli import main
from training.errors import RunError, SettingError, TrackingError
from training.loop.jobs import Outcome, WorkerFigures
from training.runs import compare_runs, comparing
from training.runs.compare_report import cost_model, markdown
from training.runs.comparing import Matrix, cells, compare
from training.runs.cost_model import CostModel, fit_bandwidth, fit_compute, plan
from training.runs.planning import Plan, error_range, plan_table, step_errors
from training.tracking.client import WORKED_S, Tracking, open_client

ROOT = Path(__file__).parents[3]


def test_the_matrix_shares_out_the_same_articles() -> None:
    recipe = small(per_device_train_batch_size=16, cpus_per_worker=1)
    every = cells(recipe, Matrix())
    assert list(every) == [
        "1 worker", "2 workers, DDP", "2 workers, FSDP", "4 workers, DDP", "4 workers, FSDP", "batch 8", "batch 32",
        "precision bf16", "accumulation 4 x 4",
    ]  # fmt: skip
    same = [cell.articles_per_step for name, cell in every.items() if not name.startswith("batch")]
    assert set(same) == {16}
    assert every["4 workers, FSDP"].strategy == "fsdp"
    assert every["precision bf16"].precision == "bf16"


def _measure(step_ms: float, workers: int) -> Outcome:
    worker = WorkerFigures(peak_memory_bytes=10**8, step_ms=step_ms, train_s=step_ms / 10, threads=1)
    history = [{"step": 8, "eval_loss": 0.5, "eval_accuracy": 0.9, "eval_macro_f1": 0.8}]
    return Outcome(
        checkpoint=Path(), history=history, workers=(worker,) * workers, steps=8, resumed_step=0,
        parameter_bytes=4 * 10**6,
    )  # fmt: skip


class _Measured:
    """Stands in for the training of cells: says what was asked for, and breaks off at the third cell, once."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.asked = error, list[str]()

    def __call__(self, task: Task, recipe: Any, *_: Any, **__: Any) -> Outcome:
        self.asked.append(f"{recipe.strategy} {recipe.workers}")
        if len(self.asked) == 3:
            raise self.error
        return _measure(20 + 100 / recipe.workers, recipe.workers)


THREE_CELLS = Matrix(batches=(), precisions=("fp32",), accumulations=(1,), workers=(1, 2))


def test_a_comparison_that_was_cut_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _Measured(RunError("a worker died"))
    monkeypatch.setattr(comparing, "run", run)
    for name in ("ray_ahead", "ray_for"):
        monkeypatch.setattr(comparing, name, lambda *_, **__: nullcontext())
    recipe = small(data=str(toy_file(Task.VERACITY, tmp_path / "data.csv")), teacher=0.0)
    with pytest.raises(RunError):
        compare(Task.VERACITY, recipe, tmp_path / "out", THREE_CELLS)
    assert run.asked == ["single 1", "ddp 2", "fsdp 2"]
    report = compare(Task.VERACITY, recipe, tmp_path / "out", THREE_CELLS)
    assert run.asked[3:] == ["fsdp 2"]
    assert report["cells"]["2 workers, DDP"]["speed_up"] == pytest.approx(12 / 7)
    assert report["cells"]["2 workers, DDP"]["efficiency"] == pytest.approx(6 / 7)
    page = (tmp_path / "out" / "compare.md").read_text()
    assert "| 2 workers, FSDP | 7.0 s | 1.71 | 86% | 70 ms | 100 MB | 0.5000 | 0.9000 | 0.8000 |" in page
    assert (tmp_path / "out" / "compare.png").stat().st_size > 10_000
    assert not (tmp_path / "out" / "mlflow.json").exists()
    with pytest.raises(SettingError, match=r"holds a comparison of another recipe"):
        compare(Task.VERACITY, small(seed=5, data=recipe.data), tmp_path / "out", THREE_CELLS)


@pytest.mark.filterwarnings("ignore")
def test_a_comparison_that_is_stopped_goes_on_in_the_same_runs(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "run", _Measured(KeyboardInterrupt()))
    for name in ("ray_ahead", "ray_for"):
        monkeypatch.setattr(comparing, name, lambda *_, **__: nullcontext())
    recipe = small(data=str(toy_file(Task.VERACITY, tmp_path / "data.csv")), teacher=0.0)
    client = open_client(tracking)

    def runs() -> dict[str, Any]:
        experiment = client.get_experiment_by_name("test")
        return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}

    with pytest.raises(KeyboardInterrupt):
        compare(Task.VERACITY, recipe, tmp_path / "out", THREE_CELLS, tracking=tracking)
    stopped = runs()
    assert {name: run.info.status for name, run in stopped.items()} == {
        "compare out": "KILLED", "1 worker": "FINISHED", "2 workers, DDP": "FINISHED", "2 workers, FSDP": "KILLED",
    }  # fmt: skip
    with monkeypatch.context() as patch:  # MLflow is away for the last cell and the report
        patch.setattr(compare_runs, "send_figures", _away)
        with pytest.raises(TrackingError, match=r"the comparison is whole, in .*out, but MLflow did not take it: away"):
            compare(Task.VERACITY, recipe, tmp_path / "out", THREE_CELLS, tracking=tracking)
    assert runs()["compare out"].info.status == "FAILED"
    report = compare(Task.VERACITY, recipe, tmp_path / "out", THREE_CELLS, tracking=tracking)
    ended = runs()
    assert {name: run.info.run_id for name, run in ended.items()} == {
        name: run.info.run_id for name, run in stopped.items()
    }
    assert {run.info.status for run in ended.values()} == {"FINISHED"}
    parent = ended.pop("compare out")
    assert float(parent.data.tags[WORKED_S]) > 0
    for name, run in ended.items():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.metrics["cost/speed_up"] == pytest.approx(report["cells"][name]["speed_up"])
        assert run.data.metrics["validation/macro_f1"] == 0.8
    assert ended["2 workers, FSDP"].data.params["strategy"] == "fsdp"
    assert len(client.get_metric_history(ended["1 worker"].info.run_id, "cost/step_ms")) == 1
    assert "compare.png" in {item.path for item in client.list_artifacts(parent.info.run_id)}


def _away(*_: Any) -> None:
    raise ConnectionError("away")


def test_the_cost_model_finds_the_costs_that_made_the_steps() -> None:
    fixed, article = fit_compute([8, 16, 32], [30 + 2 * 8, 30 + 2 * 16, 30 + 2 * 32])
    assert (fixed, article) == pytest.approx((30, 2))
    assert fit_compute([8], [16.0]) == (0.0, 2.0)
    model = CostModel(fixed_ms=30, article_ms=2, parameter_bytes=400_000_000, bandwidth_gb_s=10)
    assert model.exchange_ms(1, "ddp") == 0
    assert model.exchange_ms(2, "ddp") == pytest.approx(40)  # 2 x 1/2 x 0.4 GB at 10 GB/s
    assert model.exchange_ms(4, "fsdp") == pytest.approx(90)  # 3 x 3/4 x 0.4 GB
    assert fit_bandwidth(40, workers=2, strategy="ddp", parameter_bytes=400_000_000) == pytest.approx(10)
    step = model.step_ms(articles=16, workers=4, strategy="fsdp", accumulation=2, share=0.5)
    assert step == pytest.approx((30 + 2 * 16 * 2) / 0.5 + 2 * 90)


def test_a_plan_gains_from_workers_and_loses_to_exchange() -> None:
    model = CostModel(fixed_ms=0, article_ms=10, parameter_bytes=1_600_000_000, bandwidth_gb_s=20)
    rows = plan(model, articles=160_000, epochs=2, per_device=16, workers=[1, 2, 8], strategy="ddp")
    assert rows[0]["hours"] == pytest.approx(160_000 * 2 * 10 / 3.6e6)
    assert rows[0]["speed_up"] == rows[0]["efficiency"] == 1
    assert 1 < rows[1]["speed_up"] < 2
    assert rows[2]["speed_up"] > rows[1]["speed_up"]
    assert rows[2]["efficiency"] < rows[1]["efficiency"]
    assert rows[1]["exchange_share"] == pytest.approx(80 / 240)


def test_the_committed_report_is_what_its_figures_say(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = ROOT / "training" / "results" / "compare.json"
    report = json.loads(file.read_text())
    assert (file.parent / "compare.md").read_text() == markdown(report)
    assert cost_model(report).article_ms > 0
    arguments = ["--articles", "100000", "--workers", "1,4", "--article-ms", "12", "--bandwidth-gb-s", "25"]
    assert main(["plan", "--report", str(file), *arguments, "--parameters-m", "406"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = ["workers", "step", "training", "speed-up", "efficiency", "exchange", "error", "on", "measured", "cells"]
    assert lines[0].split() == head
    assert lines[2].split()[0] == "4"
    assert "+13% to +40%" in lines[2]
    assert (
        "With --article-ms, --bandwidth-gb-s, --parameters-m of your own nothing in the table was measured" in lines[-1]
    )
    (tmp_path / "x.json").write_text("{}")
    assert main(["plan", "--report", str(tmp_path / "x.json"), *arguments]) == 2
    assert "is no compare.json of a comparison" in capsys.readouterr().err
    assert main(["plan", "--report", str(file), "--articles", "5", "--workers", "0"]) == 2
    assert "--workers is a list of numbers from 1 on" in capsys.readouterr().err


def test_a_plan_for_a_device_is_an_estimate_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    file = ROOT / "training" / "results" / "compare.json"
    words = ["plan", "--report", str(file), "--articles", "360000", "--epochs", "1", "--workers", "1", "--batch", "10"]
    device = ["--device", "a100", "--article-tflop", "3.12"]
    assert main([*words, *device, "--utilisation", "0.1"]) == 0
    _, row, *notes = capsys.readouterr().out.splitlines()
    assert "1000 ms" in row, "3.12 of 31.2 TFLOPS take 100 ms an article"
    assert "10.00 h" in row
    assert row.endswith("unknown: an estimate")
    assert "100.0 ms an article on a100 follow from its operations" in "\n".join(notes)
    assert notes[-1] == "--parameters-m and --bandwidth-gb-s are those of the comparison's machine: give your own."
    assert main([*words, *device, "--parameters-m", "406", "--bandwidth-gb-s", "10"]) == 0
    quicker = capsys.readouterr().out
    assert "500 ms" in quicker
    assert "give your own" not in quicker
    for wrong, message in (
        (["--device", "abacus", "--article-tflop", "1"], "--device is one of l4, a100, h100, not 'abacus'"),
        (["--device", "l4", "--article-tflop", "0"], "--article-tflop is above 0, not 0"),
        ([*device, "--utilisation", "1.5"], "--utilisation is a share above 0 and at most 1, not 1.5"),
        (["--device", "l4"], "--device takes --article-tflop"),
        ([*device, "--article-ms", "3"], "leave that out"),
        (["--article-tflop", "1"], "name it with --device"),
    ):
        assert main([*words, *wrong]) == 2
        assert message in capsys.readouterr().err


def _report(cells: dict[str, tuple[int, str, int, float]]) -> dict[str, Any]:
    """A report of cells: name -> workers, strategy, batch of a worker, milliseconds of a step."""
    names = ("workers", "strategy", "per_device_train_batch_size", "step_ms")
    more = {"gradient_accumulation_steps": 1, "parameter_bytes": 10**7, "threads": 1}
    measured = {name: more | dict(zip(names, cell, strict=True)) for name, cell in cells.items()}
    return {"machine": "a test", "cores": 64, "gpus": 0, "cells": measured}


MEASURED = {
    "1 worker": (1, "single", 16, 30.0 + 2 * 16),
    "batch 8": (1, "single", 8, 30.0 + 2 * 8),
    "batch 32": (1, "single", 32, 30.0 + 2 * 32),
    "2 workers, DDP": (2, "ddp", 8, 30.0 + 2 * 8 + 20),
}


def test_a_plan_says_how_far_its_model_was_off_where_it_could_be_checked() -> None:
    exact = step_errors(_report(MEASURED))
    # The two DDP workers gave the bandwidth, so that they test nothing.
    assert exact == {name: pytest.approx(0, abs=1e-9) for name in ("1 worker", "batch 8", "batch 32")}
    more = {"4 workers, DDP": (4, "ddp", 4, 2 * (30.0 + 2 * 4 + 30)), "4 workers, FSDP": (4, "fsdp", 4, 166.0)}
    report = _report({**MEASURED, "batch 8": (1, "single", 8, 2 * 46.0), **more})
    errors = step_errors(report)
    assert errors["batch 8"] == pytest.approx(-0.5), "the model of the other two batches says 46 ms"
    assert errors["4 workers, DDP"] < 0
    several = [errors[name] for name in more]
    assert error_range(report, errors, 4) == f"{min(several):+.0%} to {max(several):+.0%}"
    assert error_range(report, errors, 1) != error_range(report, errors, 4)


def test_a_plan_says_where_nothing_was_measured(tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text(json.dumps(_report(MEASURED)))
    wanted = Plan(workers=(1, 2, 8), strategy="ddp", articles=1000, epochs=1.0, per_device=16)
    one, two, eight = plan_table(tmp_path / "compare.json", wanted).splitlines()[1:4]
    assert one.endswith("+0% to +0%")
    assert two.endswith("unknown: 0 measured cell(s), too few to say")
    assert eight.endswith("too few to say; extrapolated: at most 2 worker(s) were measured")
    wanted = replace(wanted, strategy="fsdp", per_device=64)
    _, one, two, *_ = plan_table(tmp_path / "compare.json", wanted).splitlines()
    assert one.endswith("; extrapolated: batches of 8 to 32 were measured")
    assert "extrapolated: FSDP was not measured, batches of 8 to 32 were measured" in two
