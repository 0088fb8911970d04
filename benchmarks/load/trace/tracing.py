"""Where the time of one request goes, from Triton's own trace."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.common.articles import read_article
from benchmarks.common.machine import Machine, this_machine
from benchmarks.common.reports import write_json, write_text
from benchmarks.common.served import asked_together, serving_now
from benchmarks.common.server import started_server
from infolens import Client
from infolens.contract import INFO_LENS

from .otlp import SpanReceiver
from .timeline import (
    Part,
    Timeline,
    front_end_ms,
    gaps,
    median_timeline,
    non_model_ms,
    own_ms,
    read_timeline,
    share_gaps,
)

EXPORT_TIMEOUT_S: Final = 30.0
"""Triton sends its spans every five seconds."""
PICTURE: Final = "trace.png"


@dataclass(frozen=True, kw_only=True)
class Traced:
    """One article, sent again and again by one client."""

    machine: Machine
    day: date
    words: int
    """Length of the article."""
    client_ms: tuple[float, ...]
    """What the client saw, for each request."""
    timelines: tuple[Timeline, ...]
    """What the server did, for each request."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """A stage's share of many requests, in milliseconds."""

    stage: str
    p50_ms: float
    p90_ms: float
    p99_ms: float

    @classmethod
    def of(cls, stage: str, found_ms: Sequence[float]) -> Share:
        """The percentiles of ``found_ms``."""
        p50, p90, p99 = (float(value) for value in np.percentile(found_ms, (50, 90, 99)))
        return cls(stage=stage, p50_ms=p50, p90_ms=p90, p99_ms=p99)


def measure_trace(article_path: Path, requests: int, *, warmup_requests: int) -> Traced:
    """Send one article ``requests`` times, one after another, to a server that traces them.

    Args:
        article_path: The article: a title line, a blank line, the text.
        requests: How many count.
        warmup_requests: How many are sent before these.

    Raises:
        BenchmarkError: The article cannot be read, the server cannot be started, or its spans do not come.
        InfoLensError: The server does not answer.
    """
    article = read_article(article_path)
    client_ms = []
    with (
        SpanReceiver() as receiver,
        started_server(["--trace-url", receiver.url]) as server,
        Client(server.grpc_url) as client,
    ):
        served = asked_together(serving_now(server.grpc_url))
        for _ in range(warmup_requests + requests):
            start = time.perf_counter()
            client.analyze(article)
            client_ms.append(1e3 * (time.perf_counter() - start))
        traces = receiver.wait_for(len(client_ms), timeout_s=EXPORT_TIMEOUT_S)
    # One client: the requests end in the order in which they were sent.
    return Traced(
        machine=this_machine(),
        day=date.today(),
        words=len(article.text.split()),
        client_ms=tuple(client_ms[warmup_requests:]),
        timelines=tuple(read_timeline(spans, served) for spans in traces[warmup_requests:]),
    )


def document(traced: Traced) -> dict[str, Any]:
    """Everything that was measured; keys carry their units."""
    timelines = traced.timelines
    drawn = median_timeline(timelines)
    shares = [share_gaps(timeline) for timeline in timelines]
    return {
        "date": traced.day.isoformat(),
        "machine": asdict(traced.machine),
        "article_words": traced.words,
        "requests": len(timelines),
        "client": asdict(Share.of("what the client sees", traced.client_ms)),
        "server": asdict(Share.of("the server's part", [timeline.total_ms for timeline in timelines])),
        "not_model_time": asdict(Share.of("not model time", [non_model_ms(timeline) for timeline in timelines])),
        "not_model_time_by_cause": [asdict(Share.of(cause, [share[cause] for share in shares])) for cause in shares[0]],
        "not_model_time_by_place": [
            asdict(Share.of(place, [_places(timeline)[place] for timeline in timelines])) for place in _places(drawn)
        ],
        "stages": [asdict(stage) for stage in _stages(traced)],
        "median_request": {
            "total_ms": drawn.total_ms,
            "not_model_time_ms": non_model_ms(drawn),
            "models": [asdict(visit) for visit in drawn.visits.values()],
        },
    }


def _places(timeline: Timeline) -> dict[str, float]:
    found = {"before the first model computes": 0.0, "between models": 0.0, "after the last model has computed": 0.0}
    for gap in gaps(timeline):
        first, last = gap.start_ms == 0, gap.end_ms == timeline.total_ms
        found[list(found)[0 if first else 2 if last else 1]] += gap.length_ms
    return found


def _stages(traced: Traced) -> list[Share]:
    timelines = traced.timelines
    away_ms = [seen - timeline.total_ms for seen, timeline in zip(traced.client_ms, timelines, strict=True)]
    stages = [
        Share.of("client and network", away_ms),
        Share.of("gRPC and front end", [front_end_ms(timeline) for timeline in timelines]),
        Share.of("fan_out: waits", [timeline.visits[INFO_LENS].part_ms(Part.QUEUE) for timeline in timelines]),
        Share.of("fan_out: its own time", [own_ms(timeline) for timeline in timelines]),
    ]
    for served in timelines[0].served.values():
        for model in served.chain:
            visits = [timeline.visits[model] for timeline in timelines]
            parts = {"waits": (Part.QUEUE,), "copies": (Part.INPUT, Part.OUTPUT), "computes": (Part.COMPUTE,)}
            stages += [
                Share.of(f"{model}: {verb}", [visit.part_ms(*found) for visit in visits])
                for verb, found in parts.items()
            ]
    return stages


def markdown(doc: dict[str, Any]) -> str:
    """The tables of a document, for people."""
    place = {share["stage"]: share["p50_ms"] for share in doc["not_model_time_by_place"]}
    return "\n".join(
        [
            "# Where the time of one request goes",
            "",
            f"{Machine(**doc['machine'])}; {doc['date']}. One article of {doc['article_words']} words, one client, "
            f"{doc['requests']} requests of `info_lens` one after another, gRPC, response cache off; from Triton's own "
            "trace (`python -m benchmarks trace`).",
            "",
            f"![Timeline of the median request]({PICTURE})",
            "",
            *_table("", [doc["client"], doc["server"], doc["not_model_time"]]),
            "",
            "Not model time is the time in which none of the ONNX models computes, from the request's arrival at the "
            "server to its answer's departure: "
            + ", ".join(f"{found_ms:.1f} ms {words}" for words, found_ms in place.items())
            + " (p50). What goes on in it; a moment with several causes belongs to the first one:",
            "",
            *_table("cause", doc["not_model_time_by_cause"]),
            "",
            "Stages overlap, so they add up to more than the request takes:",
            "",
            *_table("stage", doc["stages"]),
        ]
    )


def _table(title: str, shares: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"| {title} | p50 ms | p90 ms | p99 ms |",
        "|---|---:|---:|---:|",
        *(
            f"| {share['stage']} | {share['p50_ms']:.2f} | {share['p90_ms']:.2f} | {share['p99_ms']:.2f} |"
            for share in shares
        ),
    ]


def write(traced: Traced, folder: Path) -> list[Path]:
    """Write the table, the document and the picture into ``folder``; returns their paths."""
    # Here, so that other commands need no matplotlib.
    from benchmarks.common.charts import where

    from .pictures import draw_timeline

    folder.mkdir(parents=True, exist_ok=True)
    doc, drawn = document(traced), median_timeline(traced.timelines)
    draw_timeline(
        drawn,
        folder / PICTURE,
        title=f"Where the {drawn.total_ms:.0f} ms of one {INFO_LENS} request go ({where(traced.machine)}, one client)",
        caption=f"{non_model_ms(drawn):.1f} of the {drawn.total_ms:.1f} ms are not model time (shaded); over all "
        f"requests the median is {doc['not_model_time']['p50_ms']:.1f} ms.\n"
        f"The request with the median time of {len(traced.timelines)}, an article of {traced.words} words, "
        f"{traced.day.isoformat()}.",
    )
    return [
        write_text(folder / "trace.md", f"{markdown(doc)}\n"),
        write_json(folder / "trace.json", doc),
        folder / PICTURE,
    ]
