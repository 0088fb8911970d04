"""The report of the comparison: tables for people, and a document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text

from .comparing import LOOP, SLOTS, Compared, Group
from .pictures import draw
from .profiles import Profile
from .stepping import StepTime
from .turns import Spread

_TITLES: Final = {
    Group.ALONE: "An article at a time",
    Group.BUSY: "Several in flight, of one kind",
    Group.MIXED: "Several in flight, each with wishes of its own",
}
_ALL_AT_ONCE: Final = (
    "With as many in flight as there are articles, all come at once: the one graph answers them one after another, "
    "slots nearly together, so a p50 compares the middle of a queue with its end."
)
_SHOWN: Final = 8
"""Operators of a step that stand in the table; the others are summed up."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that was measured of a model."""

    model: str
    """In words."""
    size: str
    """A name of `command.SIZES`, and of the files."""
    machine: Machine
    load_before: float
    """The load average of the minute before."""
    day: date
    command: str
    operators: str
    """Which kernels both sides ran on."""
    workers: int
    slots: int
    """Articles at a time in the engine, for each number of beams and each worker."""
    rounds: int
    compared: tuple[Compared, ...]
    steps: tuple[StepTime, ...]
    profiles: tuple[Profile, ...]


def document(found: Found) -> dict[str, Any]:
    """Everything that was measured; keys carry their units."""
    return {
        "model": found.model,
        "size": found.size,
        "date": found.day.isoformat(),
        "machine": asdict(found.machine),
        "load_before": found.load_before,
        "command": found.command,
        "operators": found.operators,
        "workers": found.workers,
        "slots": found.slots,
        "rounds": found.rounds,
        "cases": [_case(one) for one in found.compared],
        "steps": [asdict(one) for one in found.steps],
        "profiles": [asdict(one) for one in found.profiles],
    }


def _case(one: Compared) -> dict[str, Any]:
    case = one.case
    return {
        "group": case.group.value,
        "name": case.name,
        "in_flight": case.in_flight,
        "articles": len(case.articles),
        "mean_tokens_in": case.mean_tokens_in,
        "mean_tokens_out": one.mean_tokens_out,
        "same_summaries": one.same,
        "loop": asdict(one.figures(LOOP)),
        "slots": asdict(one.figures(SLOTS)),
        "times_as_many": asdict(one.times_as_many),
        "times_by_cpu": asdict(one.times_by_cpu),
        "times_p50": asdict(one.times_p50),
        "loop_per_s": [turn.per_s for turn in one.turns[LOOP]],
        "slots_per_s": [turn.per_s for turn in one.turns[SLOTS]],
    }


def markdown(found: Found, picture: str) -> str:
    """The report.

    Args:
        found: What was measured.
        picture: The name of the picture beside the page.
    """
    same, count = (
        sum(numbers) for numbers in zip(*((c.same, len(c.case.articles)) for c in found.compared), strict=True)
    )
    lines = [
        f"# The engine with slots beside the one graph: {found.model}",
        "",
        f"{found.machine}, {found.day.isoformat()}. `{found.command}`, all in one process; operators: "
        f"{found.operators}. Load average as it began: {found.load_before:.1f} on {found.machine.cores} cores. The "
        "more that is, the less the times say; ratios say more, and those of processor time say most.",
        "",
        f"*One graph* is `model.onnx`, whose `Loop` is a whole search, as Triton serves it: {found.workers} threads "
        "with a session of one thread each, an article at a time, in the order of their coming. *Slots* is `engine`: "
        f"{found.workers} workers with {found.slots} slots for each number of beams, whose articles share a step, and "
        f"come and go between two steps. Both get the same articles in turn, {found.rounds} rounds after one that does "
        "not count. Figures are medians over the rounds; a ratio is judged within a round, and has the least and the "
        "most of all rounds in brackets. *CPU ms* is the processor time of an article.",
        "",
        f"**Same summaries:** {same} of {count} articles, in every round, token by token.",
        "",
        f"![Articles a second, and the latency of one]({picture})",
    ]
    for group, title in _TITLES.items():
        rows = [one for one in found.compared if one.case.group is group]
        if rows:
            lines += ["", f"## {title}", "", *_table(rows)]
        if group is Group.BUSY and any(one.case.in_flight >= len(one.case.articles) for one in rows):
            lines += ["", _ALL_AT_ONCE]
    return "\n".join([*lines, *_steps(found.steps), *_profiles(found.profiles)]) + "\n"


def _table(rows: Sequence[Compared]) -> Iterator[str]:
    yield (
        "| what | in flight | tokens in, out | one graph: articles/s | p50 ms | p95 ms | CPU ms | slots: articles/s | "
        "p50 ms | p95 ms | CPU ms | slots over one graph: articles/s | articles per CPU second | p50 |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for one in rows:
        sides = []
        for side in (LOOP, SLOTS):
            figures = one.figures(side)
            spreads = (figures.per_s, figures.p50_ms, figures.p95_ms, figures.cpu_ms)
            sides += [_number(spread.median) for spread in spreads]
        yield (
            f"| {one.case.name} | {one.case.in_flight} | {one.case.mean_tokens_in:.0f}, {one.mean_tokens_out:.0f} | "
            f"{' | '.join(sides)} | **{_ratio(one.times_as_many)}** | {_ratio(one.times_by_cpu)} | "
            f"{_ratio(one.times_p50)} |"
        )


def _steps(steps: Sequence[StepTime]) -> Iterator[str]:
    if not steps:
        return
    yield from ("", "## A step", "")
    yield (
        "Microseconds of a step on one thread, beside nothing else. The one graph continues the beams of one article, "
        "the engine those of several."
    )
    yield from (
        "",
        "| beams | articles | rows | one graph µs | slots µs | slots µs an article |",
        "|---:|---:|---:|---:|---:|---:|",
    )
    for step in steps:
        loop = "" if step.loop_us is None else f"{step.loop_us:.0f}"
        yield (
            f"| {step.beams} | {step.articles} | {step.beams * step.articles} | {loop} | {step.slots_us:.0f} | "
            f"{step.slots_us / step.articles:.0f} |"
        )


def _profiles(profiles: Sequence[Profile]) -> Iterator[str]:
    if not profiles:
        return
    totals: dict[str, float] = {}
    for profile in profiles:
        for operator, us in profile.us.items():
            totals[operator] = max(totals.get(operator, 0.0), us)
    shown = sorted(totals, key=lambda name: -totals[name])[:_SHOWN]
    yield from ("", "## Where the time of a step goes", "")
    yield (
        "Microseconds by operator, as ONNX Runtime's profile has them; the profile itself takes time, the more the "
        "smaller an operator is. *Rows* are the beams of one article in the one graph, and articles with one beam in "
        "the engine."
    )
    yield from ("", f"| | rows | {' | '.join(shown)} | all others |", "|---|---:|" + "---:|" * (len(shown) + 1))
    for profile in profiles:
        cells = [f"{profile.us.get(name, 0.0):.0f}" for name in shown]
        others = sum(us for name, us in profile.us.items() if name not in shown)
        yield f"| {profile.side} | {profile.rows} | {' | '.join(cells)} | {others:.0f} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.least:.2f} to {spread.most:.2f})"


def write_report(found: Found, folder: Path) -> list[Path]:
    """Write page, document and picture; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = draw(found.compared, found.machine, folder / f"{found.size}.png")
    return [
        write_text(folder / f"{found.size}.md", markdown(found, picture.name)),
        write_json(folder / f"{found.size}.json", document(found)),
        picture,
    ]
