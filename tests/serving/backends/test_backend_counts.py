"""What a summarizer counts reaches the door's metrics by a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from engine.scheduling.statistics import Statistics
from serving import launcher
from serving.backends import counts
from serving.backends.counts import WRITE_EVERY_S, Counts
from serving.gateway.calls.slots import MAX_AGE_S, Slots

NAMES = tuple(Statistics.__dataclass_fields__)


class World:
    """A clock, and what is counted."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.counted = dict.fromkeys(NAMES, 0)

    def clock(self) -> float:
        return self.now_s

    def keeper(self, path: Path | None) -> Counts:
        return Counts(path, lambda: dict(self.counted), now=self.clock)


@pytest.fixture
def world() -> World:
    return World()


def shown(folder: Path, world: World) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Slots(folder, now=world.clock))
    samples = (sample for family in registry.collect() for sample in family.samples)
    return {f"{sample.name}{sample.labels}": sample.value for sample in samples}


def test_launcher_and_backend_call_the_folder_alike() -> None:
    assert counts.VARIABLE == launcher.COUNTS_VARIABLE


def test_what_is_counted_is_shown(world: World, tmp_path: Path) -> None:
    keeper = world.keeper(tmp_path / "bart.json")
    world.counted = {name: number for number, name in enumerate(NAMES, start=1)}
    keeper.look()
    world.keeper(tmp_path / "other.json").look()
    seen = shown(tmp_path, world)
    label = "{'model': 'bart'}"
    for name, key in {
        "slots": "slots",
        "slots_busy": "busy",
        "waiting": "waiting",
        "steps_total": "steps",
        "joined_total": "joined",
        "answered_total": "answered",
        "cancelled_total": "cancelled",
        "expired_total": "expired",
        "failed_total": "failed",
    }.items():
        assert seen[f"infolens_engine_{name}{label}"] == world.counted[key]
    assert seen["infolens_engine_slots{'model': 'other'}"] == 1


def test_it_is_written_when_there_is_news_and_now_and_then(world: World, tmp_path: Path) -> None:
    path = tmp_path / "bart.json"
    keeper = world.keeper(path)
    keeper.look()
    path.unlink()
    keeper.look()
    assert not path.exists(), "there is no news"
    world.counted["answered"] = 1
    keeper.look()
    path.unlink()
    world.now_s += WRITE_EVERY_S
    keeper.look()
    assert path.exists()


def test_what_is_old_is_of_a_process_that_has_ended(world: World, tmp_path: Path) -> None:
    world.keeper(tmp_path / "bart.json").look()
    assert shown(tmp_path, world)
    world.now_s += MAX_AGE_S
    assert shown(tmp_path, world)
    world.now_s += 1
    assert shown(tmp_path, world) == {}
    assert WRITE_EVERY_S < MAX_AGE_S


def test_the_latest_process_of_a_model_has_the_file(world: World, tmp_path: Path) -> None:
    path = tmp_path / "bart.json"
    replaced = world.keeper(path)
    assert replaced.look()
    world.now_s += 1
    latest = world.keeper(path)
    world.counted["answered"] = 7
    assert latest.look()
    world.counted["answered"] = 8
    assert not replaced.look()
    assert shown(tmp_path, world)["infolens_engine_answered_total{'model': 'bart'}"] == 7
    replaced.close()
    assert path.exists()
    latest.close()
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"written_s": 1000}', b'{"written_s": "x", "counted": {}}'])
def test_a_broken_file_is_no_metric_and_no_fault(world: World, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bart.json").write_bytes(content)
    assert shown(tmp_path, world) == {}
    world.keeper(tmp_path / "bart.json").look()
    assert shown(tmp_path, world)


def test_a_folder_that_is_gone_stops_nothing(world: World, tmp_path: Path) -> None:
    keeper = world.keeper(tmp_path / "gone" / "bart.json")
    assert keeper.look()
    keeper.close()
    assert shown(tmp_path / "gone", world) == {}


def test_without_a_door_nothing_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(counts.VARIABLE, raising=False)
    assert counts.counts_path("bart") is None
    keeper = world.keeper(None)
    keeper.start()
    assert keeper.look()
    keeper.close()


def test_a_file_from_before_the_machine_was_started_anew_is_replaced(world: World, tmp_path: Path) -> None:
    """Its clock had run for longer than that of today."""
    world.keeper(tmp_path / "bart.json").look()
    world.now_s = 5.0
    assert world.keeper(tmp_path / "bart.json").look()
    assert shown(tmp_path, world)["infolens_engine_slots{'model': 'bart'}"] == 0
