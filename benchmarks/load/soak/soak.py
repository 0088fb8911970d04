"""A soak: a steady load on all routes of the door, measured window by window."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from itertools import islice

import psutil

from benchmarks.common.metrics import read_door
from benchmarks.common.server import BenchmarkError, Target
from infolens import Article, Client

from .asking import ONCE, Known, told
from .config import SoakConfig
from .looks import MachineWatch, ServerLook, ServerWatch, calibrate_ms
from .mixture import mixture
from .users import Counts, Users
from .windows import Soak, Window

log = logging.getLogger(__name__)


def learn(target: Target, articles: Iterator[Article], config: SoakConfig) -> list[Known]:
    """Ask about each article once, one after the other, on a server that has nothing else to do.

    Raises:
        ServerError: One was not answered.
    """
    with Client(target.grpc_url, timeout_s=config.timeout_s, retries=ONCE) as client:
        return [
            Known(article=article, answers=told(client.analyze(article)))
            for article in islice(articles, config.articles)
        ]


def run_soak(
    target: Target, articles: Iterator[Article], config: SoakConfig, each: Callable[[Soak], None] = lambda _: None
) -> Soak:
    """Load a server for the time of ``config``, or until Ctrl-C.

    Args:
        target: Where it listens; without a process there is no word on memory, without metrics none on heals.
        articles: The first ``config.articles`` of them are asked about.
        config: How long, and with how much.
        each: Called with what there is so far after every window.

    Raises:
        ValueError: ``target`` has no HTTP address.
        ServerError: The server did not answer before the load.
        BenchmarkError: Its metrics or its process are not there before the load.
    """
    if target.http_url is None:
        raise ValueError("a soak asks over HTTP too: name the HTTP address of the server")
    windows: list[Window] = []
    ended = ""
    try:
        known = learn(target, articles, config)
        watch = _Watch(target, config)
        with Users((target.grpc_url, target.http_url, config.timeout_s), mixture(), known, config.users) as users:
            watch.start()
            while (begin_s := watch.end_s) < config.seconds:
                until_s = begin_s + config.every_s
                if config.seconds - until_s < config.every_s / 2:
                    until_s = config.seconds  # no small rest at the end
                users.wait(until_s - watch.elapsed_s())
                windows.append(watch.window(users.take()))
                each(Soak(config=config, windows=tuple(windows)))
    except KeyboardInterrupt:
        # The window that was under way is left out: Ctrl-C reaches the server, too.
        ended = f"ended by Ctrl-C after {windows[-1].end_s if windows else 0:.0f} s"
    return Soak(config=config, windows=tuple(windows), ended=ended)


class _Watch:
    """Makes a window of what the users counted and of a look at everything else."""

    def __init__(self, target: Target, config: SoakConfig) -> None:
        self._metrics_url = target.door_metrics_url
        self._config = config
        self._first_door = read_door(self._metrics_url) if self._metrics_url else None
        try:
            self._server = None if target.pid is None else ServerWatch(target.pid)
        except psutil.NoSuchProcess as error:
            raise BenchmarkError(
                f"there is no process {target.pid}: name that of `make serve` (its supervisor) with --pid"
            ) from error
        self.end_s = 0.0
        """When the last window ended."""

    def start(self) -> None:
        """The load begins now."""
        self._before = self._server.look() if self._server else None
        self._machine = MachineWatch()
        self._start_s = time.monotonic()

    def elapsed_s(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._start_s

    def window(self, counts: Counts) -> Window:
        """The window that ends now."""
        begin_s, self.end_s = self.end_s, self.elapsed_s()
        own_cpu_s, steal_share = self._machine.own_cpu_s(), self._machine.steal_share()
        look, before = self._server.look() if self._server else None, self._before
        self._before = look
        return Window(
            begin_s=begin_s,
            end_s=self.end_s,
            warm_up=begin_s < self._config.warm_s - self._config.every_s / 2,
            articles=counts.articles,
            results=dict(counts.results),
            reasons=dict(counts.reasons),
            asked=dict(counts.asked),
            p50_ms=counts.latency_ms(50),
            p99_ms=counts.latency_ms(99),
            server=look,
            cpu_s=_used_s(before, look),
            door=self._door(),
            own_cpu_s=own_cpu_s,
            steal_share=steal_share,
            load_1m=psutil.getloadavg()[0],
            calibration_ms=calibrate_ms(),
        )

    def _door(self) -> dict[str, int] | None:
        """What the door has counted since the start of the load."""
        if self._metrics_url is None or self._first_door is None:
            return None
        try:
            now = read_door(self._metrics_url)
        except BenchmarkError as error:
            log.warning("%s", error)
            return None
        return {name: value - self._first_door[name] for name, value in now.items()}


def _used_s(before: ServerLook | None, now: ServerLook | None) -> float | None:
    """CPU time between two looks; a process that was replaced in between takes its own with it."""
    if before is None or now is None:
        return None
    return max(0.0, now.cpu_s - before.cpu_s)
