"""Each alert is raised by what it is for, after its time and not before, and by nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.check.schemas import invalid

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT.parent / "shared" / "schemas"
RULES = sorted((ROOT / "k8s" / "monitoring" / "prometheus" / "rules").glob("*.yaml"))
DOOR = 'job="infolens-door",instance="a:8002"'
TRITON = 'job="infolens-triton",instance="a:8002"'
ASKED = f'{DOOR},door="grpc",route="infer",model="info_lens"'
OK = f'infolens_request_seconds_count{{{ASKED},code="OK"}}'
BAD = f'infolens_request_seconds_count{{{ASKED},code="UNAVAILABLE"}}'
IN_TIME = f'infolens_request_seconds_bucket{{{ASKED},code="OK",le="0.5"}}'
ROOM = "infolens_waiting_room_{}{{" + DOOR + "}}"
_SERVED = f'{DOOR},model="bart",revision="aaa",serving="1"'
STARS = f'infolens_quality_satisfaction_stars{{{_SERVED},task="summary",bound="high"}}'
AUDITED = f'infolens_quality_accuracy{{{_SERVED},task="category",source="audit",bound="high"}}'
PSI = f'infolens_quality_psi{{{_SERVED},task="category",what="words"}}'
PSI_P = f'infolens_quality_psi_p{{{_SERVED},task="category",what="words"}}'
GPU = "nv_gpu_{}{{" + TRITON + ',gpu_uuid="GPU-1"}}'
GRAPHS = "infolens_graph_{}_total{{" + DOOR + ',model="xlnet"}}'
ENGINE = "infolens_engine_{}{{" + DOOR + ',model="bart"}}'
SPOOLED = f"infolens_feedback_spooled_bytes{{{DOOR}}}"
HEALTHY = {
    f"up{{{DOOR}}}": "1x500",
    OK: "0+600x500",
    IN_TIME: "0+600x500",
    f"infolens_ready{{{DOOR}}}": "1x500",
    f'infolens_model_ready{{{DOOR},model="bart"}}': "1x500",
    f"infolens_supervised{{{DOOR}}}": "1x500",
    f"infolens_keys_away{{{DOOR}}}": "0x500",
    f"infolens_triton_restarts_total{{{DOOR}}}": "0x500",
    f"infolens_heals_total{{{DOOR}}}": "0x500",
    f'infolens_requests_refused_total{{{DOOR},door="grpc",reason="busy"}}': "0+1x500",
    ROOM.format("running"): "12x500",
    ROOM.format("waiting"): "2x500",
    ROOM.format("kept"): "1x500",
    ROOM.format("places"): "12x500",
    f'nv_inference_request_success{{{TRITON},model="bart"}}': "0+600x500",
    f'nv_inference_request_failure{{{TRITON},model="bart",reason="CANCELED"}}': "0+300x500",
    f"infolens_triton_metrics_failures_total{{{DOOR}}}": "0x500",
    f"process_resident_memory_bytes{{{DOOR}}}": "200000000x500",
    f"nv_cpu_memory_used_bytes{{{TRITON}}}": "60x500",
    f"nv_cpu_memory_total_bytes{{{TRITON}}}": "100x500",
    f"infolens_certificate_ends_timestamp_seconds{{{DOOR}}}": "100000000x500",
    f"infolens_feedback_away{{{DOOR}}}": "0x500",
    SPOOLED: "1000000x500",
    f"infolens_feedback_spool_limit_bytes{{{DOOR}}}": "64000000x500",
    f"infolens_feedback_dropped_total{{{DOOR}}}": "7x500",
    f"infolens_feedback_refused_total{{{DOOR}}}": "1x500",
    f"infolens_feedback_torn_total{{{DOOR}}}": "0x500",
    STARS: "3.1x500",
    STARS.replace("high", "low"): "2x500",
    STARS.replace("aaa", "before").replace('serving="1"', 'serving="0"'): "1x500",
    AUDITED: "0.76x500",
    AUDITED.replace("audit", "volunteered"): "0.3x500",
    f"infolens_quality_trust_bar{{{DOOR}}}": "0.75x500",
    PSI: "0.9x500",
    PSI_P: "0.5x500",
    GPU.format("utilization"): "0.5x500",
    GPU.format("memory_used_bytes"): "60x500",
    GPU.format("memory_total_bytes"): "100x500",
    GRAPHS.format("runs"): "0+1000x500",
    GRAPHS.format("misses"): "0+10x500",
    ENGINE.format("waiting"): "16x500",
    ENGINE.format("slots"): "32x500",
}
"""A server at work, minute by minute; nobody is woken by it."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What becomes of `HEALTHY`, and when that is told."""

    series: dict[str, str] = field(default_factory=dict)
    without: str = ""
    """A series that is not there."""
    quiet_min: int
    """A minute at which nothing is told yet."""
    told_min: int
    severity: str = "ticket"


def lost(per_minute: int, quiet_min: int, told_min: int, severity: str) -> Case:
    return Case(series={BAD: f"0+{per_minute}x500"}, quiet_min=quiet_min, told_min=told_min, severity=severity)


def slow(per_minute: int, quiet_min: int, told_min: int, severity: str) -> Case:
    return Case(
        series={IN_TIME: f"0+{600 - per_minute}x500"}, quiet_min=quiet_min, told_min=told_min, severity=severity
    )


def gauge(series: str, value: str, quiet_min: int, told_min: int, severity: str = "ticket") -> Case:
    return Case(series={series: value}, quiet_min=quiet_min, told_min=told_min, severity=severity)


CASES = {
    "InfoLensLosesFast": lost(100, 2, 5, "page"),
    "InfoLensLosesSoon": lost(30, 4, 8, "page"),
    "InfoLensLosesSlowly": lost(12, 14, 18, "ticket"),
    "InfoLensLosesSteadily": lost(6, 59, 63, "ticket"),
    "InfoLensIsSlowFast": slow(120, 2, 5, "page"),
    "InfoLensIsSlowSoon": slow(60, 4, 8, "page"),
    "InfoLensIsSlowSlowly": slow(24, 14, 18, "ticket"),
    "InfoLensIsSlowSteadily": slow(12, 59, 63, "ticket"),
    "InfoLensMissing": Case(without=f"up{{{DOOR}}}", quiet_min=4, told_min=6, severity="page"),
    "InfoLensDown": gauge(f"up{{{DOOR}}}", "0x500", 1, 3, "page"),
    "InfoLensNotReady": gauge(f"infolens_ready{{{DOOR}}}", "0x500", 1, 3, "page"),
    "InfoLensModelNotReady": gauge(f'infolens_model_ready{{{DOOR},model="bart"}}', "0x500", 1, 3, "page"),
    "InfoLensSupervisorSilent": gauge(f"infolens_supervised{{{DOOR}}}", "0x500", 0, 2, "page"),
    "InfoLensKeysAway": gauge(f"infolens_keys_away{{{DOOR}}}", "1x500", 4, 6, "page"),
    "InfoLensRestarts": gauge(f"infolens_triton_restarts_total{{{DOOR}}}", "0x70 2x40 3x60", 111, 113),
    "InfoLensHeals": gauge(f"infolens_heals_total{{{DOOR}}}", "0x60 3x50 4x60", 110, 113),
    "InfoLensRefuses": gauge(f'infolens_requests_refused_total{{{DOOR},door="grpc",reason="busy"}}', "0+60x500", 9, 13),
    "InfoLensWaits": gauge(ROOM.format("waiting"), "12x500", 9, 11),
    "InfoLensKeepsPlaces": gauge(ROOM.format("kept"), "8x500", 4, 6),
    "InfoLensModelFails": gauge(
        f'nv_inference_request_failure{{{TRITON},model="bart",reason="OTHER"}}', "0+60x500", 9, 13
    ),
    "InfoLensTritonUnseen": gauge(f"infolens_triton_metrics_failures_total{{{DOOR}}}", "0+1x500", 5, 15),
    "InfoLensDoorMemory": gauge(f"process_resident_memory_bytes{{{DOOR}}}", "700000000x500", 9, 11),
    "InfoLensMachineMemory": gauge(f"nv_cpu_memory_used_bytes{{{TRITON}}}", "95x500", 9, 11),
    "InfoLensFeedbackAway": gauge(f"infolens_feedback_away{{{DOOR}}}", "1x500", 9, 11),
    "InfoLensSpoolFills": gauge(SPOOLED, "33000000x500", 4, 6, "page"),
    "InfoLensFeedbackDropped": gauge(f"infolens_feedback_dropped_total{{{DOOR}}}", "7x50 9x450", 50, 53),
    "InfoLensDissatisfies": gauge(STARS, "2.9x500", 59, 61),
    "InfoLensAuditsFail": gauge(AUDITED, "0.74x500", 59, 61),
    "InfoLensArticlesMoved": gauge(PSI_P, "0.0001x500", 1439, 1441),
    "InfoLensGpuIdle": gauge(GPU.format("utilization"), "0x500", 4, 8),
    "InfoLensGpuMemory": gauge(GPU.format("memory_used_bytes"), "96x500", 9, 11),
    "InfoLensGpuMemoryGrows": gauge(GPU.format("memory_used_bytes"), "60x100 70x400", 268, 272),
    "InfoLensGraphsMiss": gauge(GRAPHS.format("misses"), "0+100x500", 14, 18),
    "InfoLensSlotsFull": gauge(ENGINE.format("waiting"), "40x500", 9, 11),
    "InfoLensCertificateExpires": gauge(f"infolens_certificate_ends_timestamp_seconds{{{DOOR}}}", "500000x500", 59, 61),
}
TOLD = 'count by (alertname, severity) (ALERTS{alertstate="firing"})'


def alerts() -> dict[str, dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def at(minute: float, expr: str, **samples: float) -> dict[str, Any]:
    """What an expression gives at a minute: labels, as a string, and values."""
    found = [{"labels": labels, "value": value} for labels, value in samples.items()]
    return {"expr": expr, "eval_time": f"{round(60 * minute)}s", "exp_samples": found}


def given(series: dict[str, str], *expected: dict[str, Any]) -> dict[str, Any]:
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": inputs, "promql_expr_test": list(expected)}


def check(folder: Path, *tests: dict[str, Any]) -> None:
    """Hold the rules against tests of promtool's form.

    Raises:
        AssertionError: One does not come out as expected.
    """
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    document = {"rule_files": [str(path) for path in RULES], "evaluation_interval": "1m", "tests": list(tests)}
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    ran = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == set(alerts())


@pytest.mark.system
def test_nobody_is_woken_by_a_healthy_server(tmp_path: Path) -> None:
    lost_share = at(10, "infolens:lost:ratio_rate5m", **{'infolens:lost:ratio_rate5m{job="infolens-door"}': 0})
    check(tmp_path, given(HEALTHY, at(499, TOLD), lost_share))


@pytest.mark.system
@pytest.mark.parametrize("alert", CASES)
def test_an_alert_is_raised_by_its_cause_alone_and_after_its_time(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    series = {name: values for name, values in {**HEALTHY, **case.series}.items() if name != case.without}
    if case.told_min > 500:
        series = {name: values.replace("x500", "x1500") for name, values in series.items()}
    told = {f'{{alertname="{alert}", severity="{case.severity}"}}': 1.0}
    check(tmp_path, given(series, at(case.quiet_min, TOLD), at(case.told_min, TOLD, **told)))


@pytest.mark.system
@pytest.mark.parametrize(
    ("alert", "series", "most"), [("InfoLensRestarts", "triton_restarts", 2), ("InfoLensHeals", "heals", 3)]
)
def test_as_many_as_may_be_raise_nothing_between_two_scrapes(
    alert: str, series: str, most: int, tmp_path: Path
) -> None:
    """Prometheus makes a little more of an increase than it was where a window begins and ends between samples."""
    name = f"infolens_{series}_total{{{DOOR}}}"
    expr = alerts()[alert]["expr"]
    more = at(100.5, f"count({expr})", **{"{}": 1.0})
    check(
        tmp_path,
        given({**HEALTHY, name: f"0x70 {most}x200"}, at(100.5, expr)),
        given({**HEALTHY, name: f"0x70 {most + 1}x200"}, more),
    )


@pytest.mark.system
def test_the_page_ends_soon_after_the_trouble_does(tmp_path: Path) -> None:
    """The short window says that it is over, while the hour is still above what may be lost in it."""
    fast = 'ALERTS{alertname="InfoLensLosesFast",alertstate="firing"}'
    told = {'ALERTS{alertname="InfoLensLosesFast",alertstate="firing",job="infolens-door",severity="page"}': 1.0}
    over = at(40, "infolens:lost:ratio_rate1h > bool 0.072", **{'{job="infolens-door"}': 1.0})
    check(tmp_path, given({**HEALTHY, BAD: "0+300x30 9000x400"}, at(30, fast, **told), at(40, fast), over))


def test_the_example_of_alertmanager_hears_of_every_alert() -> None:
    thing = yaml.safe_load((ROOT / "k8s/components/monitoring/alertmanager.example.yaml").read_text(encoding="utf-8"))
    spec = thing["spec"]
    routed = {one["value"]: route["receiver"] for route in spec["route"]["routes"] for one in route["matchers"]}
    assert set(routed) == {rule["labels"]["severity"] for rule in alerts().values()}
    assert {*routed.values(), spec["route"]["receiver"]} == {receiver["name"] for receiver in spec["receivers"]}
    for rule in spec["inhibitRules"]:
        for (one,) in (rule["sourceMatch"], rule["targetMatch"]):
            assert [name for name in alerts() if re.fullmatch(one["value"], name)], one
    if not SCHEMAS.is_dir():
        pytest.skip(f"no schemas of custom resources in {SCHEMAS}")
    assert list(invalid([thing], SCHEMAS)) == []
