"""A real server, in which a model of another family answers, measured and traced."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.common.articles import Articles
from benchmarks.common.open_loop import Arrivals
from benchmarks.common.served import Served, served_models
from benchmarks.common.server import ROOT, Target, started_server
from benchmarks.load.open_loop.steps import Step, measure_step
from benchmarks.load.trace.otlp import SpanReceiver
from benchmarks.load.trace.timeline import Part, Timeline, non_model_ms, read_timeline, share_gaps
from export.cli import main as export
from infolens.contract import CONTRACTS, Task
from tests import families

pytestmark = pytest.mark.server

ARRIVALS = Arrivals(rate_per_s=5, seconds=1, warmup_s=0.2, timeout_s=30)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Served, Step, list[Timeline]]:
    """What the repository serves, a step at a low rate, and the timelines of its requests."""
    folder = tmp_path_factory.mktemp("traced")
    repository, checkpoint = folder / "repository", folder / "checkpoint"
    shutil.copytree(ROOT / "model_repository", repository)
    model, tokenizer = families.roberta(("near", "far", "away", "home"))
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    assert export(["category", "--checkpoint", str(checkpoint), "--repository", str(repository)]) == 0
    with (
        SpanReceiver() as receiver,
        started_server(["--repository", str(repository), "--trace-url", receiver.url]) as server,
    ):
        step = measure_step(Target.of(server), Articles(words=60), ARRIVALS)
        traces = receiver.wait_for(len(ARRIVALS.due_s()))
    return served_models(repository), step, [read_timeline(spans, step.served) for spans in traces]


@pytest.mark.long
def test_a_model_of_another_family_is_measured_by_its_own_name(measured: tuple[Served, Step, list[Timeline]]) -> None:
    served, step, _ = measured
    assert step.served == served
    assert served[Task.CATEGORY].name == "category_roberta"
    seen = {stage.model for stage in step.stages}
    assert seen >= {name for model in served.values() for name in model.chain}
    assert "distilbert" not in seen
    assert {"category_roberta", "bart", "xlnet"} <= {use.name for use in step.processes}


def test_a_traced_request_is_one_tree_with_all_models(measured: tuple[Served, Step, list[Timeline]]) -> None:
    served, _, timelines = measured
    for found in timelines:
        asked_by = {model: one.asked_by for model, one in found.visits.items()}
        assert asked_by["info_lens"] == ""
        for task, model in served.items():
            branch = CONTRACTS[task].ensemble
            assert asked_by[branch] == "info_lens"
            assert [asked_by[name] for name in model.chain] == [branch] * 3
            assert all(set(found.visits[name].parts) == set(Part) for name in model.chain)
        assert 0 < non_model_ms(found) < found.total_ms
        assert sum(share_gaps(found).values()) == pytest.approx(non_model_ms(found))
        assert len(asked_by) == 1 + 4 * len(served)
