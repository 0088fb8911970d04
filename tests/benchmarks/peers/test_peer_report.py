import json
from datetime import date
from pathlib import Path

import pytest

from benchmarks.common.machine import Machine
from benchmarks.peers.report import document, markdown, write
from benchmarks.peers.roofline import Rates
from benchmarks.peers.run import EngineMeasurement, TaskMeasurement
from benchmarks.peers.workload import workload_of
from infolens.contract import Task

MACHINE = Machine(cpu="A Processor", cores=2, memory_bytes=2**34, system="Linux x86_64")
RATES = Rates(bandwidth_bytes_per_s=50e9, int8_operations_per_s=1e12, fp32_operations_per_s=3e11)


def measurement(task: Task = Task.SUMMARY) -> TaskMeasurement:
    return TaskMeasurement(
        workload=workload_of(task),
        size="full",
        rounds=3,
        threads=2,
        rates=RATES,
        minimum_s={1: 0.5, 4: 1.25},
        engines=[
            EngineMeasurement(
                engine="infolens",
                seconds={1: [1.0, 2.0, 1.0], 4: [3.0, 3.0, 3.0]},
                answers={1: [[2, 0, 7]], 4: [[2, 0, 7], [2, 0, 8], [2, 0, 9], [2, 0, 9]]},
                versions={"onnxruntime": "1.0"},
                memory_bytes=700_000_000,
            ),
            EngineMeasurement(engine="optimum", status="not offered", reason="no | export\nat all"),
            EngineMeasurement(engine="openvino", status="failed", reason="out of memory", seconds={1: [1.0]}),
            EngineMeasurement(
                engine="transformers",
                seconds={1: [4.0, 8.0, 3.0], 4: [6.0, 9.0, 12.0]},
                answers={1: [[2, 0, 7]], 4: [[2, 0, 7], [2, 0, 8], [2, 0, 9], [2, 0, 1]]},
                idle_cores=0.5,
            ),
        ],
    )


def test_the_document_compares_round_by_round_and_with_the_floor():
    doc = document(measurement(), MACHINE, date(2030, 1, 2))
    one = {figures["engine"]: figures for figures in doc["batches"][0]["engines"]}
    assert set(one) == {"infolens", "transformers"}
    assert one["transformers"]["times_infolens"] == {"median": 4.0, "minimum": 3.0, "maximum": 4.0}
    assert one["infolens"]["times_floor"] == 2.0
    assert one["infolens"]["same_summaries"] == 1.0
    four = {figures["engine"]: figures for figures in doc["batches"][1]["engines"]}
    assert four["infolens"]["articles_per_s"] == pytest.approx(4 / 3)
    assert four["infolens"]["same_summaries"] == 0.75
    assert [engine["status"] for engine in doc["engines"]] == ["measured", "not offered", "failed", "measured"]


def test_probabilities_are_compared_by_their_difference():
    found = measurement(Task.CATEGORY)
    found.engines[0].answers = {1: [[0.25, 0.75]], 4: [[0.5, 0.5]] * 4}
    found.engines[3].answers = {1: [[0.5, 0.5]], 4: [[0.5, 0.5]] * 4}
    doc = document(found, MACHINE, date(2030, 1, 2))
    assert doc["batches"][0]["engines"][0]["largest_probability_difference"] == 0.25


def test_without_our_engine_and_without_the_exact_one_there_is_no_comparison():
    found = measurement()
    del found.engines[0]
    figures = document(found, MACHINE, date(2030, 1, 2))["batches"][0]["engines"][0]
    assert "times_infolens" not in figures
    assert "same_summaries" not in figures
    assert "| transformers, fp32 | 1 |" in markdown(document(found, MACHINE, date(2030, 1, 2)), "x.png")


def test_the_table_names_machine_date_reasons_and_restless_engines():
    text = markdown(document(measurement(), MACHINE, date(2030, 1, 2)), "picture.png")
    assert "A Processor, 2 cores, 16 GiB" in text
    assert "2030-01-02" in text
    assert "![summary](picture.png)" in text
    assert "**not offered**: no \\| export<br>at all" in text
    assert "**failed**: out of memory" in text
    assert "| transformers, fp32 | 1 | 4000.0 (3000.0 to 8000.0) | 0.25 | 4.00 (3.00 to 4.00) | 8.0 |  |" in text
    assert "transformers, fp32 0.50" in text


def test_three_files_are_written_and_nothing_else(tmp_path: Path):
    doc = document(measurement(), MACHINE, date(2030, 1, 2))
    paths = write(doc, tmp_path / "results")
    assert sorted(tmp_path.glob("results/*")) == sorted(paths)
    assert [path.name for path in paths] == ["summary.md", "summary.json", "summary.png"]
    assert json.loads(paths[1].read_text(encoding="utf-8")) == json.loads(json.dumps(doc))
    assert paths[2].read_bytes().startswith(b"\x89PNG")


def test_a_picture_can_be_drawn_when_nothing_was_measured(tmp_path: Path):
    found = measurement()
    for engine in found.engines:
        engine.status = "failed"
    assert write(document(found, MACHINE, date(2030, 1, 2)), tmp_path)[2].stat().st_size > 0
