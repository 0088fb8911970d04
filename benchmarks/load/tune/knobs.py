"""What `tune` tries, and how it compares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infolens.contract import CONTRACTS, AnswerKind, Task


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A setting, and the values that are tried; None is what the repository has."""

    name: str
    words: str
    values: tuple[Any, ...]


def knobs(cores: int) -> tuple[Knob, ...]:
    """What is worth trying on a machine of so many cores, in the order in which it is tried."""
    every_32 = [*range(32, 513, 32), 640, 768, 1024]
    tasks = [task for task, contract in CONTRACTS.items() if contract.by_default]
    by_kind = {kind: [task for task in tasks if CONTRACTS[task].answers is kind] for kind in AnswerKind}
    return (
        *(knob for task in by_kind[AnswerKind.TEXT] for knob in _of_texts(task, cores)),
        Knob(name="length_buckets", words="length buckets", values=([64, 128, 256, 512, 1024], every_32)),
        Knob(name="max_running", words="requests at work at once", values=(4 * cores, 10 * cores)),
        Knob(name="queue_delay_microseconds", words="wait for a batch, us", values=(500, 2000)),
        *(
            Knob(name=f"{task}.instances", words=f"copies of the {task}'s model", values=(cores,) if cores > 1 else ())
            for task in by_kind[AnswerKind.LABELS]
        ),
    )


def _of_texts(task: Task, cores: int) -> tuple[Knob, ...]:
    """Knobs of a task whose model writes, which is by far the largest part of the work."""
    instances = tuple(sorted({max(1, cores // 2), cores + 1}))
    return (
        Knob(name=f"{task}.instances", words=f"copies of the {task}'s model", values=instances),
        Knob(name=f"{task}.batch_together", words=f"articles in one batch of the {task}'s model", values=(2, 4)),
        Knob(
            name=f"{task}.threads",
            words=f"threads of a copy of the {task}'s model",
            values=(min(2, cores),) if cores > 1 else (),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """How candidates are compared."""

    seconds: float = 10.0
    """Length of each measurement."""
    warmup_s: float = 2.0
    rounds: int = 2
    """Turns of each value of a knob."""
    bound_ms: float = 1000.0
    """An answer counts within it: above the longest wait that the server lets a request have, and its work."""
    rate_per_s: float = 0.0
    """Arrivals a second; 0 for a third more than the server can answer."""
    minimum_gain: float = 0.03
    """How much better a value must be than the best so far."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("seconds", "rounds", "bound_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is a number above 0, not {getattr(self, name)}")
