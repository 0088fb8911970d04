"""Where the time of a request goes: sums made by hand."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from benchmarks.common.machine import Machine
from benchmarks.common.server import BenchmarkError
from benchmarks.load.trace.otlp import Event
from benchmarks.load.trace.timeline import (
    Timeline,
    front_end_ms,
    gaps,
    median_timeline,
    non_model_ms,
    own_ms,
    read_timeline,
    share_gaps,
    union,
)
from benchmarks.load.trace.tracing import Traced, document, write
from infolens.contract import CONTRACTS, Task
from tests.benchmarks.load.traces import SERVED, interval, spans_of, timeline, visit

MACHINE = Machine(cpu="A Processor", cores=2, memory_bytes=2**34, system="Linux x86_64")


def test_a_union_counts_overlapping_moments_once():
    assert union([]) == []
    assert union([interval(5, 6), interval(0, 2), interval(1, 3), interval(3, 4)]) == [interval(0, 4), interval(5, 6)]


def test_not_model_time_is_what_no_model_computes_in():
    found = timeline()
    # The three compute from 11 to 16, 13 to 30 and 18 to 20.
    assert gaps(found) == [interval(0, 11), interval(30, 40)]
    assert non_model_ms(found) == 21.0


def test_models_that_compute_one_after_another_leave_a_gap_between_them():
    found = Timeline(
        total_ms=10.0,
        visits={"bart": visit("bart", 0, 0, 1, 3, 3), "xlnet": visit("xlnet", 0, 4, 5, 9, 9)},
        served=SERVED,
    )
    assert gaps(found) == [interval(0, 1), interval(3, 5), interval(9, 10)]
    assert non_model_ms(found) == 4.0


def test_the_causes_of_not_model_time_add_up_to_it():
    found = timeline()
    shares = share_gaps(found)
    assert shares == {
        "tokenizers": 4.0,
        "texts and labels": 2.0,
        "copies": 4.0,  # 8 to 9, 10 to 11, and bart's 30 to 32
        "queues": 3.0,  # 3 to 4, 9 to 10, 32 to 33
        "between the models of a branch": 1.0,
        "fan_out": 4.0,  # 1 to 3 and 36 to 38
        "gRPC and front end": 3.0,
    }
    assert sum(shares.values()) == non_model_ms(found)


def test_fan_out_and_the_front_end_have_their_own_time():
    assert own_ms(timeline()) == 37 - 1 - 33
    assert front_end_ms(timeline()) == 40 - 37


def test_the_median_is_one_of_the_requests():
    assert median_timeline([timeline(50.0), timeline(40.0), timeline(90.0)]).total_ms == 50.0


def test_spans_become_the_timeline_up_to_the_answers_departure():
    found = read_timeline(spans_of(timeline()), SERVED)
    assert found.total_ms == 40.0
    assert found.visits == timeline().visits


def test_what_comes_after_the_answers_departure_is_in_no_share():
    late = 45 * 10**6  # The processor was taken away between the departure and the model's own end.
    spans = spans_of(timeline())
    start_ns = spans[0].start_ns
    moved = {"INFER_RESPONSE_COMPLETE": start_ns + late, "COMPUTE_END": start_ns + late}
    spans = [
        replace(span, events=tuple(Event(name=e.name, time_ns=moved.get(e.name, e.time_ns)) for e in span.events))
        for span in spans
    ]
    found = read_timeline(spans, SERVED)
    assert found.total_ms == 40.0
    assert max(one.whole.end_ms for one in found.visits.values()) <= 40.0
    assert sum(share_gaps(found).values()) == pytest.approx(non_model_ms(found))


def test_a_trace_without_a_model_is_an_error_that_names_it():
    spans = [span for span in spans_of(timeline()) if span.name not in {"bart", "xlnet"}]
    with pytest.raises(BenchmarkError, match=r"no span of bart, xlnet.*fan_out must hand"):
        read_timeline(spans, SERVED)


def test_the_models_are_those_that_serve_and_their_roles_are_of_their_tasks(tmp_path: Path):
    served = {**SERVED, Task.CATEGORY: CONTRACTS[Task.CATEGORY].served("category_roberta")}
    with pytest.raises(BenchmarkError, match=r"no span of category_roberta, only of bart, .*distilbert"):
        read_timeline(spans_of(timeline()), served)
    starter, new = timeline(), "category_roberta"
    names = {name: name.replace("distilbert", new) for name in starter.visits}
    visits = {names[name]: replace(one, model=names[name]) for name, one in starter.visits.items()}
    found = read_timeline(spans_of(replace(starter, visits=visits)), served)
    assert (share_gaps(found), non_model_ms(found)) == (share_gaps(starter), 21.0)
    traced = Traced(machine=MACHINE, day=date(2030, 1, 2), words=99, client_ms=(41.0,), timelines=(found,))
    stages = {stage["stage"] for stage in document(traced)["stages"]}
    assert {"category_roberta: computes", "category_roberta_labels: waits", "bart_text: copies"} <= stages
    assert not any("distilbert" in stage for stage in stages)
    assert write(traced, tmp_path)[2].read_bytes().startswith(b"\x89PNG")


def test_the_report_has_the_stages_in_milliseconds_and_three_files(tmp_path: Path):
    traced = Traced(
        machine=MACHINE, day=date(2030, 1, 2), words=99, client_ms=(41.0, 42.0, 43.0), timelines=(timeline(),) * 3
    )
    doc = document(traced)
    assert doc["not_model_time"]["p50_ms"] == 21.0
    stages = {stage["stage"]: stage["p50_ms"] for stage in doc["stages"]}
    assert stages["client and network"] == 2.0
    assert stages["bart: waits"] == 3.0
    assert stages["bart: copies"] == 3.0
    assert stages["bart: computes"] == 17.0
    paths = write(traced, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trace.json", "trace.md", "trace.png"]
    assert json.loads(paths[1].read_text(encoding="utf-8")) == doc
    table = paths[0].read_text(encoding="utf-8")
    assert "| not model time | 21.00 | 21.00 | 21.00 |" in table
    assert "11.0 ms before the first model computes, 0.0 ms between models, 10.0 ms after the last" in table
    assert paths[2].read_bytes().startswith(b"\x89PNG")
