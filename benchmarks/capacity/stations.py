"""A server as a network of queues: its stations, what they compute on, what requests ask for, and what became of them.

`queueing` simulates it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

MANY: Final = 10**9
"""Instances of a station at which nobody waits for a turn, and places of a window that is none."""

Floats = NDArray[np.float64]


class Place(IntEnum):
    """What the executions of a station compute on. All that are in one place progress at one rate."""

    CORES = 0
    """The cores of the processor."""
    ENGINE = 1
    """A GPU, in steps that all articles share which have a slot of the engine."""
    PROGRAMS = 2
    """The same GPU, each execution a program of its own."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A GPU. The engine, as long as it has an article, and each program have the card in turns, as drivers do it."""

    slowdown: tuple[float, ...]
    """How many times as long as with one article a step of the engine takes: with one (so 1), with two, and so on."""

    def __post_init__(self) -> None:
        if not self.slowdown or min(self.slowdown) < 1:
            raise ValueError(f"slowdown has a number from 1 for each article that a step may have: {self.slowdown}")


@dataclass(frozen=True, kw_only=True)
class Station:
    """Where requests are worked on: one model of the server."""

    name: str
    instances: int = MANY
    """Executions at the same time."""
    max_batch: int = 1
    """Maximum requests in an execution."""
    batch_share: float = 1.0
    """Time of each further request in a batch, relative to what it takes alone."""
    place: Place = Place.CORES

    def __post_init__(self) -> None:
        for name in ("instances", "max_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of {self.name} is a whole number from 1, not {getattr(self, name)}")
        if self.batch_share < 0:
            raise ValueError(f"batch_share of {self.name} is a number from 0, not {self.batch_share}")


@dataclass(frozen=True, kw_only=True)
class Server:
    """Cores, and the way of a request through the stations."""

    cores: int
    chains: tuple[tuple[Station, ...], ...]
    """Run side by side; every station stands in one place only."""
    entry: tuple[Station, ...] = ()
    """Before the window."""
    inner: tuple[Station, ...] = ()
    """In the window, before the chains."""
    max_running: int = MANY
    """Requests in the window."""
    max_wait_ms: float = float("inf")
    """A request that would wait longer for the window is refused."""
    card: Card | None = None
    """For the stations that compute on a GPU."""

    def __post_init__(self) -> None:
        on_card = [station for station in self.stations if station.place is not Place.CORES]
        if on_card and self.card is None:
            raise ValueError(f"{on_card[0].name} computes on a GPU, and the server has none: say its card")
        if self.cores < 1 or self.max_running < 1:
            raise ValueError(f"cores and max_running are from 1 on, not {self.cores} and {self.max_running}")
        if not self.chains or not all(self.chains):
            raise ValueError("a server has at least one chain of at least one station")

    def speeds(self, running: Sequence[int]) -> tuple[float, float, float]:
        """How fast executions progress in each `Place`, relative to one that is alone there.

        Args:
            running: How many there are in each.

        Raises:
            IndexError: The engine has more articles than its card knows of.
        """
        cores, engine, programs = running
        on_cores = min(1.0, self.cores / cores) if cores else 1.0
        if self.card is None or not (engine or programs):
            return on_cores, 1.0, 1.0
        turn = 1.0 / (programs + (engine > 0))
        return on_cores, turn / self.card.slowdown[engine - 1] if engine else 1.0, turn

    @property
    def stations(self) -> tuple[Station, ...]:
        """All of them, in the order of a request's way."""
        return (*self.entry, *self.inner, *(station for chain in self.chains for station in chain))


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What each request of a simulation asks for; all arrays have one element a request."""

    arrivals_s: Floats
    """In ascending order."""
    cpu_s: Mapping[str, Floats]
    """CPU time of a request alone in its batch, by station."""
    shapes: Mapping[str, NDArray[np.int64]]
    """By station: only requests of one shape share a batch. A station that is not named batches all."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What became of the requests."""

    latency_ms: Floats
    """One value a request, from arrival to answer; infinite where it was refused."""
    seconds: float
    """From the first arrival to the last answer."""
    busy_s: float
    """CPU time that was spent."""
    card_busy_s: float
    """Time in which a GPU had something to do."""
    batches: Mapping[str, float]
    """Mean requests in an execution, by station."""

    @property
    def refused(self) -> int:
        """Requests that were refused."""
        return int(np.isinf(self.latency_ms).sum())

    def percentile_ms(self, percentile: float) -> float:
        """Latency that so many of 100 requests kept; a refused one kept none."""
        return float(np.percentile(self.latency_ms, percentile, method="inverted_cdf"))
