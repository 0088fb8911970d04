"""Every query that rules and dashboards ask, and the metrics in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from k8s.monitoring.files import BOARDS, HERE

RULES = HERE / "prometheus" / "rules"
_WORD = re.compile(r"\b(?:infolens|nv|process|ray)_\w+|\binfolens:[\w:]+|\bup\b")


def rules() -> list[dict[str, Any]]:
    """All rules, those that record and those that alert."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yaml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def asked(expression: str, window: str = "30s") -> str:
    """A panel's query with what Grafana puts in the place of its variables."""
    return expression.replace("$__rate_interval", window).replace("$instance", ".*")


def queries() -> Iterator[tuple[str, str]]:
    """Where each query stands, and the query."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for board in BOARDS:
        for panel in board.panels:
            for expression, _ in panel.queries:
                yield f"{board.uid}: {panel.title}", asked(expression)


def metrics_of(expression: str) -> set[str]:
    """The names of metrics in a query."""
    without = re.sub(r'"[^"]*"', "", expression)
    return set(_WORD.findall(without))
