"""The door beside Triton: the figures, and a short comparison on the real server."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.articles import read_article
from benchmarks.common.machine import this_machine
from benchmarks.common.server import ROOT, Started
from benchmarks.load.door.comparing import (
    DIRECT,
    DOOR,
    DOOR_HTTP,
    DOOR_JSON,
    Compared,
    OneClient,
    compare,
    ratio,
)
from benchmarks.load.door.config import DoorConfig
from benchmarks.load.door.report import write_comparison

ARTICLE = ROOT / "tests" / "articles" / "world_news.txt"


def test_what_the_door_keeps_is_judged_turn_by_turn() -> None:
    assert ratio([(40.0, 38.0), (20.0, 20.0), (50.0, 45.0)]) == pytest.approx(0.95)
    assert ratio([]) is ratio([(0.0, 3.0)]) is None


def test_the_report(tmp_path: Path) -> None:
    row: dict[str, Any] = {"kind": "category", "p50_ms": 8.0, "p99_ms": 12.0, "server_cpu_ms": 11.0}
    found = Compared(
        config=DoorConfig(),
        one_client=(
            OneClient(way=DIRECT, added_ms=0.0, door_cpu_ms=0.0, **row),
            OneClient(way=DOOR, added_ms=0.84, door_cpu_ms=1.4, **row),
        ),
        closed_per_s=((40.0, 39.0), (42.0, 41.0), (44.0, 44.0)),
        highest_per_s=(),
    )
    page, document = write_comparison(found, this_machine(), date(2026, 1, 2), "python -m benchmarks door", tmp_path)
    words = page.read_text()
    assert "| category | door, gRPC | 8.0 | 12.0 | +0.84 | 1.40 | 11.0 |" in words
    assert "8 s; median of 3 | 42.0 | 41.0 | 98 % |" in words
    assert "open loop" not in words
    assert json.loads(document.read_text())["one_client"] == [asdict(one) for one in found.one_client]


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"requests": 0}, {"open_turns": -1}, {"seconds": 0.5}])
def test_what_cannot_be_measured_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DoorConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.long
@pytest.mark.server
def test_a_short_comparison_on_the_real_server(triton: Started) -> None:
    config = DoorConfig(
        rounds=2,
        requests=5,
        warmup_requests=2,
        closed_s=0.5,
        open_turns=1,
        seconds=1.0,
        batch_turns=1,
        batch_articles=10,
    )
    found = compare(triton, read_article(ARTICLE), config)
    assert [(one.kind, one.way) for one in found.one_client] == [
        (kind, way) for kind in config.kinds for way in (DIRECT, DOOR, DOOR_HTTP, DOOR_JSON)
    ]
    assert all(one.p50_ms > 0 for one in found.one_client)
    assert all(one.server_cpu_ms >= one.door_cpu_ms for one in found.one_client)
    assert all(direct > 0 and door > 0 for direct, door in (*found.closed_per_s, *found.highest_per_s))
    assert [one.many_per_s > 0 < one.batch_per_s for one in found.batches] == [True]
