"""The report of a run: what stands in it, and that no result of a part can keep it from being written."""

from __future__ import annotations

import itertools
import json
from datetime import date
from pathlib import Path

import pytest

from benchmarks.common.machine import Machine
from benchmarks.gpu.children.child import Status
from benchmarks.gpu.context import Cell, Row, Skipped
from benchmarks.gpu.plan import Part
from benchmarks.gpu.report import pictures
from benchmarks.gpu.report.cells import table
from benchmarks.gpu.report.files import stem_of, summary, write
from benchmarks.gpu.report.headlines import in_short
from benchmarks.gpu.report.page import Facts
from benchmarks.gpu.run import PartResult, Run

DAY = date(2026, 11, 26)
FACTS = Facts(
    command="python -m benchmarks gpu",
    machine=Machine(cpu="Some CPU", cores=16, memory_bytes=2**37, system="Linux x86_64"),
    day=DAY,
)
PART = Part(name="measured", title="What was measured", share_s=10)
LATER = Part(name="later", title="What was not begun", share_s=10)
PNG = b"\x89PNG"


def run_of(*rows: Row, skipped: tuple[Skipped, ...] = (), toy: bool = False) -> Run:
    result = PartResult(
        part=PART, limit_s=20, status=Status.DONE, reason="", seconds=12, rows=list(rows), skipped=list(skipped)
    )
    return Run(card="NVIDIA H100 80GB HBM3", toy=toy, parts=(PART, LATER), seconds=480, results=[result], took_s=30)


def row(name: str, **cells: Cell) -> Row:
    return Row(table=name, cells=cells)


def whole_run() -> Run:
    rows = [row("step", batch=1, beams=4, way=way, step_ms=ms, floor_ms=0.2, times_floor=ms / 0.2)
            for way, ms in (("eager", 4.0), ("graph", 0.45))]  # fmt: skip
    rows += [row("sweep", batch=batch, beams=beams, articles_per_s=40.0 * batch**0.5, ms=1.0)
             for batch, beams in itertools.product((1, 8, 32), (1, 4))]  # fmt: skip
    kernel = f"void at::native::kernel<{'x' * 80}"
    rows += [row("kernels", kernel=f"{kernel}, {index}>", calls=24, us=90.0 / index, share=0.1)
             for index in range(1, 20)]  # fmt: skip
    cases = itertools.product(("DistilBERT", "XLNet"), (1, 8), ("eager", "graph"))
    rows += [row("classifiers", model=model, tokens=128, batch=batch, way=way, p50_ms=0.1 * batch, floor_ms=0.02)
             for model, batch, way in cases]  # fmt: skip
    rows += [row("training", model="BART", precision="bf16", batch=batch, checkpointing=batch > 8, samples_per_s=80.0,
                 memory_gb=12.0) for batch in (8, 16)]  # fmt: skip
    return run_of(*rows, skipped=(Skipped(table="sweep", what="batch 64 | 128", reason="OutOfMemoryError: too much"),))


def test_the_files_are_few_and_named_after_card_and_day(tmp_path: Path):
    run = whole_run()
    stem = tmp_path / "reports" / stem_of(run, (), DAY)
    paths = write(run, FACTS, stem, pictures=True)
    name = "nvidia-h100-80gb-hbm3-2026-11-26"
    wanted = {f"{name}.md", f"{name}.json", *(f"{name}-{one}.png" for one in pictures.PICTURES)}
    assert {path.name for path in paths} == {path.name for path in stem.parent.iterdir()} == wanted
    assert len(wanted) <= 8
    assert all(path.read_bytes().startswith(PNG) for path in paths if path.suffix == ".png")


def test_parts_that_were_chosen_do_not_take_the_name_of_a_whole_run():
    assert stem_of(run_of(), ["training"], DAY) == "nvidia-h100-80gb-hbm3-2026-11-26-training"
    many = ["preflight", "pieces", "peers", "training"]
    assert stem_of(run_of(), many, DAY) == "nvidia-h100-80gb-hbm3-2026-11-26-preflight-and-3-more"
    assert stem_of(run_of(toy=True), (), DAY) == "dry-run-2026-11-26"


def test_the_page_says_what_was_measured_what_was_not_and_why(tmp_path: Path):
    page = write(whole_run(), FACTS, tmp_path / "run", pictures=True)[0].read_text(encoding="utf-8")
    assert "Some CPU, 16 cores" in page
    assert "`python -m benchmarks gpu`: 30 s of at most 480" in page
    assert "| What was not begun | **not begun** |" in page
    assert r"- sweep: batch 64 \| 128 (OutOfMemoryError: too much)" in page
    assert "| batch | beams | articles/s | ms |" in page
    assert "](run-sweep.png)" in page
    assert "Cut off" not in page


def test_an_interrupted_run_says_so(tmp_path: Path):
    run = run_of()
    run.cut_off = True
    page, document = write(run, FACTS, tmp_path / "run", pictures=True)
    assert "**Cut off:**" in page.read_text(encoding="utf-8")
    assert json.loads(document.read_text(encoding="utf-8"))["cut_off"] is True


def test_the_document_has_everything(tmp_path: Path):
    run = whole_run()
    run.settings["best_batch"] = 32
    document = json.loads(write(run, FACTS, tmp_path / "run", pictures=False)[1].read_text(encoding="utf-8"))
    assert (document["card"], document["date"], document["not_begun"]) == (run.card, "2026-11-26", ["later"])
    assert document["settings"] == {"best_batch": 32}
    (part,) = document["parts"]
    assert part["status"] == "done"
    assert len(part["tables"]["kernels"]) == 19
    assert part["skipped"][0]["what"] == "batch 64 | 128"
    assert summary(run, [])["parts"] == [
        {"name": "measured", "status": "done", "seconds": 12, "rows": 37, "skipped": 1}
    ]


def test_the_opening_holds_the_best_figures_against_their_aims():
    lines = in_short(whole_run())
    step, whole, rate = lines[4:]
    assert "| 0.45 | 0.5 | met | 0.2 | 2.25 | graph |" in step
    assert "| 1 | 35 | met |" in whole
    assert "| 226 | 300 | **missed** |" in rate
    assert "batch 32" in rate


def test_a_figure_of_other_work_is_no_headline():
    rows = [row("step", batch=1, beams=1, step_ms=0.1), row("step", batch=8, beams=4, step_ms=0.1)]
    rows += [row("whole", batch=1, beams=4, tokens_in=512, tokens_out=142, ms=10.0)]
    assert in_short(run_of(*rows))[2:] == ["No figure with an aim was measured: the parts below say why."]
    assert "small models" in in_short(run_of(row("step", batch=1, beams=4, step_ms=0.1), toy=True))[2]


def test_a_table_has_all_columns_and_readable_numbers():
    rows: list[dict[str, Cell]] = [
        {"way": "a | b", "batch": 1024, "step_ms": 0.123456, "share": 0.25},
        {"way": None, "times_floor": 1234.5, "met": True},
    ]
    assert table(rows) == [
        "| way | batch | step ms | share | times the floor | met |",
        "|---|---:|---:|---:|---:|---|",
        "| a \\| b | 1,024 | 0.123 | 25.0% |  |  |",
        "|  |  |  |  | 1,234 | yes |",
    ]


@pytest.mark.parametrize("name", pictures.PICTURES)
@pytest.mark.parametrize(
    "rows", [[], [{}], [{"batch": None, "articles_per_s": "nan", "us": "", "p50_ms": True, "samples_per_s": None}]]
)
def test_rows_that_lack_what_a_picture_needs_give_none(name: str, rows: list[dict[str, Cell]], tmp_path: Path):
    assert pictures.draw(name, rows, "a card", tmp_path / "run") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("sweep", {"batch": 4, "articles_per_s": 10}),
        ("kernels", {"us": 3}),
        ("classifiers", {"batch": 4, "p50_ms": 1.5}),
        ("training", {"samples_per_s": 7}),
    ],
)
def test_a_picture_needs_no_other_columns(name: str, cells: dict[str, Cell], tmp_path: Path):
    picture = pictures.draw(name, [cells, cells], "a card", tmp_path / "run")
    assert picture is not None
    assert picture.path.read_bytes().startswith(PNG)


def test_a_picture_that_fails_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def draw(name: str, *_: object) -> None:
        raise ZeroDivisionError(f"no {name}")

    monkeypatch.setattr(pictures, "draw", draw)
    page, document = write(whole_run(), FACTS, tmp_path / "run", pictures=True)
    assert "sweep: ZeroDivisionError: no sweep" in page.read_text(encoding="utf-8")
    assert json.loads(document.read_text(encoding="utf-8"))["parts"]


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        ([True, True, None], "yes, in 8 summaries"),
        ([True, False], "no (the check 1): times below are those of a step that is wrong"),
        ([], "not compared in this run"),
    ],
)
def test_the_opening_says_first_whether_the_step_is_right(passed: list[bool | None], words: str):
    rows = [row("check", check=f"the check {i}", summaries=4, passed=one) for i, one in enumerate(passed)]
    assert in_short(run_of(*rows))[0] == f"**The step writes the tokens of `transformers` in fp32:** {words}."
