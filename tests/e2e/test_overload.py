"""The real server, asked for far more than it can answer, by callers of whom some go away: counts, and no times."""

from __future__ import annotations

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.common.articles import Articles
from benchmarks.common.server import Started, Target
from benchmarks.common.wire import RequestOutcome
from benchmarks.load.overload.config import OverloadConfig
from benchmarks.load.overload.overload import measure_overload
from infolens import Client
from infolens.contract import CONTRACTS, Task

pytestmark = pytest.mark.server

CONFIG = OverloadConfig(times=20, seconds=0.5, calm_s=1, warmup_s=0.5, peak_s=1, timeout_s=60, leaving=0.2)
"""Nearly at once comes what takes about ten seconds, so that much is refused however the machine's pace varies."""
PENDING = "nv_inference_pending_request_count"


def waiting(metrics_url: str) -> dict[str, float]:
    """Requests in the queue of each model."""
    with urllib.request.urlopen(metrics_url, timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = (sample for family in families for sample in family.samples)
    return {sample.labels["model"]: sample.value for sample in samples if sample.name == PENDING}


def test_an_overloaded_server_loses_nothing_and_is_then_as_before(triton: Started) -> None:
    target = Target.of(triton)
    found = measure_overload(target, Articles(), CONFIG)

    counts = {outcome: found.run.count(outcome) for outcome in RequestOutcome}
    assert found.healed == 0, "what is busy was taken for dead"
    assert found.run.reasons == {}, "a refusal was answered as something else"
    assert counts[RequestOutcome.REFUSED] > 0
    assert counts[RequestOutcome.ANSWERED] > 0
    assert counts[RequestOutcome.LATE] == 0, "an accepted request was never answered"
    assert sum(counts.values()) == len(found.run.sent) > 2 * counts[RequestOutcome.ANSWERED]
    writer = CONTRACTS[Task.SUMMARY].served().name
    (written,) = (stage.requests for stage in found.stages if stage.model == writer)
    wanted = counts[RequestOutcome.ANSWERED] + found.run.warmup_answered
    assert wanted <= written <= wanted + counts[RequestOutcome.LEFT], "a refused request reached the models"

    with Client(triton.grpc_url) as client:
        reports = [client.analyze(article) for article, _ in zip(Articles(seed=1), range(3), strict=False)]
    assert all(report.summary.text for report in reports)
    queues = waiting(triton.metrics_url)
    assert queues.keys() >= {writer, "info_lens"}
    assert set(queues.values()) == {0.0}
