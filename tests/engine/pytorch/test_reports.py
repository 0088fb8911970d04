"""What the host learns of a device that goes on by itself: later, in order, and never about another article."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch

from engine.pytorch.batch import BatchExecutor
from engine.pytorch.reports import Reports
from engine.settings import Settings
from tests.engine.pytorch.small_bart import TARGET, Small, small_bart


@pytest.fixture(scope="module")
def small() -> Small:
    return small_bart()


@dataclass
class Device:
    """A card whose copies arrive when it is told so, or when they are waited for."""

    sent: list[Event] = field(default_factory=list)
    waited: int = 0

    def arrive(self, count: int) -> None:
        for event in [event for event in self.sent if not event.there][:count]:
            event.there = True


class Event:
    device: Device

    def __init__(self) -> None:
        self.there = False

    def record(self) -> None:
        self.device.sent.append(self)

    def query(self) -> bool:
        return self.there

    def synchronize(self) -> None:
        self.there = True
        self.device.waited += 1


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    device = Device()
    monkeypatch.setattr(Event, "device", device, raising=False)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    return device


def late(small: Small) -> BatchExecutor:
    executor = small.executor(slots=2)
    executor.reports = Reports(executor.slots, late=True)
    return executor


def test_a_step_waits_for_an_earlier_one_only_where_the_device_is_behind(small: Small, device: Device) -> None:
    executor = late(small)
    for _ in range(3):
        executor.step()
    assert device.waited == 0
    executor.step()
    assert device.waited == 1
    device.arrive(9)
    executor.done()
    for _ in range(3):
        executor.step()
    assert device.waited == 1


def test_the_end_of_a_search_is_known_when_its_report_arrives(small: Small, device: Device) -> None:
    executor = late(small)
    executor.join(0, small.article(0, Settings(max_length=2)))
    executor.step()
    assert executor.slots.done.tolist() == [True, True]
    assert executor.done() == []
    device.arrive(1)
    assert executor.done() == [0]
    executor.join(1, small.article(1, Settings(num_beams=4, min_length=9, max_length=TARGET)))
    first = executor.summary(0).tolist()
    for _ in range(TARGET + 3):
        executor.step()
    assert executor.done() == [0, 1]
    assert executor.summary(0).tolist() == first
    assert executor.summary(1).tolist() == executor.slots.best_tokens[1, 0].tolist()


def test_a_report_about_the_article_before_says_nothing_of_the_next(small: Small, device: Device) -> None:
    executor = late(small)
    executor.join(0, small.article(0, Settings(max_length=2)))
    executor.step()
    executor.leave(0)
    executor.join(0, small.article(1, Settings(min_length=9, max_length=9)))
    device.arrive(1)
    assert executor.done() == []
    for _ in range(9):
        executor.step()
    device.arrive(9)
    assert executor.done() == [0]
    assert len([token for token in executor.summary(0) if token != 1]) == 9
