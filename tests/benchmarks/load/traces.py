"""A traced request that is known to the millisecond, as a timeline and as the spans that Triton sends."""

from __future__ import annotations

import itertools

from benchmarks.load.trace.otlp import Event, Span
from benchmarks.load.trace.timeline import Interval, Part, Timeline, Visit
from infolens.contract import CONTRACTS

SERVED = {task: contract.served() for task, contract in CONTRACTS.items()}


def interval(start_ms: float, end_ms: float) -> Interval:
    return Interval(start_ms=start_ms, end_ms=end_ms)


def visit(model: str, *bounds_ms: float, asked_by: str = "") -> Visit:
    """Begins to wait at the first bound, is copied to, computes, is copied from and ends at the last one."""
    parts = (
        dict(zip(Part, itertools.starmap(interval, itertools.pairwise(bounds_ms)), strict=True))
        if bounds_ms[2:]
        else {}
    )
    return Visit(model=model, asked_by=asked_by, whole=interval(bounds_ms[0], bounds_ms[-1]), parts=parts)


def timeline(total_ms: float = 40.0) -> Timeline:
    visits = (
        visit("info_lens", 1, 2, 2, 38, 38),
        *(visit(branch, 3, 36, asked_by="info_lens") for branch in ("summarize", "classify", "verify")),
        *(visit(model.tokenizer, 3, 4, 4, 8, 9) for model in SERVED.values()),
        visit("distilbert", 9, 10, 11, 16, 17),
        visit("bart", 9, 12, 13, 30, 32),
        visit("xlnet", 9, 18, 18, 20, 20),
        *(visit(model.postprocessor, 32, 33, 33, 35, 35) for model in SERVED.values()),
    )
    return Timeline(total_ms=total_ms, visits={one.model: one for one in visits}, served=SERVED)


def spans_of(found: Timeline, *, trace_id: str = "01" * 16, start_ns: int = 10**18) -> list[Span]:
    """What Triton sends: a span for each model and, below it, one for its computing."""

    def ns(ms: float) -> int:
        return start_ns + int(1e6 * ms)

    def span(name: str, span_id: str, parent_id: str, whole: Interval, **more: object) -> Span:
        times = {"start_ns": ns(whole.start_ms), "end_ns": ns(whole.end_ms)}
        return Span(name=name, trace_id=trace_id, span_id=span_id, parent_id=parent_id, **times, **more)

    departure = (Event(name="INFER_RESPONSE_COMPLETE", time_ns=ns(38)), Event(name="GRPC_SEND_END", time_ns=ns(40)))
    # Triton clears a request away after it was answered.
    spans = [span("InferRequest", "f" * 16, "", interval(0, 44), events=departure)]
    ids = {model: f"{index:016x}" for index, model in enumerate(found.visits, 1)}
    for model, one in found.visits.items():
        whole = interval(1, 43) if model == "info_lens" else one.whole
        parent_id = ids[one.asked_by] if one.asked_by else "f" * 16
        queue = (Event(name="QUEUE_START", time_ns=ns(one.whole.start_ms)),)
        name = {"triton.model_name": model, "triton.model_version": 1}
        spans.append(span(model, ids[model], parent_id, whole, events=queue, attributes=name))
        if one.parts:
            names = ("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END")
            bounds = [part.end_ms for part in one.parts.values()]
            events = tuple(Event(name=n, time_ns=ns(ms)) for n, ms in zip(names, bounds, strict=True))
            spans.append(span("compute", "e" + ids[model][1:], ids[model], one.whole, events=events))
    return spans
