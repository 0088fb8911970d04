"""Where the time of one request goes: its spans as a timeline of models.

Triton writes a span for every model that a request goes through. Moments are those of its clock, in milliseconds after
the request's arrival. *Computing* is what lies between the copying of a model's inputs and that of its outputs; for
Python-based backends, which all of ours are, the way to their process and back is in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from benchmarks.common.served import Served
from benchmarks.common.server import BenchmarkError
from infolens.contract import CONTRACTS, INFO_LENS

from .otlp import Span

_MODEL_NAME: Final = "triton.model_name"


class Part(StrEnum):
    """What a model does with a request, in this order."""

    QUEUE = "queue"
    INPUT = "input"
    COMPUTE = "compute"
    OUTPUT = "output"


_BOUNDS: Final = {
    Part.QUEUE: ("QUEUE_START", "COMPUTE_START"),
    Part.INPUT: ("COMPUTE_START", "COMPUTE_INPUT_END"),
    Part.COMPUTE: ("COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START"),
    Part.OUTPUT: ("COMPUTE_OUTPUT_START", "COMPUTE_END"),
}


@dataclass(frozen=True, kw_only=True, order=True)
class Interval:
    """From one moment to another, in milliseconds after the request's arrival."""

    start_ms: float
    end_ms: float

    @property
    def length_ms(self) -> float:
        """How long it lasts."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What one model did for a request."""

    model: str
    asked_by: str = ""
    """The model whose request this is a part of; empty for the outermost one."""
    whole: Interval
    parts: Mapping[Part, Interval] = field(default_factory=dict)
    """Empty for an ensemble, which does no work of its own."""

    def part_ms(self, *parts: Part) -> float:
        """Milliseconds in ``parts`` together."""
        return sum(self.parts[part].length_ms for part in parts if part in self.parts)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """One request, from its arrival at the server to its answer's departure."""

    total_ms: float
    visits: Mapping[str, Visit]
    """By model, in the order in which they begin."""
    served: Served
    """The models of each task that the request asks for."""

    @property
    def models(self) -> tuple[str, ...]:
        """The ONNX models; all other models turn text into their inputs, or their outputs into answers."""
        return tuple(model.name for model in self.served.values())

    @property
    def branches(self) -> tuple[str, ...]:
        """The ensembles of the tasks."""
        return tuple(CONTRACTS[task].ensemble for task in self.served)


def read_timeline(spans: Sequence[Span], served: Served) -> Timeline:
    """The timeline of one trace.

    Args:
        spans: All of the trace.
        served: The models of each task that its request asks for.

    Raises:
        BenchmarkError: The trace lacks its outermost span or one of the ONNX models.
    """
    root = next((span for span in spans if not span.parent_id), None)
    if root is None:
        raise BenchmarkError("a trace has no outermost span: wait until it is complete")
    names = {span.span_id: str(span.attributes[_MODEL_NAME]) for span in spans if _MODEL_NAME in span.attributes}
    if missing := sorted({model.name for model in served.values()} - set(names.values())):
        raise BenchmarkError(
            f"the trace of a request has no span of {', '.join(missing)}, only of {', '.join(sorted(names.values()))}: "
            "the backend fan_out must hand its request's trace on to the branches"
        )
    moments = {span_id: dict[str, float]() for span_id in names}
    for span in spans:
        # The moments of computing stand in a span of their own below the model's.
        owner = span.span_id if span.span_id in names else span.parent_id
        if owner in moments:
            moments[owner].update({event.name: _ms(event.time_ns, root) for event in span.events})
    departure_ms = {event.name: _ms(event.time_ns, root) for event in root.events}
    total_ms = departure_ms.get("GRPC_SEND_END", _ms(root.end_ns, root))
    answered_ms = departure_ms.get("INFER_RESPONSE_COMPLETE", total_ms)
    visits = []
    for span in spans:
        if span.span_id in names:
            # What comes after the answer's departure is not a part of the request.
            found = {name: min(moment_ms, total_ms) for name, moment_ms in moments[span.span_id].items()}
            # A request that has been answered is cleared away, which the client does not wait for.
            end_ms = min(_ms(span.end_ns, root), answered_ms, total_ms)
            visits.append(
                Visit(
                    model=names[span.span_id],
                    asked_by=names.get(span.parent_id, ""),
                    whole=Interval(start_ms=_ms(span.start_ns, root), end_ms=end_ms),
                    parts={
                        part: Interval(start_ms=found[start], end_ms=found[end])
                        for part, (start, end) in _BOUNDS.items()
                        if start in found and end in found
                    },
                )
            )
    visits.sort(key=lambda visit: visit.whole.start_ms)
    return Timeline(total_ms=total_ms, visits={visit.model: visit for visit in visits}, served=served)


def _ms(time_ns: int, root: Span) -> float:
    return (time_ns - root.start_ns) / 1e6


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Disjoint intervals, in order, that cover the same moments."""
    found: list[Interval] = []
    for one in sorted(intervals):
        if found and one.start_ms <= found[-1].end_ms:
            end_ms = max(found[-1].end_ms, one.end_ms)
            found[-1] = Interval(start_ms=found[-1].start_ms, end_ms=end_ms)
        else:
            found.append(one)
    return found


def gaps(timeline: Timeline) -> list[Interval]:
    """When none of the ONNX models computes, in order."""
    computing = union(_intervals(timeline, timeline.models, Part.COMPUTE))
    ends = [0.0, *(one.end_ms for one in computing)]
    starts = [*(one.start_ms for one in computing), timeline.total_ms]
    return [Interval(start_ms=end, end_ms=start) for end, start in zip(ends, starts, strict=True) if start > end]


def non_model_ms(timeline: Timeline) -> float:
    """Milliseconds of the request in which no model computes.

    That is the time between the request's arrival at the server and its answer's departure, less the union of the
    intervals in which one of the ONNX models computes: two that compute at once count once. Waiting in a
    queue and copying do not count as computing; the way to a model's process does. What the client and the network
    take is not in it.
    """
    return sum(gap.length_ms for gap in gaps(timeline))


def share_gaps(timeline: Timeline) -> dict[str, float]:
    """What goes on while no model computes: milliseconds by cause, which add up to `non_model_ms`.

    A moment with several causes belongs to the first of them in the order of the result.
    """
    chains = [model.chain for model in timeline.served.values()]
    tokenizers, _, postprocessors = zip(*chains, strict=True)
    names = list(itertools.chain(*chains))
    branches = [visit.whole for model, visit in timeline.visits.items() if model in timeline.branches]
    inside = [visit.whole for model, visit in timeline.visits.items() if model == INFO_LENS]
    causes = {
        "tokenizers": _intervals(timeline, tokenizers, Part.COMPUTE),
        "texts and labels": _intervals(timeline, postprocessors, Part.COMPUTE),
        "copies": _intervals(timeline, names, Part.INPUT, Part.OUTPUT),
        "queues": _intervals(timeline, names, Part.QUEUE),
        "between the models of a branch": branches,
        "fan_out": inside,
        "gRPC and front end": [Interval(start_ms=0.0, end_ms=timeline.total_ms)],
    }
    shares, covered = {}, _intervals(timeline, timeline.models, Part.COMPUTE)
    before_ms = _covered_ms(covered)
    for cause, intervals in causes.items():
        covered = [*covered, *intervals]
        now_ms = _covered_ms(covered)
        shares[cause] = now_ms - before_ms
        before_ms = now_ms
    return shares


def own_ms(timeline: Timeline) -> float:
    """Milliseconds in which ``fan_out`` has the request and none of its branches does; its queue is not in it."""
    visit = timeline.visits[INFO_LENS]
    branches = [one.whole for model, one in timeline.visits.items() if model in timeline.branches]
    return visit.whole.length_ms - visit.part_ms(Part.QUEUE) - _covered_ms(branches)


def front_end_ms(timeline: Timeline) -> float:
    """Milliseconds before the outermost model has the request and after it has answered: gRPC and the front end."""
    return timeline.total_ms - timeline.visits[INFO_LENS].whole.length_ms


def median_timeline(timelines: Sequence[Timeline]) -> Timeline:
    """The one whose total is the median (the upper one of two)."""
    return sorted(timelines, key=lambda timeline: timeline.total_ms)[len(timelines) // 2]


def _intervals(timeline: Timeline, models: Iterable[str], *parts: Part) -> list[Interval]:
    visits = [timeline.visits[model] for model in models if model in timeline.visits]
    return [visit.parts[part] for visit in visits for part in parts if part in visit.parts]


def _covered_ms(intervals: Iterable[Interval]) -> float:
    return sum(one.length_ms for one in union(intervals))
