"""The figures of a run of Locust, from the CSV files that it writes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.server import BenchmarkError


@dataclass(frozen=True, kw_only=True)
class LocustFigures:
    """What the users of one kind saw, times in milliseconds."""

    protocol: str
    """``gRPC`` or ``HTTP``; empty for all users together."""
    name: str
    """``info_lens`` or a task; ``all`` for all users together."""
    requests: int
    """Answered and failed ones."""
    failures: int
    requests_per_s: float
    """Answered and failed ones."""
    p50_ms: float | None
    """Over the answered requests and those without an answer in time; None when there are none."""
    p90_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, kw_only=True)
class LocustFailure:
    """A kind of failure, and how often it happened."""

    protocol: str
    name: str
    error: str
    """Such as ``ServerOverloadedError('refused: the server is busy')``."""
    count: int


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file of Locust, by the names of its columns.

    Raises:
        BenchmarkError: The file cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as source:
            return list(csv.DictReader(source))
    except OSError as error:
        raise BenchmarkError(f"Locust did not write {path.name}: {error}") from error


def read_figures(path: Path) -> tuple[LocustFigures, ...]:
    """The figures of a ``*_stats.csv`` of Locust; all requests together come last.

    Raises:
        BenchmarkError: The file cannot be read, or is none of Locust's.
    """
    found = []
    for row in read_rows(path):
        try:
            requests, failures = int(row["Request Count"]), int(row["Failure Count"])
            columns = {"p50": "50%", "p90": "90%", "p99": "99%", "p999": "99.9%", "max": "100%"}
            times = {f"{name}_ms": _milliseconds(row[column]) for name, column in columns.items()}
            if requests == failures and not any(times.values()):
                # Locust writes 0 where no request has a time.
                times = dict.fromkeys(times)
            found.append(
                LocustFigures(
                    protocol=row["Type"],
                    name="all" if row["Name"] == "Aggregated" else row["Name"],
                    requests=requests,
                    failures=failures,
                    requests_per_s=float(row["Requests/s"]),
                    **times,
                )
            )
        except (KeyError, ValueError, TypeError) as error:
            raise BenchmarkError(
                f"{path.name} is not as Locust 2.47 writes it ({type(error).__name__}: {error}); "
                "install the Locust of requirements/dev.txt"
            ) from error
    return tuple(found)


def read_failures(path: Path) -> tuple[LocustFailure, ...]:
    """The failures of a ``*_failures.csv`` of Locust, the most frequent first.

    Raises:
        BenchmarkError: The file cannot be read.
    """
    found = [
        LocustFailure(protocol=row["Method"], name=row["Name"], error=row["Error"], count=int(row["Occurrences"]))
        for row in read_rows(path)
    ]
    return tuple(sorted(found, key=lambda failure: -failure.count))


def _milliseconds(cell: str) -> float | None:
    return None if cell in ("", "N/A") else float(cell)
