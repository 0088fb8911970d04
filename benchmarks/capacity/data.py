"""What a capacity measurement found, and its document: so the page can be written anew without measuring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from benchmarks.common.machine import Machine
from benchmarks.common.server import BenchmarkError

from .service_times import Sample, ServiceTimes, read_sample, read_times, sample_document, times_document

TYPICAL_WORDS: Final = 500
"""Length of the articles whose beams and summary lengths vary."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rate of the open loop, to hold the simulation against; its requests come again from the same seed."""

    cores: int
    rate_per_s: float
    seconds: float
    warmup_s: float
    seed: int
    sent: int
    lost: int
    p50_ms: float
    """Over the answered requests, as `p99_ms`."""
    p99_ms: float
    others_cores: float
    """Cores that other processes of the machine took meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything that was measured on one machine."""

    machine: Machine
    day: date
    seconds: float
    """Length of the measurement of each point."""
    times: ServiceTimes
    by_beams: Mapping[int, Sample]
    """At full load, as the next two."""
    by_summary_tokens: Mapping[int, Sample]
    by_cores: Mapping[int, Sample]
    """With articles as long as real ones; ``words`` is their mean length."""
    checks: tuple[Check, ...]

    @property
    def cores(self) -> int:
        """The maximum number of cores that the server had."""
        return max(self.by_cores)

    @property
    def others_cores(self) -> list[float]:
        """What others took in each part of the measurement."""
        samples = (
            *self.times.alone,
            *self.times.full,
            *self.by_beams.values(),
            *self.by_summary_tokens.values(),
            *self.by_cores.values(),
        )
        return [*(one.others_cores for one in samples), *(check.others_cores for check in self.checks)]


def measured_document(measured: Measured) -> dict[str, Any]:
    """For programs; `read_measured` reads it."""
    return {
        "machine": asdict(measured.machine),
        "date": measured.day.isoformat(),
        "seconds": measured.seconds,
        "service_times": times_document(measured.times),
        "by_beams": {str(n): sample_document(one) for n, one in measured.by_beams.items()},
        "by_summary_tokens": {str(n): sample_document(one) for n, one in measured.by_summary_tokens.items()},
        "by_cores": {str(n): sample_document(one) for n, one in measured.by_cores.items()},
        "checks": [asdict(check) for check in measured.checks],
    }


def read_measured(document: Mapping[str, Any]) -> Measured:
    """Read what `measured_document` wrote.

    Raises:
        BenchmarkError: It is no such document.
    """
    try:
        return Measured(
            machine=Machine(**document["machine"]),
            day=date.fromisoformat(document["date"]),
            seconds=float(document["seconds"]),
            times=read_times(document["service_times"]),
            by_beams=_by_number(document["by_beams"]),
            by_summary_tokens=_by_number(document["by_summary_tokens"]),
            by_cores=_by_number(document["by_cores"]),
            checks=tuple(Check(**check) for check in document["checks"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(
            f"this is no capacity measurement ({type(error).__name__}: {error}): give the capacity.json of "
            "`python -m benchmarks capacity`, or leave --measured out and measure"
        ) from error


def _by_number(document: Mapping[str, Any]) -> dict[int, Sample]:
    return {int(number): read_sample(one) for number, one in document.items()}
