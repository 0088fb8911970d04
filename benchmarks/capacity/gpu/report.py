"""The page that says how many cards are needed, and from which times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.capacity.deployed import replicas
from benchmarks.capacity.wanted import BOUNDS_MS, HEAD_ROOM
from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text

from .plan import DOOR_PER_S, CardDeployment, CardPlan
from .times import BEAMS, TOKENS_IN, TOKENS_OUT, CardTimes

NAME: Final = "capacity-gpu"


def card_markdown(
    card: CardTimes,
    deployment: CardDeployment,
    plan: CardPlan,
    wanted_per_s: Sequence[float],
    beside: Machine,
    command: str,
) -> str:
    """The page.

    Args:
        card: The times of its models.
        deployment: How the server around it is run.
        plan: What was simulated.
        wanted_per_s: Rates of the table.
        beside: Where the times of what is not on the card were measured.
        command: That made it.
    """
    floor = "" if card.measured else _FLOOR
    return "\n".join(
        [
            f"# How many cards: {card.card}",
            "",
            f"**{floor}One card: {plan.full_per_s:.0f} articles a second when full, {plan.highest_per_s[500.0]:.0f} "
            f"with 99 of 100 within 500 ms, and {plan.alone_ms:.0f} ms for an article alone (simulated).**",
            "",
            f"Times of the models: {card.source}. {_times(card)} Times of all that is not on the card: measured on "
            f"{beside}. `{command}`. `info_lens` through the door: {deployment.slots} slots, batches of "
            f"{deployment.max_batch} at most, {deployment.tokenizers} processes of each tokenizer, "
            f"{deployment.max_running} requests at once, {deployment.cores} cores.",
            "",
            *_table(plan, wanted_per_s),
            *_beside_the_server(card, plan, wanted_per_s),
            *_LEFT_OUT,
        ]
    )


_FLOOR: Final = (
    "Not measured: these are floors, from the bandwidth and the operations of the data sheet, and no program reaches "
    "them. Count with several times as many cards until one was measured. "
)
_LEFT_OUT: Final = (
    "## What is not in it",
    "",
    "- Articles are all as long as those that were measured, and so are the summaries: shorter ones cost less.",
    "- A step costs what its articles cost: the engine computes the slots that are taken, not all.",
    "- Programs that use the card at the same time have it in turns. With MPS they can overlap, which is not counted.",
    "- Clocks that sink under load, transfers between processes, the network, and callers who leave.",
    "- The model is that of `benchmarks/capacity/queueing.py`; hold it against `python -m benchmarks load --find-max` "
    "on one replica, and take `--replica-per-s` with what that finds.",
    "",
)


def _times(card: CardTimes) -> str:
    def told(times: Mapping[int, float]) -> str:
        return ", ".join(f"{times[size]:.2g} ms for {size}" for size in sorted(times))

    steps, read = told(card.step_ms), told(card.encoder_ms)
    labels = "; ".join(f"{task} ({one.tokens} tokens) {told(one.batch_ms)}" for task, one in card.labels.items())
    return (
        f"A step of the summary ({TOKENS_IN} tokens in, {TOKENS_OUT} out, {BEAMS} beams): {steps}; articles read: "
        f"{read}; {labels}."
    )


def _table(plan: CardPlan, wanted_per_s: Sequence[float]) -> list[str]:
    head = " | ".join(f"p99 within {bound:g} ms" for bound in BOUNDS_MS)
    rates = " | ".join(f"*{plan.highest_per_s[bound]:.0f}/s*" for bound in BOUNDS_MS)
    busy = " | ".join(f"*{100 * plan.card_busy[bound]:.0f} %*" for bound in BOUNDS_MS)
    cores = " | ".join(f"*{plan.cores_busy[bound]:.1f}*" for bound in BOUNDS_MS)
    rows = [
        f"| {wanted:g} | " + " | ".join(_cards(wanted, plan.highest_per_s[bound]) for bound in BOUNDS_MS) + " |"
        for wanted in wanted_per_s
    ]
    return [
        "## Cards",
        "",
        f"| wanted articles/s | {head} |",
        "|---:|" + "---:|" * len(BOUNDS_MS),
        f"| *highest rate of one* | {rates} |",
        f"| *its card is busy* | {busy} |",
        f"| *cores that are busy* | {cores} |",
        *rows,
        "",
        f"{100 * HEAD_ROOM:.0f} % of each card's highest rate are kept free. One more if one may fail while the rest "
        f"carry on; a rollout without a spare card takes one away for minutes. No rate is above {DOOR_PER_S:.0f}/s, "
        "where the process of one door ends.",
        "",
    ]


def _beside_the_server(card: CardTimes, plan: CardPlan, wanted_per_s: Sequence[float]) -> list[str]:
    """What a whole server on that card did, where it was asked; the simulation is to be held against it."""
    if card.server.alone_ms is None and card.server.held_per_s is None:
        return []
    lines = [
        "## The same, measured",
        "",
        "The whole server on that card, in the measurement of the times above:",
        "",
        "| | measured | simulated |",
        "|---|---:|---:|",
    ]
    if card.server.alone_ms is not None:
        lines.append(f"| an article alone, p50 | {card.server.alone_ms:.0f} ms | {plan.alone_ms:.0f} ms |")
    if card.server.held_per_s is not None:
        held = card.server.held_per_s
        counts = "; ".join(f"{_cards(wanted, held)} for {wanted:g}/s" for wanted in wanted_per_s)
        lines += [
            f"| the highest rate that held 500 ms | {held:.0f}/s | {plan.highest_per_s[500.0]:.0f}/s |",
            "",
            f"Cards by the measured rate, with {100 * HEAD_ROOM:.0f} % kept free: {counts}. **Where both differ, this "
            "counts.**",
        ]
    return [*lines, ""]


def _cards(wanted_per_s: float, card_per_s: float) -> str:
    count = replicas(wanted_per_s, card_per_s)
    return "none holds it" if count is None else str(count)


def write_card(markdown: str, document: dict[str, Any], out: Path) -> list[Path]:
    """Write the page and the document into a folder; returns their paths, the page first."""
    out.mkdir(parents=True, exist_ok=True)
    return [write_text(out / f"{NAME}.md", markdown), write_json(out / f"{NAME}.json", document)]
