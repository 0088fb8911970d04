"""Every part runs at toy size on a processor, and its rows are whole."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.gpu.parts import summaries
from benchmarks.gpu.plan import parts_of
from engine.pytorch.options import Options
from tests.benchmarks.gpu.conftest import DryRun


def test_every_part_comes_to_its_end(dry_run: DryRun) -> None:
    ends = {part["name"]: part["status"] for part in dry_run.document["parts"]}
    assert ends == dict.fromkeys((part.name for part in parts_of(())), "done"), dry_run.told
    assert dry_run.exit_code == 0
    assert len(dry_run.files) <= 8
    assert all(f"## {part.title}" in dry_run.page for part in parts_of(()))


def test_the_step_writes_the_tokens_of_generate(dry_run: DryRun) -> None:
    rows = dry_run.rows("check")
    assert {row["passed"] for row in rows} == {True, None}
    assert sum(row["summaries"] for row in rows if row["passed"]) > 70
    assert [row["precision"] for row in rows if row["passed"] is None] == ["bf16", "fp16"]
    assert not dry_run.skipped("correctness")


@pytest.mark.parametrize(
    "table", ["ways", "whole", "sweep", "step", "encoder", "pieces", "executors", "classifiers", "training"]
)
def test_figures_stand_beside_their_floors(dry_run: DryRun, table: str) -> None:
    rows = dry_run.rows(table)
    assert rows
    assert len({tuple(row) for row in rows}) == 1, "rows have different columns"
    for row in rows:
        floor = row.get("floor_ms", row.get("floor_us"))
        if floor is None:
            assert row["piece"] == "the smallest kernel"
        else:
            assert row["times_floor"] == pytest.approx(measured(row) / floor)


def measured(row: Any) -> float:
    """What a row's floor is the floor of."""
    return float(next(row[name] for name in ("us", "p50_ms", "step_ms") if name in row))


def test_summaries_are_measured_in_every_way_and_size(dry_run: DryRun) -> None:
    assert not dry_run.skipped("summaries")
    assert {row["equal_tokens"] for row in dry_run.rows("ways")} == {1.0}
    assert {row["batch"] for row in dry_run.rows("sweep")} == {1, 2, 3}
    shares: dict[tuple[int, str], float] = {}
    for row in dry_run.rows("kernels"):
        key = row["batch"], row["way"]
        shares[key] = shares.get(key, 0) + row["share"]
    assert list(shares.values()) == [pytest.approx(1.0)] * len(shares)
    assert Options(**dry_run.document["settings"][summaries.SETTING]["1"])
