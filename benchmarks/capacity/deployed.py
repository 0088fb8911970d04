"""What measured costs come to: the simulated server of any number of cores, its highest rates, and replicas."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.articles import LENGTHS_WORDS, QUANTILES
from benchmarks.common.served import asked_together, read_config, served_models
from benchmarks.common.server import ROOT, BenchmarkError
from infolens.contract import INFO_LENS, AnswerKind

from .queueing import MANY, Requests, Server, Simulated, Station, highest, simulate
from .service_times import CLIENT, FRONT, ServiceTimes, batching_of, chains_of
from .wanted import HEAD_ROOM


@dataclass(frozen=True, kw_only=True)
class DeployedModels:
    """How a model repository says that it is run."""

    instances: dict[str, int]
    """By model."""
    max_batch: dict[str, int]
    max_running: int
    max_wait_ms: float
    longest: str
    """The model that takes most of the time: one that writes text. Its instances are what others grow with."""

    def grown(self, cores: int, *, everything: bool) -> DeployedModels:
        """The deployment for another number of cores: as many instances of `longest` as cores.

        Args:
            cores: Of the machine.
            everything: Whether the instances of all models grow in proportion, not only those of `longest`.
        """
        factor = cores / self.instances[self.longest]
        return replace(
            self,
            instances={
                name: max(1, round(factor * count)) if everything or name == self.longest else count
                for name, count in self.instances.items()
            },
            max_running=max(1, round(factor * self.max_running)),
        )


def read_deployed_models(repository: Path = ROOT / "model_repository") -> DeployedModels:
    """Read the configurations of a model repository.

    Raises:
        BenchmarkError: One cannot be read, or lacks a value; or no model writes text.
    """
    served = asked_together(served_models(repository))
    names = batching_of(chains_of(served))
    configs = {name: read_config(repository, name) for name in (*names, INFO_LENS)}
    longest = [model.name for model in served.values() if model.answers is AnswerKind.TEXT]
    if not longest:
        raise BenchmarkError(
            f"a server grows with the instances of the model that writes text, but {repository} has none: "
            f"{', '.join(served)}; measure a repository with a summary"
        )
    try:
        parameters = configs[INFO_LENS].parameters
        return DeployedModels(
            instances={name: configs[name].instance_group[0].count for name in names},
            max_batch={name: configs[name].max_batch_size for name in names},
            max_running=int(parameters["max_running"].string_value),
            max_wait_ms=float(parameters["max_wait_ms"].string_value),
            longest=longest[0],
        )
    except (ValueError, IndexError) as error:
        raise BenchmarkError(
            f"cannot read how {repository} is run: {error}; write its configurations anew with `make configs`"
        ) from error


def check_fits(times: ServiceTimes, deployment: DeployedModels) -> None:
    """Refuse costs of other models than those that are deployed.

    Raises:
        BenchmarkError: They are not the same.
    """
    measured, deployed = set(times.batching), set(deployment.instances)
    if measured != deployed:
        raise BenchmarkError(
            f"what is simulated is what was measured, but the measurement is of {', '.join(sorted(measured))} and the "
            f"repository serves {', '.join(sorted(deployed))}; leave --measured out and measure"
        )


def server_of(times: ServiceTimes, deployment: DeployedModels, cores: int, *, client: bool) -> Server:
    """The simulated server.

    Args:
        times: What its stages cost.
        deployment: How it is run.
        cores: That it has.
        client: Whether the load generator shares these cores.
    """

    def station(name: str) -> Station:
        return Station(
            name=name,
            instances=deployment.instances[name],
            max_batch=deployment.max_batch[name],
            batch_share=times.batch_share(name),
        )

    return Server(
        cores=cores,
        entry=(*((Station(name=CLIENT, instances=1),) if client else ()), Station(name=FRONT, instances=MANY)),
        # Python, so one thread computes at a time.
        inner=(Station(name=INFO_LENS, instances=1),),
        chains=tuple(tuple(station(name) for name in chain) for chain in times.chains.values()),
        max_running=deployment.max_running,
        max_wait_ms=deployment.max_wait_ms,
    )


def requests_of(times: ServiceTimes, words: NDArray[Any], arrivals_s: NDArray[np.float64]) -> Requests:
    """Requests of these lengths at these times."""
    return Requests(
        arrivals_s=arrivals_s,
        cpu_s={stage: times.cpu_s(stage, words) for stage in times.stages},
        shapes={model: times.shapes(model, words) for model in times.edges_words},
    )


@dataclass(frozen=True, kw_only=True)
class SimulatedLoad:
    """Articles as long as real ones, at random moments: the same ones at every rate, only nearer to each other."""

    times: ServiceTimes
    seconds: float = 60.0
    seed: int = 0
    maximum_requests: int = 20_000
    """Requests in a simulation; at high rates they cover fewer seconds."""

    @cached_property
    def _gaps(self) -> NDArray[np.float64]:
        return np.random.default_rng([self.seed, 1]).exponential(1.0, self.maximum_requests)

    @cached_property
    def _words(self) -> NDArray[np.float64]:
        return np.interp(np.random.default_rng([self.seed, 2]).random(self.maximum_requests), QUANTILES, LENGTHS_WORDS)

    def run(self, server: Server, rate_per_s: float) -> Simulated:
        """Let requests arrive at this rate."""
        count = min(self.maximum_requests, max(100, round(rate_per_s * self.seconds)))
        arrivals_s, words = self.arrivals(rate_per_s, count)
        return simulate(server, requests_of(self.times, words, arrivals_s))

    def arrivals(self, rate_per_s: float, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """When so many articles arrive (seconds), and how many words they have; at most `maximum_requests`."""
        return np.cumsum(self._gaps[:count]) / rate_per_s, self._words[:count]

    def full_per_s(self, server: Server) -> float:
        """Answers a second with the window always full: a closed loop, so what is before the window is in it here."""
        count = min(self.maximum_requests, 400 * server.cores + 1600)
        closed = replace(server, entry=(), inner=(*server.entry, *server.inner), max_wait_ms=float("inf"))
        everyone = requests_of(self.times, self._words[:count], np.zeros(count))
        return count / simulate(closed, everyone).seconds

    def highest_per_s(self, server: Server, p99_ms: float) -> float:
        """The highest rate at which 99 of 100 requests are answered within a bound; a refused one is not.

        The window's longest wait is half the bound, as in the committed deployment (250 ms for 500 ms).
        """
        ready = replace(server, max_wait_ms=p99_ms / 2)
        full = self.full_per_s(server)
        return highest(lambda rate: self.run(ready, rate).percentile_ms(99) <= p99_ms, low=0.05 * full, high=full)


def replicas(wanted_per_s: float, replica_per_s: float, *, head_room: float = HEAD_ROOM) -> int | None:
    """Servers that a rate needs; None when one holds nothing within the bound.

    Args:
        wanted_per_s: All arrivals.
        replica_per_s: The highest rate of one server. Arrivals that are shared out at random are a Poisson process at
            each server, as the one that this rate was found with; a balancer that looks at the load does better.
        head_room: Share of it that is kept free.
    """
    if replica_per_s <= 0:
        return None
    # Not one more because of the last binary digit.
    return max(1, math.ceil(wanted_per_s / (replica_per_s * (1 - head_room)) - 1e-9))
