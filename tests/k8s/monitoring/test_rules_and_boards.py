"""Rules and dashboards ask for what there is, and somebody is told what to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import promql_parser
import pytest

from benchmarks.common.server import Started
from benchmarks.load.exposed import LoadMetrics
from k8s.check.confinement import ROOT
from k8s.cli import main
from k8s.monitoring import files
from k8s.monitoring.files import BOARDS, HERE, stale
from tests.k8s.monitoring.queries import RULES, metrics_of, queries, rules

QUERIES = list(queries())
TLS_ONLY = {"infolens_certificate_ends_timestamp_seconds"}
_ON_GPU = ("utilization", "memory_used_bytes", "memory_total_bytes", "power_usage", "power_limit")
TRITON_ON_GPU = {f"nv_gpu_{what}" for what in _ON_GPU}
"""As docs/user_guide/metrics.md of Triton names them."""
COUNTED = (ROOT / "serving" / "gateway" / "calls" / "slots.py").read_text(encoding="utf-8")
OF_BACKENDS = set(re.findall(r'"(infolens_(?:engine|graph)_\w+)"', COUNTED))
"""What the door shows of models that count, which the starters do not."""
FAMILIES = re.compile(r"^# TYPE (\w+) (\w+)", re.MULTILINE)


def shown(text: str) -> set[str]:
    """The names under which the families of a page are asked for."""
    names = set()
    for name, kind in FAMILIES.findall(text):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def test_what_is_made_is_in_step_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert stale() == {}
    assert main(["dashboards", "--check"]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_stale_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "COMPONENT", HERE / "missing")
    assert main(["dashboards", "--check"]) == 1
    assert "k8s/monitoring/missing/rules.yaml is stale" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "there are no rules in"), ("groups: hello", "is a list of groups"), ("[", "holds no groups of rules")],
)
def test_rules_that_cannot_be_read_are_no_rules_that_are_gone(
    text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "HERE", tmp_path)
    if text is not None:
        (tmp_path / "prometheus" / "rules").mkdir(parents=True)
        (tmp_path / "prometheus" / "rules" / "some.yaml").write_text(text)
    assert main(["dashboards"]) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_can_be_read(where: str, query: str) -> None:
    promql_parser.parse(query)
    assert metrics_of(query)


@pytest.mark.server
def test_metrics_are_those_that_are_shown(triton: Started) -> None:
    pages = []
    for url in (triton.door_metrics_url, triton.metrics_url):
        with urllib.request.urlopen(url, timeout=30) as answer:
            pages.append(answer.read().decode())
    there = {name for page in pages for name in shown(page)}
    there |= {name for family in LoadMetrics().registry.collect() for name in (family.name, f"{family.name}_total")}
    there |= {f"infolens_load_seconds_{part}" for part in ("bucket", "count")}
    there |= TRITON_ON_GPU | OF_BACKENDS | {f"{name}_total" for name in OF_BACKENDS}
    there |= {"up", "infolens_load_asked_per_second", *TLS_ONLY} | {
        rule["record"] for rule in rules() if "record" in rule
    }
    wanted = {name for _, query in QUERIES for name in metrics_of(query) if not name.startswith("ray_")}
    assert wanted - there == set()


def test_every_alert_says_what_to_do() -> None:
    runbook = (HERE / "runbook.md").read_text(encoding="utf-8")
    anchors = {line.removeprefix("## ").lower() for line in runbook.splitlines() if line.startswith("## ")}
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 20
    used = set()
    for rule in alerts:
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "k8s/monitoring/runbook.md"
        assert rule["labels"]["severity"] in ("page", "ticket")
        used.add(anchor)
    assert used == anchors


def test_a_dashboard_is_what_grafana_imports() -> None:
    for board in BOARDS:
        document = json.loads((HERE / "dashboards" / f"{board.uid}.json").read_text(encoding="utf-8"))
        panels = [panel for panel in document["panels"] if panel["type"] != "row"]
        assert [panel["title"] for panel in panels] == [panel.title for panel in board.panels]
        assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
        assert all(target["expr"] for panel in panels for target in panel["targets"])
        assert {panel["datasource"]["uid"] for panel in panels} == {"${source}"}
        for panel in panels:
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


@pytest.mark.system
def test_prometheus_reads_its_files_and_alerts_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: apt-get install prometheus")
    here = Path(__file__).parent
    for words in (
        ["check", "config", str(HERE / "prometheus" / "prometheus.yml")],
        ["check", "rules", *map(str, sorted(RULES.glob("*.yaml")))],
        ["test", "rules", str(here / "alerts.yaml")],
    ):
        done = subprocess.run([promtool, *words], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
