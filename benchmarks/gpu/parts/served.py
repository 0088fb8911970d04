"""The whole server over gRPC, through the door and Triton: one client, and articles at random moments.

Its models are written and its server started here, by other programs of the project; where their packages are missing,
nothing is measured.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.common.server import started_server
from benchmarks.gpu.context import MODELS, SERVING, Context
from benchmarks.gpu.served.asking import Asking
from benchmarks.gpu.served.models import TARGET, write_repository
from benchmarks.gpu.served.programs import missing
from benchmarks.gpu.served.programs import run as run_program

TABLE: Final = "served"
AIM_PER_S: Final = 300.0
P99_MS: Final = 500.0
"""The bound under which a rate holds."""
_STAGES_AT: Final = "served_stages"
_PROCESSES: Final = "served_processes"
_START: Final = "served_start"
_RESERVE_S: Final = 8.0
"""What ending the server takes."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked."""

    size: str
    tokens_in: int
    tokens_out: int
    beams: int
    requests: int
    """One after another, of all tasks together and of each alone."""
    in_flight: int
    load_requests: int
    """Requests with ``in_flight`` under way."""
    seconds: float
    """How long each rate is measured."""
    warmup_s: float
    rates_per_s: tuple[float, ...]
    """Tried in any case, one after another."""
    halvings: int
    """Rates that are tried between the highest that held and the lowest that did not."""
    tasks: tuple[str, ...]
    """Those that are asked for alone, at the highest of `rates_per_s`."""

    @property
    def settings(self) -> tuple[str, ...]:
        """How summaries are written."""
        return (f"num_beams={self.beams}", f"min_length={self.tokens_out}", f"max_length={self.tokens_out}")


_PLAN: Final = Plan(
    size="full", tokens_in=512, tokens_out=60, beams=4, requests=40, in_flight=48, load_requests=480, seconds=5,
    warmup_s=2, rates_per_s=(AIM_PER_S,), halvings=3, tasks=("summary", "category", "veracity"),
)  # fmt: skip
_TOY: Final = Plan(
    size="small", tokens_in=128, tokens_out=12, beams=4, requests=3, in_flight=2, load_requests=6, seconds=2,
    warmup_s=0, rates_per_s=(10.0,), halvings=0, tasks=(),
)  # fmt: skip


def run(context: Context) -> None:
    """Write the models, start the server, ask it."""
    if lacking := missing():
        context.skip(
            TABLE, "Triton over gRPC", f"{lacking} are not here, as in a copy of `scripts/gpu-carry` without --server: "
            "`python -m benchmarks load` measures a server where they are installed",
        )  # fmt: skip
        return
    plan = _TOY if context.toy else _PLAN
    with tempfile.TemporaryDirectory(prefix="info-lens-served-") as scratch:
        folder = Path(scratch)
        repository = Path(context.settings.get(MODELS) or folder / "repository")
        written = context.attempt(
            TABLE,
            "the models",
            partial(write_repository, repository, folder, plan.size, plan.tokens_in, lambda: context.left_s),
        )
        if written is None:
            return
        for what, seconds in written.items():
            context.row(_START, what=what, seconds=seconds)
        context.attempt(TABLE, "the server", partial(_serve, context, plan, repository, folder))


def _serve(context: Context, plan: Plan, repository: Path, folder: Path) -> None:
    began_s = time.monotonic()
    given = ["--no-operators", *context.settings.get(SERVING, [])]  # They are for CPUs.
    options = ["--repository", str(repository), "--target", TARGET, *given]
    options += ["--stand-in"] if context.toy else []
    # Apart from the start, since it may install packages; those for a CPU where one stands in.
    target = [] if context.toy else ["--target", TARGET]
    run_program(["serving", "--set-up-only", *target, *given], folder, limit_s=context.left_s - _RESERVE_S)
    context.row(_START, what="the environment of Triton", seconds=time.monotonic() - began_s)
    with started_server(options, timeout_s=context.left_s - _RESERVE_S) as server:
        context.row(_START, what="server, until its models are ready", seconds=server.start_s)
        asking = Asking(server=server, folder=folder, settings=plan.settings)
        context.attempt(TABLE, "one client", partial(_one_client, context, plan, asking))
        _rates(context, plan, asking)


def _one_client(context: Context, plan: Plan, asking: Asking) -> None:
    limit_s = context.left_s - _RESERVE_S
    found = asking.one_client(plan.requests, plan.in_flight, plan.load_requests, limit_s)
    for timing in found["latency"]:
        _row(
            context, plan, timing["kind"], "one client", timing["requests"], timing["requests"],
            1e3 / timing["p50_ms"], timing["p50_ms"], timing["p99_ms"], holds=None,
        )  # fmt: skip
    load = found["throughput"]
    _row(
        context, plan, "info_lens", f"{plan.in_flight} in flight", load["requests"], load["requests"] - load["lost"],
        load["requests_per_s"], load["p50_ms"], load["p99_ms"], holds=None,
    )  # fmt: skip


def _rates(context: Context, plan: Plan, asking: Asking) -> None:
    """The rates of the plan, and those between what held and what did not; then each task alone at the highest."""
    held, failed = 0.0, 0.0

    def holds(rate_per_s: float, kind: str = "info_lens") -> bool | None:
        what = f"{kind} at {rate_per_s:g} a second"
        at_least_s = plan.seconds + plan.warmup_s + _RESERVE_S
        return context.attempt(
            TABLE, what, partial(_at_rate, context, plan, asking, rate_per_s, kind), at_least_s=at_least_s
        )

    for rate_per_s in plan.rates_per_s:
        if holds(rate_per_s):
            held = max(held, rate_per_s)
        else:
            failed = rate_per_s
            break
    for _ in range(plan.halvings):
        rate_per_s = (held + failed) / 2 if failed else 1.25 * held
        answer = holds(rate_per_s)
        if answer is None:
            break
        held, failed = (rate_per_s, failed) if answer else (held, rate_per_s)
    for task in plan.tasks:
        holds(max(plan.rates_per_s), task)


def _at_rate(context: Context, plan: Plan, asking: Asking, rate_per_s: float, kind: str) -> bool:
    limit_s = context.left_s - _RESERVE_S
    step = asking.at_rate(rate_per_s, plan.seconds, plan.warmup_s, P99_MS, limit_s, kind)
    latency: Mapping[str, float] = step["latency_ms"]
    load = f"{rate_per_s:.4g} a second, at random moments"
    _row(
        context, plan, kind, load, step["sent"], step["answered"], step["answered_per_s"], latency["p50"],
        latency["p99"], holds=step["holds"],
    )  # fmt: skip
    if kind == "info_lens":
        _details(context, load, step)
    return bool(step["holds"])


def _details(context: Context, load: str, step: Mapping[str, Any]) -> None:
    for one in step["models"]:
        context.row(
            _STAGES_AT, load=load, model=one["model"], requests=one["requests"], batch=one["batch"],
            waits_ms=one["wait_ms"], works_ms=one["compute_ms"], in_all_ms=one["total_ms"],
        )  # fmt: skip
    for one in step["processes"]:
        context.row(
            _PROCESSES, load=load, process=one["name"], processes=one["processes"], cores=one["cores"],
            memory_gb=one["memory_bytes"] / 1e9,
        )  # fmt: skip


def _row(
    context: Context, plan: Plan, asked: str, load: str, requests: int, answered: int, per_s: float, p50_ms: float,
    p99_ms: float, *, holds: bool | None,
) -> None:  # fmt: skip
    context.row(
        TABLE, asked=asked, load=load, tokens_in=plan.tokens_in, tokens_out=plan.tokens_out, beams=plan.beams,
        requests=requests, answered=answered, answered_per_s=per_s, p50_ms=p50_ms,
        p99_ms=p99_ms, holds=holds,
    )  # fmt: skip
