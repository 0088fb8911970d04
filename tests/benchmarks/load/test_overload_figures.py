"""The figures of an overload, from requests that are known."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import pytest

from benchmarks.common.machine import this_machine
from benchmarks.common.metrics import Stage
from benchmarks.common.open_loop import Arrivals, Run, Sent
from benchmarks.common.wire import RequestOutcome
from benchmarks.load.overload.config import OverloadConfig
from benchmarks.load.overload.overload import Overload, schedule
from benchmarks.load.overload.report import write_overload

CONFIG = OverloadConfig(seconds=10, calm_s=5, warmup_s=1)


def overload(back_after_s: float = 2.0) -> Overload:
    """20 a second in the calm, 50 ms each; in the overload 40 answers a second of 400 ms, and 80 refusals of 4 ms."""
    sent = [Sent(due_s=n / 20, latency_ms=50, outcome=RequestOutcome.ANSWERED) for n in range(100)]
    sent += [Sent(due_s=5 + n / 40, latency_ms=400, outcome=RequestOutcome.ANSWERED) for n in range(400)]
    sent += [Sent(due_s=5 + n / 80, latency_ms=4, outcome=RequestOutcome.REFUSED) for n in range(800)]
    for n in range(100):
        slow = n / 20 < back_after_s
        sent.append(Sent(due_s=15 + n / 20, latency_ms=300 if slow else 50, outcome=RequestOutcome.ANSWERED))
    run = Run(arrivals=Arrivals(rate_per_s=150), sent=tuple(sent), reasons={}, behind_p99_ms=1.0, warmup_answered=20)
    stage = Stage(model="bart", requests=630, failures=0, batch=1, wait_ms=1, copy_ms=0, compute_ms=20, total_ms=21)
    memory = tuple((float(second), 500 + 50 * (second >= 5)) for second in range(20))
    return Overload(config=CONFIG, peak_per_s=50, run=run, memory=memory, stages=(stage,), writers=("bart",), healed=0)


def test_figures_of_an_overload() -> None:
    found = overload()
    assert found.goodput_per_s == pytest.approx(40)
    assert found.goodput_share == pytest.approx(0.8)
    assert found.latency_ms(RequestOutcome.ANSWERED, 99) == 400
    assert found.latency_ms(RequestOutcome.REFUSED, 50) == 4
    assert found.latency_ms(RequestOutcome.LATE, 50) == 0
    assert found.memory_growth == pytest.approx(0.1)
    # 600 answers and 20 of the warm-up, of 630 summaries.
    assert found.wasted_share == pytest.approx(10 / 630)


@pytest.mark.parametrize(("back_after_s", "recovery_s"), [(0, 0), (2, 2), (2.8, 3), (10, math.inf)])
def test_recovery_is_the_first_second_that_is_as_before(back_after_s: float, recovery_s: float) -> None:
    assert overload(back_after_s).recovery_s == recovery_s


def test_the_schedule_is_calm_overload_calm() -> None:
    moments = schedule(CONFIG, 100)
    assert moments == sorted(moments, key=lambda moment: moment[0])
    assert moments[0][0] < 0
    calm = sum(0 <= due_s < 5 for due_s, _ in moments)
    assert calm == pytest.approx(250, rel=0.3)
    assert sum(5 <= due_s < 15 for due_s, _ in moments) == pytest.approx(3000, rel=0.1)
    leaving = [due_s for due_s, leaves_s in moments if leaves_s is not None]
    assert len(leaving) == pytest.approx(300, rel=0.3)
    assert all(5 <= due_s < 15 for due_s in leaving)


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    paths = write_overload(overload(), this_machine(), date(2026, 1, 2), "python -m benchmarks overload", tmp_path)
    assert all(path.stat().st_size for path in paths)
    text = paths[0].read_text()
    assert "answering 40 requests a second, 80 % of its peak" in text
    assert "2 s after the overload all was as before" in text
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"times": 1}, "above 1"), ({"seconds": 0}, "seconds is a number above 0"), ({"leaving": 1.0}, "share from 0")],
)
def test_wrong_settings_are_told(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OverloadConfig(**wrong)
