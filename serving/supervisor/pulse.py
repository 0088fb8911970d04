"""Whether a model lives, works or hangs: a verdict on what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any, Final

from serving.processes import Stub

from .patience import Patience

WORKING_SHARE: Final = 0.03
"""Processes that use more of a processor than this are at work."""
_RECENT: Final = 60
"""Runs that count as recent: this many readings of the counters."""


class Life(StrEnum):
    """What to make of a model."""

    ALIVE = auto()
    ASK = auto()
    """It has been silent for so long that it should be asked for a sign of life."""
    WAITING = auto()
    """It was asked and has not answered yet; that need not mean anything."""
    HUNG = auto()


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """What is known of a model."""

    silent_s: float
    """Since its counters last moved or it last answered."""
    asked_s: float | None
    """Since it was asked for a sign of life, if it has not answered."""
    slowest_s: float
    """Its slowest recent run."""
    working_share: float
    """How much of a processor its processes have used since it was asked."""
    others_work: bool
    """Whether another model's counters moved lately, or requests wait for this one."""


def judge(pulse: Pulse, patience: Patience) -> Life:
    """The verdict on a model. One that works is never hung, as far as any run of it could still be a run."""
    if pulse.asked_s is None:
        quiet_s = patience.quiet_s if pulse.others_work else patience.idle_s
        return Life.ASK if pulse.silent_s >= quiet_s else Life.ALIVE
    limit_s = max(patience.hung_s, patience.hung_runs * pulse.slowest_s)
    if pulse.working_share >= WORKING_SHARE:
        limit_s *= patience.busy_factor
    return Life.HUNG if pulse.asked_s >= limit_s else Life.WAITING


@dataclass
class Watch:
    """Follows one model: its counters, its processes' time and the question that is out."""

    moved_s: float
    """When its counters last moved or it last answered, on the monotonic clock."""
    counters: tuple[int, ...] = ()
    asked_s: float | None = None
    asked_processor_s: float = 0.0
    question: Any = None
    """The future of the question that is out."""
    stopped_since_s: dict[int, float] = field(default_factory=dict)
    """Since when a process of it is stopped (SIGSTOP)."""
    _runs_s: list[float] = field(default_factory=list)

    def counted(self, counters: tuple[int, ...], now_s: float, run_s: float | None = None) -> bool:
        """Take in a reading of the counters; whether they moved."""
        moved = bool(self.counters) and counters != self.counters
        self.counters = counters
        if run_s is not None:
            self._runs_s = [*self._runs_s[-_RECENT + 1 :], run_s]
        if moved:
            self.lives(now_s)
        return moved

    def lives(self, now_s: float) -> None:
        """It gave a sign of life."""
        if self.question is not None:
            self.question.cancel()
        self.moved_s, self.asked_s, self.question = now_s, None, None

    def ask(self, question: Any, stubs: list[Stub], now_s: float) -> None:
        """A question went out. One that is asked again has been silent since it was first asked."""
        self.question = question
        if self.asked_s is None:
            self.asked_s, self.asked_processor_s = now_s, sum(stub.processor_s for stub in stubs)

    def pulse(self, stubs: list[Stub], now_s: float, *, others_work: bool) -> Pulse:
        """What is known now."""
        asked_s = None if self.asked_s is None else now_s - self.asked_s
        used_s = sum(stub.processor_s for stub in stubs) - self.asked_processor_s
        return Pulse(
            silent_s=now_s - self.moved_s,
            asked_s=asked_s,
            slowest_s=max(self._runs_s, default=0.0),
            working_share=used_s / asked_s if asked_s else 0.0,
            others_work=others_work,
        )

    def stopped(self, stubs: list[Stub], now_s: float, longest_s: float) -> list[Stub]:
        """The processes that have been stopped for longer than ``longest_s``."""
        since = {stub.pid: self.stopped_since_s.get(stub.pid, now_s) for stub in stubs if stub.stopped}
        self.stopped_since_s = since
        return [stub for stub in stubs if stub.stopped and now_s - since[stub.pid] >= longest_s]
