"""What the times of a card come to: the simulated server around it, its highest rates, and how many are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.capacity.deployed import SimulatedLoad
from benchmarks.capacity.plan import replicas_document
from benchmarks.capacity.queueing import MANY, Card, Place, Server, Station
from benchmarks.capacity.service_times import FRONT, Sample, ServiceTimes
from benchmarks.capacity.wanted import BOUNDS_MS, HEAD_ROOM
from benchmarks.common.server import BenchmarkError
from infolens.contract import INFO_LENS

from .times import CardTimes

DOOR_PER_S: Final = 440.0
"""What the process of one door passes on: an `info_lens` takes it 2.25 ms, measured between 5 and 20 a second."""
QUIET_PER_S: Final = 0.5
"""Arrivals that meet nobody else."""
QUIET_S: Final = 200.0
REQUESTS: Final = 8_000
"""Articles of a simulated rate, at most."""


@dataclass(frozen=True, kw_only=True)
class CardDeployment:
    """How a server around a card is run."""

    cores: int = 16
    slots: int = 32
    """Articles that share the steps of a summary."""
    max_batch: int = 32
    """Articles in a batch of a classifier, at most."""
    tokenizers: int = 3
    """Processes of each tokenizer."""
    texts: int = 2
    """Processes that make texts of tokens, and labels of probabilities."""
    max_running: int = 128


@dataclass(frozen=True, kw_only=True)
class CardPlan:
    """What the simulation says of one card."""

    full_per_s: float
    """Answers a second with the window always full."""
    alone_ms: float
    """The median where one article is asked about after the other."""
    highest_per_s: Mapping[float, float]
    """Within each bound of the p99, in milliseconds."""
    card_busy: Mapping[float, float]
    """Share of the time in which the card has something to do at that rate, by bound."""
    cores_busy: Mapping[float, float]
    """Cores that are busy then."""


def times_around(times: ServiceTimes, card: CardTimes) -> ServiceTimes:
    """What was measured of a server's stages on a processor, with the card's times in the place of the models'.

    Raises:
        BenchmarkError: The tasks are not those of which the card's times are.
    """
    models = models_of(times)
    on_card = {
        name: card.summary_ms if task == "summary" else card.labels[task].alone_ms for task, name in models.items()
    }

    def moved(one: Sample) -> Sample:
        return replace(one, cpu_ms={**one.cpu_ms, **on_card})

    return replace(
        times,
        alone=tuple(moved(one) for one in times.alone),
        full=tuple(moved(one) for one in times.full),
        # All articles are taken to be as long as those that were measured on the card: they share batches.
        edges_words={name: edges for name, edges in times.edges_words.items() if name not in on_card},
    )


def models_of(times: ServiceTimes) -> dict[str, str]:
    """The model of each task, between its tokenizer and what makes answers of its output."""
    wanted = {"summary", "category", "veracity"}
    if set(times.chains) != wanted:
        raise BenchmarkError(
            f"a card's times are of {', '.join(sorted(wanted))}, but the measurement beside them is of "
            f"{', '.join(sorted(times.chains))}: give another capacity.json with --beside"
        )
    return {task: chain[1] for task, chain in times.chains.items()}


def card_server(times: ServiceTimes, card: CardTimes, deployment: CardDeployment) -> Server:
    """The simulated server around a card.

    Args:
        times: Of its stages, as measured on a processor.
        card: Of the models.
        deployment: How it is run.
    """
    models = models_of(times)

    def chain(task: str) -> tuple[Station, ...]:
        first, model, last = times.chains[task]
        if task == "summary":
            middle = Station(name=model, instances=deployment.slots, place=Place.ENGINE)
        else:
            known = card.labels[task]
            size = min(deployment.max_batch, known.largest)
            middle = Station(
                name=model, instances=1, max_batch=size, batch_share=known.batch_share, place=Place.PROGRAMS
            )
        return (
            Station(name=first, instances=deployment.tokenizers),
            middle,
            Station(name=last, instances=deployment.texts),
        )

    return Server(
        cores=deployment.cores,
        entry=(Station(name=FRONT, instances=MANY),),
        inner=(Station(name=INFO_LENS, instances=1),),
        chains=tuple(chain(task) for task in models),
        max_running=deployment.max_running,
        card=Card(slowdown=card.slowdown(deployment.slots)),
    )


def plan_card(times: ServiceTimes, card: CardTimes, deployment: CardDeployment) -> CardPlan:
    """Simulate it: some seconds.

    Raises:
        BenchmarkError: The tasks are not those of which the card's times are.
    """
    server = card_server(times, card, deployment)
    work = SimulatedLoad(times=times_around(times, card), maximum_requests=REQUESTS)
    quiet = replace(work, seconds=QUIET_S).run(server, QUIET_PER_S)
    highest, busy, cores = {}, {}, {}
    for bound in BOUNDS_MS:
        rate = min(DOOR_PER_S, work.highest_per_s(server, bound))
        highest[bound] = rate
        run = work.run(replace(server, max_wait_ms=bound / 2), rate) if rate else None
        busy[bound] = 0.0 if run is None else run.card_busy_s / run.seconds
        cores[bound] = 0.0 if run is None else run.busy_s / run.seconds
    return CardPlan(
        full_per_s=min(DOOR_PER_S, work.full_per_s(server)),
        alone_ms=quiet.percentile_ms(50),
        highest_per_s=highest,
        card_busy=busy,
        cores_busy=cores,
    )


def card_document(
    card: CardTimes, deployment: CardDeployment, plan: CardPlan, wanted_per_s: tuple[float, ...], command: str
) -> dict[str, Any]:
    """Everything, for programs; keys carry their units."""
    return {
        "command": command,
        "card": card.card,
        "source": card.source,
        "measured": card.measured,
        "deployment": {name: getattr(deployment, name) for name in CardDeployment.__dataclass_fields__},
        "step_ms_by_articles": {str(batch): ms for batch, ms in card.step_ms.items()},
        "encoder_ms_by_articles": {str(batch): ms for batch, ms in card.encoder_ms.items()},
        "labels_ms_by_articles": {
            task: {str(batch): ms for batch, ms in one.batch_ms.items()} for task, one in card.labels.items()
        },
        "server": {"alone_p50_ms": card.server.alone_ms, "held_500_ms_per_s": card.server.held_per_s},
        "alone_ms": plan.alone_ms,
        "full_per_s": plan.full_per_s,
        "head_room": HEAD_ROOM,
        "cards": [
            {
                "bound_p99_ms": bound,
                "card_per_s": rate,
                "card_busy": plan.card_busy[bound],
                "cores_busy": plan.cores_busy[bound],
                "rows": replicas_document(rate, wanted_per_s),
            }
            for bound, rate in plan.highest_per_s.items()
        ],
    }
