"""What metrics say: Triton's of each model (how long its requests waited and computed, in what batches), the door's."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from .server import BenchmarkError

_TIMEOUT_S: Final = 10
DOOR_COUNTERS: Final = {
    "infolens_triton_restarts_total": "restarts",
    "infolens_heals_total": "heals",
    "infolens_waiting_room_refused_total": "turned away",
}
"""The door's counters that are watched, and what they are called here."""
_COUNTERS: Final = {
    "nv_inference_request_success": "requests",
    "nv_inference_request_failure": "failures",
    "nv_inference_count": "articles",
    "nv_inference_exec_count": "executions",
    "nv_inference_queue_duration_us": "queue_us",
    "nv_inference_compute_input_duration_us": "input_us",
    "nv_inference_compute_infer_duration_us": "infer_us",
    "nv_inference_compute_output_duration_us": "output_us",
    "nv_inference_request_duration_us": "total_us",
}

Counters = Mapping[str, Mapping[str, float]]
"""Values of the counters by model and name."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One model between two looks at the metrics; times are means for each request, in milliseconds."""

    model: str
    requests: int
    failures: int
    batch: float
    """Articles in one execution, on average; 0 when there was none."""
    wait_ms: float
    """In the queue, before the model took the request up."""
    copy_ms: float
    """Inputs in and outputs out."""
    compute_ms: float
    total_ms: float
    """From arrival at the model to its answer."""


def read_counters(metrics_url: str) -> Counters:
    """The counters of every model, from Triton's own metrics.

    Raises:
        BenchmarkError: The metrics cannot be read.
    """
    return parse_counters(_fetch(metrics_url))


def read_door(metrics_url: str) -> dict[str, int]:
    """The door's counters, by the names of `DOOR_COUNTERS`.

    Raises:
        BenchmarkError: They cannot be read, or are those of something else.
    """
    totals = _totals(metrics_url)
    if missing := sorted(DOOR_COUNTERS.keys() - totals.keys()):
        raise BenchmarkError(
            f"the door's metrics have {', '.join(missing)}, those at {metrics_url} have not: give the address of its "
            "/metrics with --metrics-url"
        )
    return {words: round(totals[name]) for name, words in DOOR_COUNTERS.items()}


def _totals(metrics_url: str) -> dict[str, float]:
    """Every counter and gauge by its name, such as ``infolens_heals_total``, summed over its labels.

    Raises:
        BenchmarkError: The metrics cannot be read.
    """
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(_fetch(metrics_url)):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def _fetch(metrics_url: str) -> str:
    try:
        with urllib.request.urlopen(metrics_url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the server under test
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise BenchmarkError(
            f"cannot read the server's metrics at {metrics_url}: {error}; give its address with --metrics-url"
        ) from error


def parse_counters(text: str) -> Counters:
    """The counters of every model, from the text form of Prometheus."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = _COUNTERS.get(sample.name.removesuffix("_total"))
            if name is not None and "model" in sample.labels:
                model = found.setdefault(sample.labels["model"], {})
                # Failures come apart by their reason.
                model[name] = model.get(name, 0.0) + sample.value
    return found


def stages(before: Counters, after: Counters) -> list[Stage]:
    """Every model that had requests in between, the one that took longest first."""
    found = []
    for model, counters in after.items():
        earlier = before.get(model, {})
        change = {name: value - earlier.get(name, 0.0) for name, value in counters.items()}
        requests = change.get("requests", 0.0)
        if requests <= 0:
            continue

        def mean_ms(*names: str, change: Mapping[str, float] = change, requests: float = requests) -> float:
            return sum(change.get(name, 0.0) for name in names) / requests / 1e3

        executions = change.get("executions", 0.0)
        found.append(
            Stage(
                model=model,
                requests=round(requests),
                failures=round(change.get("failures", 0.0)),
                batch=change.get("articles", 0.0) / executions if executions else 0.0,
                wait_ms=mean_ms("queue_us"),
                copy_ms=mean_ms("input_us", "output_us"),
                compute_ms=mean_ms("infer_us"),
                total_ms=mean_ms("total_us"),
            )
        )
    return sorted(found, key=lambda stage: -stage.total_ms)
