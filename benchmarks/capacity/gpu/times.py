"""How long a card takes for the models: measured by ``python -m benchmarks gpu``, or the floor of its data sheet."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.common.server import BenchmarkError
from benchmarks.common.shapes import Shape, shape_of
from benchmarks.gpu.roofline import Rates, cross_store, layers, step

MODELS: Final[Mapping[str, str]] = {"summary": "bart", "category": "distilbert", "veracity": "xlnet"}
"""The architecture that is measured for each task, at the size of the published model."""
BEAMS, TOKENS_IN, TOKENS_OUT, PRECISION = 4, 512, 60, "fp16"
BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)
GATHERED, READ_AT_ONCE = 4, 8
"""Rounds for which the engine gathers articles on a GPU, and how many it reads at once (``engine/scheduling``)."""
_TERA: Final = 1e12
DATA_SHEETS: Final[Mapping[str, Rates]] = {
    name: Rates(copy_bytes_per_s=tera_bytes * _TERA, operations_per_s={PRECISION: tera_operations * _TERA})
    for name, tera_bytes, tera_operations in (
        ("T4", 0.32, 65),
        ("A100", 2.039, 312),
        ("L4", 0.3, 121),
        ("L40S", 0.864, 362),
        ("H100", 3.35, 989),
        ("H200", 4.8, 989),
    )
}
"""Bandwidth of the memory and products of fp16 without sparsity, as NVIDIA's data sheets say them: A100 with 80 GB,
A100, H100 and H200 on SXM boards. No card reaches either."""


@dataclass(frozen=True, kw_only=True)
class ModelTimes:
    """How long a classifier takes for a batch of articles."""

    tokens: int
    """In each article, without padding."""
    batch_ms: Mapping[int, float]
    """By articles."""

    @property
    def largest(self) -> int:
        """The largest batch."""
        return max(self.batch_ms)

    @property
    def alone_ms(self) -> float:
        """For the smallest batch, by article."""
        smallest = min(self.batch_ms)
        return self.batch_ms[smallest] / smallest

    @property
    def batch_share(self) -> float:
        """Time of each further article in a batch relative to the first: the worst of what is known."""
        others = [(batch, ms) for batch, ms in self.batch_ms.items() if batch > 1]
        return max((max(0.0, ms / self.alone_ms - 1) / (batch - 1) for batch, ms in others), default=1.0)


@dataclass(frozen=True, kw_only=True)
class MeasuredServer:
    """What the same measurement found through a whole server on that card; None where it did not ask."""

    alone_ms: float | None = None
    """The median of ``info_lens`` for one client."""
    held_per_s: float | None = None
    """The highest rate of ``info_lens`` that it tried with a p99 within 500 ms."""


@dataclass(frozen=True, kw_only=True)
class CardTimes:
    """How long a card takes for the models of all tasks."""

    card: str
    source: str
    """Where the times are from, in words."""
    measured: bool
    """Whether they were measured: else they are floors, which no program reaches."""
    step_ms: Mapping[int, float]
    """A step of the search, `BEAMS` beams of each article, by articles in it."""
    encoder_ms: Mapping[int, float]
    """Articles of `TOKENS_IN` tokens read, with their keys and values, by how many at once."""
    steps: int
    """Steps of a summary of `TOKENS_OUT` tokens."""
    labels: Mapping[str, ModelTimes]
    """By task."""
    server: MeasuredServer = MeasuredServer()

    def round_ms(self, articles: int) -> float:
        """A step with so many articles, and its part of the encoders of those that come in the place of others.

        While articles are read the others wait: in the long run one is read for each summary that ends, together with
        those that came within the same `GATHERED` rounds.
        """
        sizes = sorted(self.step_ms)
        step_ms = float(np.interp(articles, sizes, [self.step_ms[size] for size in sizes]))
        if articles > sizes[-1]:  # in proportion: no gain is assumed that nobody has seen
            step_ms *= articles / sizes[-1]
        ended = articles / self.steps
        together = min(float(READ_AT_ONCE), max(1.0, GATHERED * ended))
        groups = sorted(self.encoder_ms)
        read_ms = float(np.interp(together, groups, [self.encoder_ms[group] / group for group in groups]))
        return step_ms + ended * read_ms

    @property
    def summary_ms(self) -> float:
        """A summary alone."""
        return self.steps * self.round_ms(1)

    def slowdown(self, slots: int) -> tuple[float, ...]:
        """How many times as long a step takes with 1 .. ``slots`` articles as with one, and never less than before."""
        times = np.maximum.accumulate([self.round_ms(articles) for articles in range(1, slots + 1)])
        return tuple(float(value) for value in times / times[0])


def read_card(document: Mapping[str, Any], source: str) -> CardTimes:
    """The times in a document of ``python -m benchmarks gpu``.

    Of several ways to compute the same the one counts that was tried at most batches, and of those the fastest at the
    largest: a server computes in one way.

    Args:
        document: As it was written.
        source: Its file, for messages and the page.

    Raises:
        BenchmarkError: It is no such document, or lacks a part; or it is of a dry run, whose times mean nothing.
    """
    try:
        if document["dry_run"]:
            raise BenchmarkError(f"{source} is of a dry run, whose times mean nothing: give one of a GPU with --gpu")
        tables = {name: rows for part in document["parts"] for name, rows in part["tables"].items()}
        kind = {"beams": BEAMS, "tokens_in": TOKENS_IN, "tokens_out": TOKENS_OUT}
        steps = _one_way(_of(tables.get("ways", ()), kind), "step_ms")
        encoders = _one_way(_of(tables.get("encoder", ()), {"tokens_in": TOKENS_IN}), "p50_ms")
        labels = {}
        for task, model_type in MODELS.items():
            if task != "summary":
                name = shape_of(model_type).name
                rows = _of(tables.get("classifiers", ()), {"model": name})
                batch_ms = _one_way(rows, "p50_ms")
                if batch_ms:
                    labels[task] = ModelTimes(tokens=int(rows[0]["tokens"]), batch_ms=batch_ms)
        lacks = [
            *([] if steps else [f"summaries ({BEAMS} beams, {TOKENS_IN} tokens in, {TOKENS_OUT} out)"]),
            *([] if encoders else ["summaries (encoder)"]),
            *(f"classifiers ({task})" for task in MODELS if task != "summary" and task not in labels),
        ]
        if not (isinstance(document["card"], str) and document["card"]):
            raise ValueError(f"card is the name of a GPU, not {document['card']!r}")
        if lacks:
            raise BenchmarkError(
                f"{source} lacks what an answer costs: {', '.join(lacks)}; run `python -m benchmarks gpu --part "
                "summaries --part classifiers` on the card, or take the floors of its data sheet with --gpu-floor"
            )
        cut_off = ", of a run that was cut off" if document.get("cut_off") else ""
        return CardTimes(
            card=document["card"],
            source=f"measured on {document['date']}, {source}{cut_off}",
            measured=True,
            step_ms=steps,
            encoder_ms=encoders,
            steps=TOKENS_OUT - 1,
            labels=labels,
            server=_server(tables.get("served", ())),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(
            f"{source} is no document of `python -m benchmarks gpu` ({type(error).__name__}: {error}): give the JSON "
            "file that it wrote with --gpu"
        ) from error


def _server(rows: Iterable[Mapping[str, Any]]) -> MeasuredServer:
    asked = _of(rows, {"asked": "info_lens"})
    alone = [float(row["p50_ms"]) for row in _of(asked, {"load": "one client"})]
    held = [float(row["answered_per_s"]) for row in _of(asked, {"holds": True})]
    return MeasuredServer(alone_ms=min(alone, default=None), held_per_s=max(held, default=None))


def _of(rows: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def _one_way(rows: Sequence[Mapping[str, Any]], field: str) -> dict[int, float]:
    """The times of a way by batch, one article among them; nothing where no way has that."""
    ways: dict[str, dict[int, float]] = defaultdict(dict)
    for row in rows:
        if row.get(field) is not None:
            batch, ms = int(row["batch"]), float(row[field])
            if batch < 1 or not 0 < ms < math.inf:
                raise ValueError(f"a batch is 1 or more and its time above 0 ms, not {batch} in {ms:g} ms ({field})")
            ways[str(row["way"])][batch] = ms
    ways = {way: times for way, times in ways.items() if 1 in times}
    if not ways:
        return {}
    return min(ways.values(), key=lambda times: (-len(times), times[max(times)]))


def floor_card(name: str) -> CardTimes:
    """The shortest times that a card could take by its data sheet (`benchmarks.gpu.roofline`).

    Raises:
        KeyError: It is not in `DATA_SHEETS`.
    """
    rates = DATA_SHEETS[name]

    def classifier(shape: Shape) -> ModelTimes:
        works = {
            batch: layers(shape, shape.sizes["full"], batch, shape.tokens_in, PRECISION).minimum_ms(rates, PRECISION)
            for batch in BATCHES
        }
        return ModelTimes(tokens=shape.tokens_in, batch_ms={batch: ms for batch, ms in works.items() if ms is not None})

    bart, steps = shape_of(MODELS["summary"]), TOKENS_OUT - 1
    sizes = bart.sizes["full"]
    step_ms = {
        batch: sum(
            step(bart, sizes, batch, BEAMS, TOKENS_IN, past, PRECISION).minimum_ms(rates, PRECISION) or 0.0
            for past in range(1, TOKENS_OUT)
        )
        / steps
        for batch in BATCHES
    }

    def read_ms(batch: int) -> float:
        works = (work(bart, sizes, batch, TOKENS_IN, PRECISION) for work in (layers, cross_store))
        return sum(work.minimum_ms(rates, PRECISION) or 0.0 for work in works)

    return CardTimes(
        card=name,
        source="the floor by its data sheet, measured by nobody",
        measured=False,
        step_ms=step_ms,
        encoder_ms={batch: read_ms(batch) for batch in BATCHES},
        steps=steps,
        labels={task: classifier(shape_of(kind)) for task, kind in MODELS.items() if task != "summary"},
    )
