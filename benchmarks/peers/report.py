"""What `peers` measured: a document for programs, a Markdown table and a picture for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from benchmarks.common.charts import save
from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text
from benchmarks.common.shapes import shape_of
from infolens.contract import CONTRACTS, AnswerKind, Task

from .config import EXACT, LABELS, OURS, REFERENCE
from .run import EngineMeasurement, TaskMeasurement
from .timings import Spread, agreement, largest_difference, ratios


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """How answers are compared with those of the engine `EXACT`."""

    key: str
    """In the document."""
    column: str
    """In the table, where the engine's name follows."""
    compare: Callable[[Sequence[Sequence[Any]], Sequence[Sequence[Any]]], float]
    words: Callable[[float], str]
    remark: str
    """What random weights do to it."""


_COMPARISONS: Final = {
    AnswerKind.TEXT: _Comparison(
        key="same_summaries",
        column="same summaries as",
        compare=agreement,
        words=lambda share: f"{share:.0%}",
        remark="Agreement does: the next tokens of a random model are all but equally likely, so the smallest rounding "
        "changes a summary, and int8 hardly ever gives the fp32 one. Read it as a test of the fp32 engines only. "
        "The loop of transformers, which optimum and OpenVINO share, takes one step more than the other engines: "
        "the one whose token is forced.",
    ),
    AnswerKind.LABELS: _Comparison(
        key="largest_probability_difference",
        column="largest difference of a probability to",
        compare=largest_difference,
        words=lambda difference: f"{difference:.1g}",
        remark="A trained model's probabilities are farther apart than a random one's, and so are its differences.",
    ),
}


def document(found: TaskMeasurement, machine: Machine, day: date) -> dict[str, Any]:
    """Everything that was measured on one task; keys carry their units."""
    engines = {measured.engine: measured for measured in found.engines}
    return {
        "task": found.workload.task.value,
        "size": found.size,
        "date": day.isoformat(),
        "machine": asdict(machine),
        "workload": {**asdict(found.workload), "text": str(found.workload)},
        "threads": found.threads,
        "rounds": found.rounds,
        "rates": asdict(found.rates),
        "engines": [_engine(measured) for measured in found.engines],
        "batches": [
            {
                "articles": batch,
                "floor_s": minimum_s,
                "engines": [
                    _figures(measured, engines, batch, minimum_s, _COMPARISONS[CONTRACTS[found.workload.task].answers])
                    for measured in found.engines
                    if measured.status == "measured"
                ],
            }
            for batch, minimum_s in found.minimum_s.items()
        ],
    }


def _engine(measured: EngineMeasurement) -> dict[str, Any]:
    facts = {"engine": measured.engine, "label": LABELS[measured.engine], "status": measured.status}
    if measured.status != "measured":
        return {**facts, "reason": measured.reason}
    names = ("notes", "versions", "load_s", "memory_bytes", "idle_cores")
    return {**facts, **{name: getattr(measured, name) for name in names}}


def _figures(
    measured: EngineMeasurement,
    engines: Mapping[str, EngineMeasurement],
    batch: int,
    minimum_s: float,
    comparison: _Comparison,
) -> dict[str, Any]:
    rounds = measured.seconds[batch]
    spread = Spread.of(rounds)
    found: dict[str, Any] = {
        "engine": measured.engine,
        "rounds_s": rounds,
        "call_s": asdict(spread),
        "articles_per_s": batch / spread.median,
        "times_floor": spread.median / minimum_s,
    }
    reference, exact = engines.get(REFERENCE), engines.get(EXACT)
    if reference and reference.status == "measured":
        found["times_infolens"] = asdict(ratios(rounds, reference.seconds[batch]))
    if exact and exact.status == "measured" and measured is not exact:
        found[comparison.key] = comparison.compare(measured.answers[batch], exact.answers[batch])
    return found


def markdown(doc: Mapping[str, Any], picture: str) -> str:
    """The table of one task.

    Args:
        doc: From `document`.
        picture: File name of the picture that lies beside the text.
    """
    rates = doc["rates"]
    comparison = _comparison(doc)
    lines = [
        f"# {doc['task'].capitalize()}: Info Lens and its peers",
        "",
        f"{_machine(doc)}; {doc['date']}. {_model(doc)}: {doc['workload']['text']}; {_threads(doc)} each, "
        f"{doc['rounds']} rounds in which the engines take turns; medians, with minimum and maximum in brackets. "
        '"Against" says how many times as long it takes; against Info Lens, round by round.',
        "",
        f"The floor is the shortest time in which the work can be done at the rates measured here: "
        f"{rates['bandwidth_bytes_per_s'] / 1e9:.0f} GB/s from memory, {rates['int8_operations_per_s'] / 1e9:.0f} "
        f"int8 and {rates['fp32_operations_per_s'] / 1e9:.0f} fp32 G operations/s. "
        "`benchmarks/peers/roofline.py` holds the formulas.",
        "",
        f"![{doc['task']}]({picture})",
        "",
        "| engine | articles a call | ms | articles/s | against Info Lens in process | against the floor | "
        f"{comparison.column} transformers |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    labels = {engine["engine"]: engine["label"] for engine in doc["engines"]}
    for batch in doc["batches"]:
        lines += [
            _row(labels[figures["engine"]], batch["articles"], figures, comparison) for figures in batch["engines"]
        ]
        floor_s = batch["floor_s"]
        lines.append(
            f"| *floor* | {batch['articles']} | {_ms(floor_s)} | {batch['articles'] / floor_s:.2f} | | 1.0 | |"
        )
    lines += ["", "| engine | load s | peak memory GB | versions | |", "|---|---:|---:|---|---|"]
    for engine in doc["engines"]:
        if engine["status"] == "measured":
            versions = ", ".join(f"{name} {version}" for name, version in engine["versions"].items())
            lines.append(
                f"| {engine['label']} | {engine['load_s']:.1f} | {engine['memory_bytes'] / 1e9:.2f} | {versions} | "
                f"{engine['notes']} |"
            )
        else:
            reason = engine["reason"].replace("|", "\\|").replace("\n", "<br>")
            lines.append(f"| {engine['label']} | | | | **{engine['status']}**: {reason} |")
    lines += ["", *_remarks(doc)]
    return "\n".join(lines) + "\n"


def _row(label: str, articles: int, figures: Mapping[str, Any], comparison: _Comparison) -> str:
    call, times = figures["call_s"], figures.get("times_infolens")
    ratio = f"{times['median']:.2f} ({times['minimum']:.2f} to {times['maximum']:.2f})" if times else ""
    same = comparison.words(figures[comparison.key]) if comparison.key in figures else ""
    spread = f"{_ms(call['median'])} ({_ms(call['minimum'])} to {_ms(call['maximum'])})"
    return (
        f"| {label} | {articles} | {spread} | {figures['articles_per_s']:.2f} | {ratio} | "
        f"{figures['times_floor']:.1f} | {same} |"
    )


def _remarks(doc: Mapping[str, Any]) -> list[str]:
    remarks = [f"The weights are random: speed does not depend on them. {_comparison(doc).remark}"]
    restless = [e for e in doc["engines"] if e["status"] == "measured" and e["idle_cores"] > 0.05]
    if restless:
        words = ", ".join(f"{engine['label']} {engine['idle_cores']:.2f}" for engine in restless)
        remarks += ["", f"CPU that waiting engines used while another one had its turn, in cores: {words}."]
    return remarks


def _comparison(doc: Mapping[str, Any]) -> _Comparison:
    return _COMPARISONS[CONTRACTS[Task(doc["task"])].answers]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}" if seconds >= 0.01 else f"{1e3 * seconds:.2f}"


def _threads(doc: Mapping[str, Any]) -> str:
    return "1 thread" if doc["threads"] == 1 else f"{doc['threads']} threads"


def _machine(doc: Mapping[str, Any]) -> str:
    return str(Machine(**doc["machine"]))


def _model(doc: Mapping[str, Any]) -> str:
    shape = shape_of(doc["workload"]["architecture"])
    return shape.published if doc["size"] == "full" else f"{shape.name} of the size {doc['size']!r}, for tests"


def draw_engines(doc: Mapping[str, Any], path: Path) -> None:
    """Draw the picture of one task as ``path`` (PNG): a bar for each engine and batch, the floor as a line."""
    labels = {engine["engine"]: engine["label"] for engine in doc["engines"]}
    batches = doc["batches"]
    longest = max((len(batch["engines"]) for batch in batches), default=0)
    figure = Figure(figsize=(6.0 * len(batches) + 1.5, 1.9 + 0.46 * longest), layout="constrained")
    axes = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    for axis, batch in zip(axes, batches, strict=True):
        calls = [figures["call_s"] for figures in batch["engines"]]
        medians = [call["median"] for call in calls]
        errors = [[c["median"] - c["minimum"] for c in calls], [c["maximum"] - c["median"] for c in calls]]
        colours = ["#1f6f8b" if figures["engine"] in OURS else "#b9bec4" for figures in batch["engines"]]
        names = [labels[figures["engine"]] for figures in batch["engines"]]
        axis.barh(names, medians, color=colours, xerr=errors, error_kw={"ecolor": "#444444", "capsize": 2})
        for index, call in enumerate(calls):
            text = _seconds(call["median"])
            axis.annotate(text, (call["maximum"], index), (5, 0), textcoords="offset points", va="center", fontsize=9)
        axis.axvline(batch["floor_s"], color="#c8553d", linestyle="--", linewidth=1.2)
        axis.set_xlim(0, 1.18 * max((call["maximum"] for call in calls), default=1.0))
        articles = "1 article" if batch["articles"] == 1 else f"{batch['articles']} articles"
        axis.set_title(f"{articles} a call (floor, dashed: {_seconds(batch['floor_s'])})", fontsize=10)
        axis.set_xlabel("seconds a call, less is better")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.suptitle(f"{doc['task'].capitalize()}: {_model(doc)}, {doc['workload']['text']}", fontsize=11)
    caption = f"{_machine(doc)}; {_threads(doc)}; {doc['date']}; median, minimum and maximum of {doc['rounds']} rounds"
    figure.supxlabel(caption, fontsize=8, color="#555555")
    save(figure, path, dpi=110)


def _seconds(value: float) -> str:
    return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.2f} s"


def write(doc: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the table, the document and the picture of one task into ``folder``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = doc["task"] if doc["size"] == "full" else f"{doc['task']}-{doc['size']}"
    picture = folder / f"{stem}.png"
    draw_engines(doc, picture)
    return [
        write_text(folder / f"{stem}.md", markdown(doc, picture.name)),
        write_json(folder / f"{stem}.json", doc),
        picture,
    ]
