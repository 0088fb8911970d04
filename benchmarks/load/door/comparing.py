"""Asks the same of one server through its door and past it, in turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
import psutil

from benchmarks.common.articles import Articles, tasks_of
from benchmarks.common.closed_loop import closed_loop_per_s
from benchmarks.common.open_loop import Arrivals, run
from benchmarks.common.processes import process_name
from benchmarks.common.server import BenchmarkError, Started
from benchmarks.common.wire import RequestOutcome
from infolens import Article, Client

from .batches import Batches, compare_batches
from .config import DoorConfig
from .plain_json import JSONClient

DIRECT: Final = "Triton, gRPC"
DOOR: Final = "door, gRPC"
DOOR_HTTP: Final = "door, HTTP"
DOOR_JSON: Final = "door, /v1"
OPEN_TIMES: Final = 1.2
"""The open loop asks for so many times what the closed loop reached: more than can be answered in time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OneClient:
    """Requests of one kind by one client, one way."""

    kind: str
    way: str
    p50_ms: float
    p99_ms: float
    added_ms: float
    """Median over the turns of what this way's median has more than that of `DIRECT` in the same turn."""
    door_cpu_ms: float
    """CPU time of the door for a request."""
    server_cpu_ms: float
    """CPU time of all processes of the server for a request, the door among them."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """All that was measured."""

    config: DoorConfig
    one_client: tuple[OneClient, ...]
    closed_per_s: tuple[tuple[float, float], ...]
    """Requests a second of each turn of the closed loop: past the door, through it."""
    highest_per_s: tuple[tuple[float, float], ...]
    """Answers a second within the bound in each turn of the open loop: past the door, through it."""
    batches: tuple[Batches, ...] = ()


def ratio(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Median of what the door keeps of Triton's rate, turn by turn; None where there is none."""
    shares = [door / direct for direct, door in pairs if direct]
    return median(shares) if shares else None


def compare(server: Started, article: Article, config: DoorConfig) -> Compared:
    """Measure everything.

    Args:
        server: It runs on this machine, and nothing else is asked of it.
        article: What one client sends.
        config: How long what is compared.

    Raises:
        BenchmarkError: The server has no door.
        InfoLensError: It does not answer.
    """
    found = [one for kind in config.kinds for one in _one_client(server, article, kind, config)]
    urls = {DIRECT: server.triton_grpc_url, DOOR: server.grpc_url}
    closed, highest = [], []
    for turn in range(config.rounds):
        rates = {way: _closed_loop(url, config) for way, url in _order(urls, turn)}
        closed.append((rates[DIRECT], rates[DOOR]))
        log.info("%d in flight: %.1f/s past the door, %.1f/s through it", config.in_flight, *closed[-1])
    rate_per_s = OPEN_TIMES * median(direct for direct, _ in closed)
    for turn in range(config.open_turns):
        rates = {way: _open_loop(url, rate_per_s, config) for way, url in _order(urls, turn)}
        highest.append((rates[DIRECT], rates[DOOR]))
        words = "%.1f a second asked for: %.1f/s within the bound past the door, %.1f/s through it"
        log.info(words, rate_per_s, *highest[-1])
    return Compared(
        config=config,
        one_client=tuple(found),
        closed_per_s=tuple(closed),
        highest_per_s=tuple(highest),
        batches=compare_batches(
            server,
            _processes(server.pid)["door"][0],
            turns=config.batch_turns,
            articles=config.batch_articles,
            seed=config.seed,
        ),
    )


def _order(urls: dict[str, str], turn: int) -> list[tuple[str, str]]:
    """Who comes first changes from turn to turn, since the machine may grow slower or faster."""
    ways = list(urls.items())
    return ways if turn % 2 == 0 else ways[::-1]


def _one_client(server: Started, article: Article, kind: str, config: DoorConfig) -> list[OneClient]:
    urls = {
        DIRECT: server.triton_grpc_url,
        DOOR: server.grpc_url,
        DOOR_HTTP: server.http_url,
        DOOR_JSON: server.http_url,
    }
    processes = _processes(server.pid)
    times_ms: dict[str, list[list[float]]] = {way: [] for way in urls}
    cpu_s: dict[str, tuple[float, float]] = dict.fromkeys(urls, (0.0, 0.0))
    with ExitStack() as stack:
        clients: dict[str, Client | JSONClient] = {
            way: stack.enter_context(Client(url)) for way, url in urls.items() if way != DOOR_JSON
        }
        clients[DOOR_JSON] = stack.enter_context(JSONClient(urls[DOOR_JSON]))
        for client in clients.values():
            _ask(client, article, kind, config.warmup_requests)
        for turn in range(config.rounds):
            for way, _ in _order(urls, turn):
                before = _cpu_s(processes)
                times_ms[way].append(_ask(clients[way], article, kind, config.requests))
                after = _cpu_s(processes)
                cpu_s[way] = (cpu_s[way][0] + after[0] - before[0], cpu_s[way][1] + after[1] - before[1])
    requests = config.rounds * config.requests
    medians = {way: [median(one) for one in turns] for way, turns in times_ms.items()}
    found = [
        OneClient(
            kind=kind,
            way=way,
            p50_ms=median(ms for turn in turns for ms in turn),
            p99_ms=float(np.percentile([ms for turn in turns for ms in turn], 99)),
            added_ms=median(mine - direct for mine, direct in zip(medians[way], medians[DIRECT], strict=True)),
            door_cpu_ms=1e3 * cpu_s[way][0] / requests,
            server_cpu_ms=1e3 * cpu_s[way][1] / requests,
        )
        for way, turns in times_ms.items()
    ]
    for one in found:
        log.info(
            "%s, %s: p50 %.1f ms (%+.2f), %.2f ms of the door's CPU time",
            kind,
            one.way,
            one.p50_ms,
            one.added_ms,
            one.door_cpu_ms,
        )
    return found


def _ask(client: Client | JSONClient, article: Article, kind: str, count: int) -> list[float]:
    times_ms = []
    for _ in range(count):
        start_s = time.perf_counter()
        client.analyze(article, tasks=tasks_of(kind))
        times_ms.append(1e3 * (time.perf_counter() - start_s))
    return times_ms


def _processes(pid: int) -> dict[str, list[psutil.Process]]:
    """The processes of a server by name."""
    root = psutil.Process(pid)
    found: dict[str, list[psutil.Process]] = {}
    for process in (root, *root.children(recursive=True)):
        found.setdefault(process_name(process), []).append(process)
    if "door" not in found:
        raise BenchmarkError("the server has no door: leave --no-door out")
    return found


def _cpu_s(processes: dict[str, list[psutil.Process]]) -> tuple[float, float]:
    """CPU time of the door and of all processes since they were started."""
    used = {name: sum(sum(process.cpu_times()[:2]) for process in several) for name, several in processes.items()}
    return used["door"], sum(used.values())


def _closed_loop(url: str, config: DoorConfig) -> float:
    articles = Articles(seed=config.seed)
    return closed_loop_per_s(url, articles, in_flight=config.in_flight, seconds=config.closed_s, kind=config.kinds[0])


def _open_loop(url: str, rate_per_s: float, config: DoorConfig) -> float:
    """Answers a second that came within the bound."""
    arrivals = Arrivals(
        rate_per_s=rate_per_s, seconds=config.seconds, warmup_s=2.0, kind=config.kinds[0], seed=config.seed
    )
    sent = run(url, Articles(seed=config.seed), arrivals).sent
    within = [one for one in sent if one.outcome is RequestOutcome.ANSWERED and one.latency_ms <= config.bound_ms]
    return len(within) / config.seconds
