"""What a request costs in CPU time: measured at a few lengths, for every process of the server, and read in between.

Two measurements at each length. *Alone*: about 8 requests a second, so that batches are 1. *Full*: 16 requests in
flight, with the mean batch that Triton reports. From both follows what a further article in a batch costs, as a share
of the first one: n articles in e executions cost c * (e + share * (n - e)) where one alone costs c. Stages that have
no batches (``tritonserver``, ``fan_out``, the client) are taken as they are at full load: with few requests they cost
more each, since threads sleep and wake for every one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.served import Served
from benchmarks.common.server import BenchmarkError
from infolens.contract import CONTRACTS, INFO_LENS

CLIENT, FRONT = "load generator", "tritonserver"
Chains = Mapping[str, tuple[str, ...]]
"""Models that a request passes one after another, by task; the chains run side by side."""
MEASURED_LENGTHS_WORDS: Final = (50, 150, 300, 400, 600, 1200, 2400)


def chains_of(served: Served) -> dict[str, tuple[str, ...]]:
    """The chains of the models that serve the tasks."""
    return {task.value: model.chain for task, model in served.items()}


def batching_of(chains: Chains) -> tuple[str, ...]:
    """The models of all chains: those that take several articles at once."""
    return tuple(name for chain in chains.values() for name in chain)


def stages_of(chains: Chains) -> tuple[str, ...]:
    """Everything that takes CPU time for a request; `FRONT` holds the launcher, too."""
    return (FRONT, INFO_LENS, *batching_of(chains), CLIENT)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """CPU time at one length."""

    words: int
    requests: int
    answered_per_s: float
    cpu_ms: Mapping[str, float]
    """For each request, by `stages_of` its server."""
    batches: Mapping[str, float]
    """Mean articles in an execution, by model; 1 where it is not known."""
    others_cores: float
    """Cores that other processes of the machine took meanwhile."""

    @property
    def server_ms(self) -> float:
        """CPU time of all stages but the client, in milliseconds for each request."""
        return sum(value for name, value in self.cpu_ms.items() if name != CLIENT)

    @property
    def busy_cores(self) -> float:
        """Cores that the server and the client kept busy."""
        return sum(self.cpu_ms.values()) * self.answered_per_s / 1e3


@dataclass(frozen=True, kw_only=True)
class ServiceTimes:
    """What every stage costs, by the length of the article."""

    chains: Chains
    alone: tuple[Sample, ...]
    """One article at a time, by ascending length."""
    full: tuple[Sample, ...]
    """The same lengths with all cores busy."""
    edges_words: Mapping[str, tuple[float, ...]]
    """Lengths at which an article fills the next of a model's length buckets: only equal buckets share a batch."""

    def __post_init__(self) -> None:
        if not self.chains:
            raise ValueError("a server has the chain of at least one task")
        lengths = [one.words for one in self.alone]
        if len(lengths) < 2 or lengths != sorted(set(lengths)):
            raise ValueError(f"lengths are at least two, in ascending order, not {lengths}")
        if lengths != [one.words for one in self.full]:
            raise ValueError(f"both measurements have the same lengths, not {[one.words for one in self.full]}")
        for one in (*self.alone, *self.full):
            if missing := sorted(set(self.stages) - set(one.cpu_ms)):
                raise ValueError(f"the measurement at {one.words} words lacks the stages {missing}")

    @property
    def batching(self) -> tuple[str, ...]:
        """See `batching_of`."""
        return batching_of(self.chains)

    @property
    def stages(self) -> tuple[str, ...]:
        """See `stages_of`."""
        return stages_of(self.chains)

    @property
    def lengths_words(self) -> tuple[int, ...]:
        """The measured lengths."""
        return tuple(one.words for one in self.alone)

    def cpu_s(self, stage: str, words: NDArray[Any]) -> NDArray[np.float64]:
        """CPU time of an article alone in its batch, linear between the measured lengths and constant beyond them.

        Args:
            stage: One of `stages`.
            words: Lengths of the articles.
        """
        samples = self.alone if stage in self.batching else self.full
        times_ms = [one.cpu_ms[stage] for one in samples]
        return np.asarray(np.interp(words, self.lengths_words, times_ms), np.float64) / 1e3

    def shapes(self, model: str, words: NDArray[Any]) -> NDArray[np.int64]:
        """The number of the length bucket of each article."""
        return np.searchsorted(np.asarray(self.edges_words[model]), words).astype(np.int64)

    def batch_share(self, stage: str) -> float:
        """CPU time of each further article in a batch relative to the first one: least squares over all lengths."""
        above = below = 0.0
        for alone, full in zip(self.alone, self.full, strict=True):
            one_ms, batch = alone.cpu_ms[stage], full.batches.get(stage, 1.0)
            above += (batch - 1) * one_ms * (full.cpu_ms[stage] * batch - one_ms)
            below += ((batch - 1) * one_ms) ** 2
        # Without batches, or too little CPU time to be seen: each article costs the same.
        return max(0.0, above / below) if below > 1e-9 else 1.0


def per_request(cpu_s: Mapping[str, float], requests: int, stages: Sequence[str]) -> dict[str, float]:
    """Milliseconds of each stage for each request, from the CPU time of every process.

    Args:
        cpu_s: CPU seconds of each process, by its model.
        requests: How many were answered.
        stages: `stages_of` the server.

    Raises:
        BenchmarkError: Nothing was answered, or a model has no process.
    """
    if not requests:
        raise BenchmarkError("no request was answered, so none has a cost: look at the server's log")
    if missing := sorted(set(stages) - set(cpu_s)):
        raise BenchmarkError(
            f"no process was seen for {missing}: CPU time by model needs the server that this command starts itself"
        )
    return {
        stage: 1e3 * (cpu_s[stage] + (cpu_s.get("launcher", 0.0) if stage == FRONT else 0.0)) / requests
        for stage in stages
    }


def edges_words(words: int, tokens: int, limit: int | None, buckets: Sequence[int]) -> tuple[float, ...]:
    """Article lengths, in words, that just fill each bucket but the last one.

    Args:
        words: Length of an article,
        tokens: and its tokens.
        limit: Maximum tokens that the model reads; None when the article was read whole.
        buckets: Token lengths, ascending.
    """
    return tuple(bucket * words / tokens for bucket in buckets if limit is None or bucket < limit)


def times_document(times: ServiceTimes) -> dict[str, Any]:
    """For programs; `read_times` reads it."""
    return {
        "chains": {task: list(names) for task, names in times.chains.items()},
        "alone": [sample_document(one) for one in times.alone],
        "full": [sample_document(one) for one in times.full],
        "edges_words": {name: list(edges) for name, edges in times.edges_words.items()},
    }


def read_times(document: Mapping[str, Any]) -> ServiceTimes:
    """Read what `times_document` wrote.

    Raises:
        BenchmarkError: It is no such document.
    """
    try:
        return ServiceTimes(
            chains=_read_chains(document),
            alone=tuple(read_sample(one) for one in document["alone"]),
            full=tuple(read_sample(one) for one in document["full"]),
            edges_words={name: tuple(map(float, edges)) for name, edges in document["edges_words"].items()},
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(
            f"these are no service times ({type(error).__name__}: {error}): measure them with `python -m benchmarks "
            "capacity`"
        ) from error


def _read_chains(document: Mapping[str, Any]) -> Chains:
    if "chains" in document:
        return {task: tuple(map(str, names)) for task, names in document["chains"].items()}
    # Documents of before do not say: they are of the starters.
    seen = set(document["alone"][0]["cpu_ms"])
    starters = {task.value: contract.served().chain for task, contract in CONTRACTS.items()}
    return {task: chain for task, chain in starters.items() if seen.issuperset(chain)}


def sample_document(one: Sample) -> dict[str, Any]:
    """For programs; `read_sample` reads it."""
    return {
        "words": one.words,
        "requests": one.requests,
        "answered_per_s": one.answered_per_s,
        "cpu_ms": dict(one.cpu_ms),
        "articles_in_a_batch": dict(one.batches),
        "others_cores": one.others_cores,
    }


def read_sample(document: Mapping[str, Any]) -> Sample:
    """Read what `sample_document` wrote; raises what a missing or wrong value raises."""
    return Sample(
        words=int(document["words"]),
        requests=int(document["requests"]),
        answered_per_s=float(document["answered_per_s"]),
        cpu_ms={str(name): float(value) for name, value in document["cpu_ms"].items()},
        batches={str(name): float(value) for name, value in document["articles_in_a_batch"].items()},
        others_cores=float(document["others_cores"]),
    )
