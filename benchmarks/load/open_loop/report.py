"""What a load test found: a document for programs, a Markdown table, and a page that needs no explanation."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import jinja2

from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text
from benchmarks.common.wire import RequestOutcome

from .pictures import draw_latency, draw_processes, draw_stages
from .steps import Step

LATENCY, STAGES, PROCESSES = "latency.png", "stages.png", "processes.png"
_TEMPLATE: Final = Path(__file__).with_name("page.html.j2")


@dataclass(frozen=True, kw_only=True)
class Load:
    """A finished load test."""

    steps: tuple[Step, ...]
    p99_ms: float
    """The bound."""
    best_per_s: float
    """The highest rate that held the bound; 0 when none did."""
    searched: bool
    """Whether the highest rate was looked for, or only given rates measured."""
    mix: str
    articles: str
    """Where the articles come from, in words."""
    machine: Machine
    day: date

    @property
    def shown(self) -> Step:
        """The step whose breakdown is shown: that of the best rate, or else the lowest one."""
        held = [step for step in self.steps if step.run.arrivals.rate_per_s == self.best_per_s]
        return held[-1] if held else min(self.steps, key=lambda step: step.run.arrivals.rate_per_s)


def step_document(step: Step) -> dict[str, Any]:
    """One step; keys carry their units."""
    run, refused = step.run, step.run.percentiles_ms(RequestOutcome.REFUSED)
    return {
        "rate_per_s": run.arrivals.rate_per_s,
        "seconds": run.arrivals.seconds,
        "warmup_s": run.arrivals.warmup_s,
        "timeout_s": run.arrivals.timeout_s,
        "sent": len(run.sent),
        **{outcome.value: run.count(outcome) for outcome in RequestOutcome},
        "failures": dict(run.reasons),
        "answered_per_s": run.answered_per_s,
        "latency_ms": {f"p{percentile:g}": value for percentile, value in run.percentiles_ms().items()},
        "refused_in_ms": {f"p{percentile:g}": value for percentile, value in refused.items()},
        "generator_behind_p99_ms": run.behind_p99_ms,
        "models": [asdict(stage) for stage in step.stages],
        "processes": [asdict(use) for use in step.processes],
    }


def document(load: Load) -> dict[str, Any]:
    """Everything that was measured."""
    first = load.steps[0].run.arrivals
    return {
        "date": load.day.isoformat(),
        "machine": asdict(load.machine),
        "kind": first.kind,
        "mix": load.mix,
        "articles": load.articles,
        "settings": dict(first.settings),
        "bound_p99_ms": load.p99_ms,
        "best_per_s": load.best_per_s,
        "searched": load.searched,
        "steps": [step_document(step) for step in load.steps],
    }


def table(steps: Sequence[Step], p99_ms: float) -> list[str]:
    """The lines of a Markdown table, a row for each rate."""
    lines = [
        "| arrivals/s | sent | answered/s | p50 | p90 | p95 | p99 | p99.9 | maximum | refused | late | failed "
        "| bound |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for step in sorted(steps, key=lambda step: step.run.arrivals.rate_per_s):
        run = step.run
        latency = " | ".join(f"{value:.0f} ms" for value in run.percentiles_ms().values())
        lost = " | ".join(
            str(run.count(outcome)) for outcome in (RequestOutcome.REFUSED, RequestOutcome.LATE, RequestOutcome.FAILED)
        )
        lines.append(
            f"| {run.arrivals.rate_per_s:.1f} | {len(run.sent)} | {run.answered_per_s:.1f} | {latency} | {lost} "
            f"| {'holds' if run.holds(p99_ms) else 'does not hold'} |"
        )
    return lines


def sentence(load: Load) -> str:
    """The finding, in one sentence."""
    kind = load.steps[0].run.arrivals.kind
    if not load.best_per_s:
        return f"No measured rate of {kind} was answered whole with a p99 of at most {load.p99_ms:.0f} ms."
    p50 = load.shown.run.percentiles_ms()[50.0]
    return (
        f"{load.best_per_s:.1f} {kind} requests a second, all of them answered, 99 of 100 within {load.p99_ms:.0f} ms "
        f"and half within {p50:.0f} ms."
    )


def markdown(load: Load, command: str) -> str:
    """The report as it lies in the repository, with its pictures beside it."""
    first, shown = load.steps[0].run.arrivals, load.shown
    lines = [
        f"# Load: {first.kind}, open loop",
        "",
        f"**{sentence(load)}**",
        "",
        f"{load.machine}; {load.day.isoformat()}; `{command}`. gRPC, response cache off, {load.articles}, mix "
        f"`{load.mix}`. Arrivals are a Poisson process; {first.seconds:.0f} s a rate after {first.warmup_s:.0f} s of "
        "warm-up; a latency counts from the moment when the request was due. The load generator shares the cores.",
        "",
        f"![Latency against the rate of arrivals]({LATENCY})",
        "",
        *table(load.steps, load.p99_ms),
        "",
        f"## At {shown.run.arrivals.rate_per_s:.1f} requests a second",
        "",
        f"![Time in each model]({STAGES})" if shown.stages else "",
        "",
        "| model | requests | articles a batch | waits | works | in all |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {s.model} | {s.requests} | {s.batch:.2f} | {s.wait_ms:.1f} ms | {s.compute_ms:.1f} ms | "
            f"{s.total_ms:.1f} ms |"
            for s in shown.stages
        ),
        "",
        f"![Cores and memory of every process]({PROCESSES})",
        "",
        "| process | cores | memory | peak memory |",
        "|---|---:|---:|---:|",
        *(
            f"| {use.name}{f' ({use.processes})' if use.processes > 1 else ''} | {use.cores:.2f} | "
            f"{use.memory_bytes / 1e6:.0f} MB | {use.peak_memory_bytes / 1e6:.0f} MB |"
            for use in shown.processes
        ),
    ]
    return "\n".join(lines) + "\n"


def page(load: Load, command: str, folder: Path, locust: Mapping[str, Any] | None = None) -> str:
    """The report as one HTML file that holds its pictures.

    Args:
        load: What was measured.
        command: How it was called.
        folder: Holds the pictures.
        locust: What the closed loop found beside it: ``html`` (its report's path, relative to ``folder``) and
            ``figures`` (one for each kind of request); None when it was not asked for.
    """
    pictures = {
        name.removesuffix(".png"): base64.b64encode((folder / name).read_bytes()).decode()
        for name in (LATENCY, STAGES, PROCESSES)
        if (folder / name).exists()
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        load=load,
        steps=sorted(load.steps, key=lambda step: step.run.arrivals.rate_per_s),
        command=command,
        sentence=sentence(load),
        pictures=pictures,
        locust=locust,
        outcomes=RequestOutcome,
    )


def write_load(load: Load, command: str, out: Path, locust: Mapping[str, Any] | None = None) -> list[Path]:
    """Write ``load.html``, ``load.md``, ``load.json`` and the pictures; arguments as of `page`.

    Returns:
        Their paths, the page first.
    """
    out.mkdir(parents=True, exist_ok=True)
    draw_latency(load.steps, load.best_per_s, load.p99_ms, load.machine, out / LATENCY)
    (out / STAGES).unlink(missing_ok=True)
    if load.shown.stages:
        draw_stages(load.shown, load.machine, out / STAGES)
    draw_processes(load.shown, load.machine, out / PROCESSES)
    return [
        write_text(out / "load.html", page(load, command, out, locust)),
        write_text(out / "load.md", markdown(load, command)),
        write_json(out / "load.json", document(load)),
        *(out / name for name in (LATENCY, STAGES, PROCESSES)),
    ]
