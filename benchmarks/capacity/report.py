"""The page of a capacity measurement: for people who order machines, and a document for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.common.reports import write_json, write_text

from .data import TYPICAL_WORDS, Measured, measured_document
from .deployed import replicas
from .pictures import draw_check, draw_cores, draw_cost, group_ms
from .plan import BOUND_MS, Plan, plan_document, replicas_document
from .service_times import CLIENT, FRONT, Sample
from .wanted import BOUNDS_MS, HEAD_ROOM

COST, CORES, CHECK = "cost.png", "cores.png", "check.png"
_OTHER_MACHINES: Final = (
    "python -m benchmarks load --find-max --p99-ms 500              # on one replica: its highest rate R",
    "python -m benchmarks capacity --replica-per-s R --wanted 200   # how many of them",
    "python -m benchmarks capacity --gpu CARD.json --wanted 200     # cards, of what `benchmarks gpu` measured",
)


def document(measured: Measured, plan: Plan, wanted_per_s: tuple[float, ...], command: str) -> dict[str, Any]:
    """Everything that was measured and simulated."""
    return {
        "command": command,
        "measured": measured_document(measured),
        "batch_share": {model: measured.times.batch_share(model) for model in measured.times.batching},
        "simulated": plan_document(plan, wanted_per_s),
    }


def replicas_markdown(replica_per_s: float, wanted_per_s: tuple[float, ...]) -> str:
    """The table for replicas of one measured rate."""
    lines = [
        f"One replica answers {replica_per_s:g} articles a second within the bound that this rate was measured for; "
        f"{100 * HEAD_ROOM:.0f} % of it are kept free.",
        "",
        "| wanted articles/s | replicas | if one may fail | articles/s at each | load of each |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['wanted_per_s']:g} | {row['replicas']} | {row['replicas'] + 1} | {row['rate_of_each_per_s']:.1f} "
        f"| {100 * row['load_of_each']:.0f} % |"
        for row in replicas_document(replica_per_s, wanted_per_s)
    ]
    return "\n".join(lines) + "\n"


def write_capacity(
    measured: Measured, plan: Plan, wanted_per_s: tuple[float, ...], command: str, out: Path
) -> list[Path]:
    """Write ``capacity.md``, ``capacity.json`` and the pictures; returns their paths, the page first."""
    out.mkdir(parents=True, exist_ok=True)
    draw_cost(measured, out / COST)
    draw_cores(measured, plan, out / CORES)
    draw_check(measured, plan, out / CHECK)
    found = document(measured, plan, wanted_per_s, command)
    return [
        write_text(out / "capacity.md", markdown(measured, plan, wanted_per_s, command)),
        write_json(out / "capacity.json", found),
        *(out / name for name in (COST, CORES, CHECK)),
    ]


def markdown(measured: Measured, plan: Plan, wanted_per_s: tuple[float, ...], command: str) -> str:
    """The page."""
    return "\n".join(
        [
            "# How many machines",
            "",
            f"**{_headline(plan, wanted_per_s)}**",
            "",
            f"{measured.machine}; {measured.day.isoformat()}; `{command}`. `info_lens` "
            f"({', '.join(measured.times.chains)} of each article, by {', '.join(_models(measured))}), gRPC, response "
            "cache off, no article twice. Figures are of this processor: *measured* on it, or *simulated* from what "
            "was measured. Nothing here says anything about GPUs: none was measured. Meanwhile other processes of the "
            "machine took "
            f"{np.mean(measured.others_cores):.2f} cores on average and {max(measured.others_cores):.2f} at most.",
            "",
            *_replicas(plan, wanted_per_s),
            *_other_machines(),
            *_cost(measured),
            *_cores(measured, plan),
            *_check(plan),
            *_left_out(measured),
        ]
    )


def _models(measured: Measured) -> list[str]:
    return [model for _, model, _ in measured.times.chains.values()]


def _headline(plan: Plan, wanted_per_s: Sequence[float]) -> str:
    cores = min(plan.replica_per_s)
    rate = plan.replica_per_s[cores][BOUND_MS]
    middle = sorted(wanted_per_s)[len(wanted_per_s) // 2]
    return (
        f"A server of {cores} cores answers up to {rate:.0f} articles a second, 99 of 100 within {BOUND_MS:.0f} ms "
        f"(simulated). {middle:g} articles a second need {replicas(middle, rate)} of them, with "
        f"{100 * HEAD_ROOM:.0f} % kept free."
    )


def _replicas(plan: Plan, wanted_per_s: Sequence[float]) -> list[str]:
    sizes = [(cores, bound) for cores in plan.replica_per_s for bound in BOUNDS_MS]
    rates = {size: plan.replica_per_s[size[0]][size[1]] for size in sizes}
    return [
        "## How many replicas",
        "",
        "A replica is one server with its own cores. Find your rate at the busiest moment in the first column, and the "
        "time within which 99 of 100 articles are to be answered in the head; the number is that of replicas.",
        "",
        "| wanted articles/s | " + " | ".join(f"{cores} cores, {bound:.0f} ms" for cores, bound in sizes) + " |",
        "|---:|" + "---:|" * len(sizes),
        "| *highest rate of one* | " + " | ".join(f"*{rates[size]:.0f}/s*" for size in sizes) + " |",
        *(
            f"| {wanted:g} | " + " | ".join(f"{replicas(wanted, rates[size]) or 'none holds'}" for size in sizes) + " |"
            for wanted in wanted_per_s
        ),
        "",
        f"- {100 * HEAD_ROOM:.0f} % of each replica's highest rate are kept free. Order one more if one may fail, or "
        "be restarted, while the rest carry on.",
        "- Articles are shared out at random, the worst way of sharing that is fair; a balancer that looks at the load "
        "does better. A few large replicas need fewer cores in all than many small ones: what waits finds a free core.",
        "- For 4 and 8 cores, instances of every model and `max_running` grow in proportion to the cores "
        "(`export/repository/deployment.py`), and `max_wait_ms` is half the bound.",
        "- A refused article counts as one that is late. The load comes from other machines. What was "
        "measured with all on one machine stands in [`load.md`](../load/load.md).",
        "",
    ]


def _other_machines() -> list[str]:
    return [
        "## For another machine, or a GPU",
        "",
        "Measure one replica there, then ask for the table; nothing is simulated. Or have a card simulated from what "
        "`python -m benchmarks gpu` measured on it:",
        "",
        "```console",
        *(f"$ .venv/bin/{line}" for line in _OTHER_MACHINES),
        "```",
        "",
    ]


def _cost(measured: Measured) -> list[str]:
    times, longest = measured.times, measured.times.full[-1]
    tokenizers_share = sum(longest.cpu_ms[tokenizer] for tokenizer, *_ in times.chains.values()) / longest.server_ms
    groups = list(group_ms(longest, times.chains))
    return [
        "## What an article costs",
        "",
        f"![CPU time of an article]({COST})",
        "",
        "One row is an article of that length: milliseconds of one core, by stage, with all cores busy (batches as "
        "they come) and, in the last column, for one article at a time.",
        "",
        f"| words | {' | '.join(groups)} | together | articles/s | one at a time |",
        "|---:|" + "---:|" * (len(groups) + 3),
        *(
            f"| {full.words} | "
            + " | ".join(f"{value:.1f} ms" for value in group_ms(full, times.chains).values())
            + f" | "
            f"{full.server_ms:.1f} ms | {full.answered_per_s:.0f} | {alone.server_ms:.1f} ms |"
            for alone, full in zip(times.alone, times.full, strict=True)
        ),
        "",
        "Each model reads the beginning of an article only (its model card says how many tokens), so for long ones "
        f"only the tokenizers' cost grows: {100 * tokenizers_share:.0f} % of an article of {longest.words} words. By "
        "stage, with all cores busy:",
        "",
        "| stage | " + " | ".join(f"{one.words} words" for one in times.full) + " | next one in a batch |",
        "|---|" + "---:|" * (len(times.full) + 1),
        *(
            f"| {stage} | "
            + " | ".join(f"{one.cpu_ms[stage]:.1f} ms" for one in times.full)
            + f" | {f'{100 * times.batch_share(stage):.0f} %' if stage in times.batching else ''} |"
            for stage in times.stages
        ),
        "",
        f"*Next one in a batch*: what each further article in a batch costs, relative to the first. `{FRONT}` is the "
        f"front end and the scheduler, `{CLIENT}` what sends the articles here; it is not in the sums above.",
        "",
        f"For articles of {TYPICAL_WORDS} words, by the width of the search and by the length that the summary is made "
        "to have (`min_length` equal to `max_length`):",
        "",
        *_by_setting("beams", measured.by_beams),
        *_by_setting("summary tokens", measured.by_summary_tokens),
    ]


def _by_setting(name: str, samples: Mapping[int, Sample]) -> list[str]:
    return [
        f"| {name} | CPU time an article | articles/s | times the first |",
        "|---:|---:|---:|---:|",
        *(
            f"| {value} | {one.server_ms:.1f} ms | {one.answered_per_s:.0f} "
            f"| {one.server_ms / next(iter(samples.values())).server_ms:.2f} |"
            for value, one in samples.items()
        ),
        "",
    ]


def _cores(measured: Measured, plan: Plan) -> list[str]:
    grown = {(one.cores, one.everything): one for one in plan.grown}
    rows = []
    for cores in dict.fromkeys(one.cores for one in plan.grown):
        whole, part = grown[cores, True], grown[cores, False]
        seen = measured.by_cores.get(cores)
        told = f"{seen.answered_per_s:.1f}/s ({seen.busy_cores:.2f} busy)" if seen else ""
        rows.append(
            f"| {cores} | {told} | {whole.full_per_s:.0f}/s | {whole.highest_per_s:.0f}/s "
            f"| {part.highest_per_s:.0f}/s |"
        )
    return [
        "## More cores",
        "",
        f"![Articles a second against cores]({CORES})",
        "",
        f"| cores | measured, full | simulated, full | within {BOUND_MS:.0f} ms | the same, summary's instances only |",
        "|---:|---:|---:|---:|---:|",
        *rows,
        "",
        "*Full* is with 16 articles under way at any time. *Busy* counts the load generator's CPU time, which shares "
        f"the cores when the server has all {measured.cores} of them, and has a core of its own when the server has "
        "fewer; the simulated columns are without it. The last column leaves every model but the summary's at the "
        "instances it has now: one instance of a classifier then holds up all cores beyond some number, "
        "and saves a little below it, since its batches are larger.",
        "",
    ]


def _check(plan: Plan) -> list[str]:
    shown = [one for one in plan.checked if not one.check.lost and not one.lost]
    lines = [
        "## Is the simulation right?",
        "",
        f"![Simulated and measured latency]({CHECK})",
        "",
        "The same requests, at the same moments and as long, through the server and through the simulation:",
        "",
        "| cores | articles/s | sent | p50 measured | simulated | error | p99 measured | simulated | error | lost "
        "| others |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|",
        *(
            f"| {one.check.cores} | {one.check.rate_per_s:.1f} | {one.check.sent} | {one.check.p50_ms:.0f} ms | "
            f"{one.p50_ms:.0f} ms | {100 * one.p50_error:+.0f} % | {one.check.p99_ms:.0f} ms | {one.p99_ms:.0f} ms | "
            f"{100 * one.p99_error:+.0f} % | {one.check.lost} (simulated {one.lost}) | "
            f"{one.check.others_cores:.2f} |"
            for one in plan.checked
        ),
        "",
    ]
    if shown:
        p50, p99 = ([abs(getattr(one, name)) for one in shown] for name in ("p50_error", "p99_error"))
        lines += [
            "*Others* are the cores that other processes of the machine took meanwhile, which the simulation does not "
            f"know of. Over the {len(shown)} rates at which nothing was lost the simulated p50 is off by "
            f"{100 * sum(p50) / len(p50):.0f} % on average and {100 * max(p50):.0f} % at worst, the p99 by "
            f"{100 * sum(p99) / len(p99):.0f} % and {100 * max(p99):.0f} %. A p99 of some hundred requests rests on "
            "a handful of them.",
            "",
        ]
    return lines


def _left_out(measured: Measured) -> list[str]:
    return [
        "## What is not in it",
        "",
        f"- More than {measured.cores} cores were not measured. The simulation lets every core work as fast beside 31 "
        "others as alone; real ones share memory bandwidth and caches. Measure before you order large machines.",
        "- That summaries differ in length, the network, and what else a machine does.",
        "- Stages cost more CPU time when they are seldom asked (last column of the first table above): the lines are "
        "therefore somewhat low at low rates.",
        "- The simulation is described in `benchmarks/capacity/queueing.py`.",
        "",
    ]
