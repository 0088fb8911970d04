"""The command on the committed summarizer, and its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.common.server import ROOT, BenchmarkError
from benchmarks.engine import stepping
from benchmarks.engine.models import facts, in_steps, newest
from benchmarks.engine.profiles import read_profile


def test_both_sides_write_the_same_summaries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["engine", "--articles", "8", "--rounds", "1", "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    document = json.loads(shown.splitlines()[-1])
    assert code == 0, shown
    assert {path.name for path in tmp_path.iterdir()} == {"starter.md", "starter.json", "starter.png"}
    assert json.loads((tmp_path / "starter.json").read_text("utf-8")) == document
    assert all(case["same_summaries"] == case["articles"] for case in document["cases"])
    assert {case["group"] for case in document["cases"]} == {"alone", "busy", "mixed"}
    assert [(step["beams"], step["articles"]) for step in document["steps"]] == list(stepping.SHAPES)
    page = (tmp_path / "starter.md").read_text("utf-8")
    same = sum(case["articles"] for case in document["cases"])
    assert f"**Same summaries:** {same} of {same} articles" in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables if line.startswith("| as served")} == {15}
    assert any(line.startswith("| slots | 8 |") for line in tables)


def test_a_profile_counts_each_node_by_its_median(tmp_path: Path) -> None:
    def event(name: str, operator: str, us: float) -> dict[str, object]:
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": us, "args": {"op_name": operator}}

    events = [event("in_a", "Add", us) for us in (1, 2, 900)] + [event("in_b", "Add", us) for us in (5, 6, 7)]
    events += [event("out_c", "Mul", 3), {"cat": "Session", "name": "in_run", "dur": 5}]
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(events), encoding="utf-8")
    found = read_profile(path, side="slots", rows=2, belongs=lambda name: name.startswith("in_"))
    assert found.us == {"Add": 8}


def test_what_is_not_one_graph_in_int8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="has no version"):
        newest(tmp_path / "bart")
    with pytest.raises(BenchmarkError, match="cannot be read"):
        facts(tmp_path)
    (tmp_path / "artefact.json").write_text('{"precision": "fp16"}', encoding="utf-8")
    with pytest.raises(BenchmarkError, match="--repository"):
        facts(tmp_path)


def test_the_steps_are_written_once(tmp_path: Path) -> None:
    version = newest(ROOT / "model_repository" / "bart")
    first = in_steps(version, tmp_path)
    stamp = (first.folder / "step.onnx").stat().st_mtime_ns
    assert in_steps(version, tmp_path).folder == first.folder
    assert (first.folder / "step.onnx").stat().st_mtime_ns == stamp
    assert [folder.name for folder in tmp_path.iterdir()] == [first.folder.name]


@pytest.mark.parametrize("option", ["--articles", "--rounds", "--slots", "--workers"])
def test_nothing_cannot_be_measured(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["engine", option, "-1"])
    assert "is 1 or more, not -1" in capsys.readouterr().err
