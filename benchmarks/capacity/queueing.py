"""The server as a network of queues, simulated event by event.

The model
    Requests arrive as a Poisson process. Each passes the *entry* stations (the network's side of the server), waits for
    a place in a window of ``max_running`` requests (first come, first served), passes the *inner* stations
    (``fan_out``), and forks into chains that run side by side: tokenizer, model, text or labels. It is answered when
    all its chains are done (a fork-join queue). A station has a number of instances; a free instance takes up to
    ``max_batch`` of those who wait, in order, as long as their shapes are equal (Triton's dynamic batching).

    An execution asks for a known amount of CPU time, and all executions share the cores evenly: k of them on c cores
    progress at min(1, c / k) each. This is *egalitarian processor sharing* (Kleinrock, Queueing Systems II, 1976),
    what a fair scheduler of threads comes to. One station alone is M/G/1-PS with many instances, M/G/1 with one
    (Kendall's notation: Markovian arrivals, General service, 1 server); tests hold the simulation against both.

    A request that would wait longer than ``max_wait_ms`` for the window is refused, as ``fan_out`` does it: the time
    between two answers is learned by Little's law (L = lambda * W) as a moving average.

    Stations may compute on a GPU (`stations.Card`). Its engine's articles share steps, so n of them progress at the
    rate at which a step with n of them is taken: processor sharing again, by another law. Beside it each execution of a
    classifier is a program of its own, and a card without a partition gives programs that want it at the same time
    turns of equal length.

How it is simulated
    All executions in one place progress at one rate, so a *virtual time* that runs at this rate makes every end known
    when the execution starts (as in weighted fair queueing): a heap for each place, and nothing that runs is ever
    updated.

What it leaves out
    Memory bandwidth and caches: an execution asks for the same CPU time however many run beside it. Also the batcher's
    delay (0.5 ms), that summaries differ in length, the network, time-outs, callers who leave, and what else the
    machine does. More cores in the model are cores of the same kind with as much memory bandwidth each.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from .stations import MANY, Card, Place, Requests, Server, Simulated, Station

__all__ = ["MANY", "Card", "Place", "Requests", "Server", "Simulated", "Station", "highest", "simulate"]

_ADMIT, _FORK, _JOIN = -1, -2, -3


def simulate(server: Server, requests: Requests) -> Simulated:
    """Run the requests through the server.

    Raises:
        KeyError: A station has no CPU times.
    """
    run = _Simulation(server, requests)
    run.go()
    return run.result()


class _Simulation:
    """The state of one simulation; times in seconds."""

    def __init__(self, server: Server, requests: Requests) -> None:
        stations, count = server.stations, len(requests.arrivals_s)
        self._server = server
        self._max_wait_s = server.max_wait_ms / 1e3
        self._arrivals: list[float] = requests.arrivals_s.tolist()
        self._cpu = [requests.cpu_s[station.name].tolist() for station in stations]
        self._shapes = [
            requests.shapes[station.name].tolist() if station.name in requests.shapes else [0] * count
            for station in stations
        ]
        self._stations = stations
        self._free = [station.instances for station in stations]
        self._queues: list[deque[int]] = [deque() for _ in stations]
        self._executions = [0] * len(stations)
        self._served = [0] * len(stations)
        # A station stands in one place, so it alone says where a request goes next.
        self._after: list[int] = []
        self._entry = self._line(server.entry, _ADMIT)
        self._inner = self._line(server.inner, _FORK)
        self._firsts = [self._line(chain, _JOIN) for chain in server.chains]
        self._heaps: list[list[tuple[float, int, int, list[int]]]] = [[] for _ in Place]
        self._virtual = [0.0 for _ in Place]
        self._pushed = 0
        self._now, self._busy, self._card_busy = 0.0, 0.0, 0.0
        self._waiting: deque[int] = deque()
        self._running, self._interval = 0, 0.0
        self._left = [len(server.chains)] * count
        self._started = [0.0] * count
        self._beside = [0] * count
        self._latency = [float("inf")] * count

    def go(self) -> None:
        arrivals, heaps, virtual, cores = self._arrivals, self._heaps, self._virtual, self._server.cores
        coming, count = 0, len(arrivals)
        while any(heaps) or coming < count:
            running = [len(heap) for heap in heaps]
            speeds = self._server.speeds(running)
            end, ending = float("inf"), -1
            for place, heap in enumerate(heaps):
                if heap and (moment := self._now + (heap[0][0] - virtual[place]) / speeds[place]) < end:
                    end, ending = moment, place
            arrives = coming < count and arrivals[coming] <= end
            moment = arrivals[coming] if arrives else end
            took = moment - self._now
            self._busy += min(running[Place.CORES], cores) * took
            self._card_busy += took if running[Place.ENGINE] or running[Place.PROGRAMS] else 0.0
            for place in Place:
                virtual[place] += took * speeds[place]
            self._now = moment
            if arrives:
                self._pass([coming], self._entry)
                coming += 1
            else:
                virtual[ending], _, station, batch = heapq.heappop(heaps[ending])
                self._free[station] += 1
                self._pass(batch, self._after[station])
                self._dispatch(station)

    def result(self) -> Simulated:
        first = self._arrivals[0] if self._arrivals else 0.0
        return Simulated(
            latency_ms=1e3 * np.array(self._latency),
            seconds=self._now - first,
            busy_s=self._busy,
            card_busy_s=self._card_busy,
            batches={
                station.name: served / executions if executions else 0.0
                for station, served, executions in zip(self._stations, self._served, self._executions, strict=True)
            },
        )

    def _line(self, stations: Sequence[Station], end: int) -> int:
        """Note where each station's requests go next; returns the first one, or what follows where there is none."""
        first = len(self._after)
        self._after += [first + step + 1 for step in range(len(stations) - 1)]
        if not stations:
            return end
        self._after.append(end)
        return first

    def _pass(self, batch: list[int], to: int) -> None:
        if to >= 0:
            self._queues[to].extend(batch)
            self._dispatch(to)
        elif to == _ADMIT:
            for request in batch:
                self._admit(request)
        elif to == _FORK:
            for first in self._firsts:
                self._pass(batch, first)
        else:
            for request in batch:
                self._left[request] -= 1
                if not self._left[request]:
                    self._answer(request)

    def _dispatch(self, station: int) -> None:
        queue, shapes, cpu = self._queues[station], self._shapes[station], self._cpu[station]
        kind = self._stations[station]
        while queue and self._free[station]:
            batch = [queue.popleft()]
            shape = shapes[batch[0]]
            while queue and len(batch) < kind.max_batch and shapes[queue[0]] == shape:
                batch.append(queue.popleft())
            self._free[station] -= 1
            self._executions[station] += 1
            self._served[station] += len(batch)
            works = [cpu[request] for request in batch]
            # The longest one in full, the others at their share.
            work = kind.batch_share * sum(works) + (1 - kind.batch_share) * max(works)
            self._pushed += 1
            end = self._virtual[kind.place] + work
            heapq.heappush(self._heaps[kind.place], (end, self._pushed, station, batch))

    def _admit(self, request: int) -> None:
        if self._running == self._server.max_running:
            if (len(self._waiting) + 1) * self._interval <= self._max_wait_s:
                self._waiting.append(request)
            return
        self._running += 1
        self._start(request)

    def _start(self, request: int) -> None:
        self._started[request], self._beside[request] = self._now, self._running
        self._pass([request], self._inner)

    def _answer(self, request: int) -> None:
        self._latency[request] = self._now - self._arrivals[request]
        took = self._now - self._started[request]
        interval = took / max(self._beside[request], self._running)
        self._interval += (0.1 if self._interval else 1.0) * (interval - self._interval)
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self._running -= 1


def highest(holds: Callable[[float], bool], *, low: float, high: float, resolution: float = 0.01) -> float:
    """The highest number that holds, by bisection, to a share of ``high``; 0 when ``low`` does not hold.

    Raises:
        ValueError: The bounds are not in order.
    """
    if not 0 < low < high:
        raise ValueError(f"a search goes from a number above 0 to a higher one, not from {low} to {high}")
    if not holds(low):
        return 0.0
    if holds(high):
        return high
    step = resolution * high
    while high - low > step:
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
