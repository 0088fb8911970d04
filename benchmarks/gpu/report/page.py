"""The page of a run, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from benchmarks.common.machine import Machine
from benchmarks.gpu.children.child import Status
from benchmarks.gpu.context import Cell
from benchmarks.gpu.run import Run

from .cells import cell, line, table
from .headlines import in_short

if TYPE_CHECKING:
    from .pictures import Picture

_VERSIONS: Final = ("driver_version", "CUDA of torch", "torch", "transformers", "python")
"""Facts of the table ``machine`` that stand at the top."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a report says beside the results."""

    command: str
    machine: Machine
    day: date


ABOUT: Final = {
    "check": "Tokens of `engine` against those of `generate`; `equal tokens` is the share that is the same, without "
    "padding. Rows that neither pass nor fail say how far 16 bits go.",
    "pieces": "In bf16, for 4 beams of each article, as part of a CUDA graph of a dozen.",
    "ways": "Summaries in bf16, in every way that was tried: a step among others, and whole summaries. `equal tokens` "
    "is the share that is as in the first way of that size; roundings differ.",
    "whole": "Whole summaries in bf16: each row was the fastest way of its size so far.",
    "sweep": "The same for one length and number of beams, by batch.",
    "step": "One step among others, in bf16; the floor is the mean over the steps of a summary.",
    "encoder": "The encoder in bf16, with the keys and values of the cross attention.",
    "executor_check": "Tokens of each executor of `engine` against those of `generate`, for a small model and articles "
    "with settings of their own that share a step. Rows that neither pass nor fail say how far 16 bits go.",
    "executors": "Whole summaries and a step among others, by what runs the same graphs; articles are read one by one, "
    "as they come in service.",
    "arrivals": "BART large in an engine: articles and summaries of many lengths, so many always in flight, or at "
    "random moments. A latency counts from when an article was due; `busy slots` is the mean over all steps.",
    "kernels": "One step, by kernel, in bf16.",
    "classifiers": "`difference` is the largest one of a probability from fp32, `agreement` the share of articles with "
    "the same label, `prepare s` what it takes before the first answer.",
    "training_costs": "A step takes `fixed ms`, and `sample ms` for each article; `largest error` is how far a batch "
    "is off when it is predicted from the others, as a share. `plan options` are those of `python -m training plan`.",
    "served_start": "What comes before the first request: models of random weights are written, and the server starts.",
    "served": "Over gRPC, through the door and Triton, by clients on the same machine; the response cache is off. "
    "`info_lens` is all three answers; `tokens in` is what each model reads of the article, a longer one. "
    "At random moments a latency counts from when a request was due, and a rate `holds` if every request was answered, "
    "99 of 100 within 500 ms.",
    "served_stages": "What each model did for a request at these rates; an ensemble has those of its steps in it.",
    "served_processes": "`cores` is CPU time by elapsed time; the load generator is on the same machine.",
    "operators": "`ratio`: the time of ONNX Runtime over that of the native kernel. Above 1 the native one is faster.",
}
"""What a reader must know of a table."""
FLOOR: Final = (
    "Times are medians. A *floor* is the shortest time that the work could take on this card: its operations over the "
    "rate of the matrix units, or its bytes over the bandwidth, whichever is longer, both as measured below."
)


def markdown(run: Run, facts: Facts, pictures: Mapping[str, Picture], problems: Sequence[str] = ()) -> str:
    """The page.

    Args:
        run: What was measured.
        facts: What else it says.
        pictures: By table; they lie beside the page.
        problems: Which pictures could not be drawn, and why.
    """
    versions = {row.get("what"): row.get("value") for row in run.tables.get("machine", [])}
    known = ", ".join(f"{name.replace('_', ' ')} {versions[name]}" for name in _VERSIONS if name in versions)
    lines = [
        f"# {'Dry run' if run.toy else run.card}: the models of Info Lens",
        "",
        f"{run.card}; {facts.machine}; {facts.day}{f'; {known}' if known else ''}. `{facts.command}`: "
        f"{run.took_s:.0f} s of at most {run.seconds:.0f}. The weights are random: speed does not depend on them.",
    ]
    lines += ["", FLOOR]
    if run.cut_off:
        lines += ["", "**Cut off:** the run was interrupted, and what is here is what it had until then."]
    if run.toy:
        lines += ["", "Small models on a processor: that all parts run is all that these figures say."]
    if problems:
        lines += ["", f"Pictures that could not be drawn: {cell('; '.join(problems))}"]
    lines += ["", "## In short", "", *in_short(run), "", *_endings(run)]
    for result in run.results:
        lines += ["", f"## {result.part.title}"]
        for name, rows in result.tables.items():
            lines += ["", f"### {name}", "", *([ABOUT[name], ""] if name in ABOUT else []), *table(rows)]
            if name in pictures:
                lines += ["", f"![{pictures[name].title}]({pictures[name].path.name})"]
        if result.skipped:
            lines += ["", "Not measured:", ""]
            lines += [f"- {cell(one.table)}: {cell(one.what)} ({cell(one.reason)})" for one in result.skipped]
    return "\n".join(lines) + "\n"


def _endings(run: Run) -> list[str]:
    lines = ["| part | | seconds | of at most | rows | not measured |", "|---|---|---:|---:|---:|---:|"]
    for result in run.results:
        status = result.status.value if result.status is Status.DONE else f"**{result.status.value}**"
        cells: list[Cell] = [result.part.title, status, round(result.seconds), round(result.limit_s), len(result.rows)]
        lines.append(line([*cells, len(result.skipped)]))
    return lines + [line([part.title, "**not begun**"]) + " | | | |" for part in run.parts[len(run.results) :]]
