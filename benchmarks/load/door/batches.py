"""Many articles by one program: one request of plain JSON beside `Client.analyze_many` over gRPC, in turn."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import dataclass

import psutil

from benchmarks.common.articles import Articles
from benchmarks.common.server import BenchmarkError, Started
from infolens import Article, Client, Report

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Batches:
    """One turn."""

    many_per_s: float
    """Articles a second of `Client.analyze_many`, over gRPC through the door."""
    batch_per_s: float
    """Articles a second of `Client.analyze_batch`: one request to ``/v1/analyze/batch``."""
    door_bytes: int
    """Memory of the door after the batch."""


def compare_batches(
    server: Started, door: psutil.Process, *, turns: int, articles: int, seed: int
) -> tuple[Batches, ...]:
    """Send the same articles both ways, to a server whose door is that process.

    Raises:
        BenchmarkError: An article was not answered.
    """
    given = list(itertools.islice(Articles(seed=seed), articles))
    found = []
    with Client(server.grpc_url) as many, Client(server.http_url) as batch:
        for turn in range(turns):
            ways = (_many, _batch) if turn % 2 == 0 else (_batch, _many)
            rates = {way: way(many if way is _many else batch, given) for way in ways}
            one = Batches(many_per_s=rates[_many], batch_per_s=rates[_batch], door_bytes=int(door.memory_info().rss))
            log.info(
                "%d articles: %.1f/s by analyze_many, %.1f/s in one request; the door has %.0f MB",
                articles,
                one.many_per_s,
                one.batch_per_s,
                one.door_bytes / 1e6,
            )
            found.append(one)
    return tuple(found)


def _many(client: Client, articles: list[Article]) -> float:
    started_s = time.perf_counter()
    for answer in client.analyze_many(articles):
        if not isinstance(answer, Report):
            raise BenchmarkError(f"an article was not answered: {answer}")
    return len(articles) / (time.perf_counter() - started_s)


def _batch(client: Client, articles: list[Article]) -> float:
    started_s = time.perf_counter()
    for row in client.analyze_batch(articles):
        if row.error is not None:
            raise BenchmarkError(f"an article was not answered: {row.error}")
    return len(articles) / (time.perf_counter() - started_s)
