"""The report of a comparison: a table, pictures, what the machine was, and what the cost model makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .cost_model import CostModel, fit_bandwidth, fit_compute
from .output import write_whole

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9641e", "#8a8f98"


def cost_model(report: dict[str, Any], *, without: str = "") -> CostModel:
    """Fit the cost model to the measured cells.

    The batch sizes of one worker give the computing; what DDP with two workers takes beyond it is the exchange.

    Args:
        report: Of a comparison.
        without: The name of a cell whose computing is left out of the fit.
    """
    cells = report["cells"]
    alone = [cells[name] for name in names_of(report, "batch") if name != without]
    batches = [cell["per_device_train_batch_size"] for cell in alone]
    fixed_ms, article_ms = fit_compute(batches, [cell["step_ms"] for cell in alone])
    first = cells["1 worker"]
    model = CostModel(
        fixed_ms=fixed_ms, article_ms=article_ms, parameter_bytes=first["parameter_bytes"], bandwidth_gb_s=1e6
    )
    pair = next((c for c in cells.values() if c["workers"] == 2 and c["strategy"] == "ddp"), None)
    if pair is None:
        return model
    computing = model.compute_ms(pair["per_device_train_batch_size"]) / share_of_core(report, pair)
    bandwidth = fit_bandwidth(
        pair["step_ms"] - computing, workers=2, strategy="ddp", parameter_bytes=first["parameter_bytes"]
    )
    return CostModel(
        fixed_ms=fixed_ms, article_ms=article_ms, parameter_bytes=first["parameter_bytes"], bandwidth_gb_s=bandwidth
    )


def names_of(report: dict[str, Any], prefix: str) -> Sequence[str]:
    """The cells that vary one thing, after the one that they are compared to."""
    return ["1 worker", *(name for name in report["cells"] if name.startswith(prefix))]


def share_of_core(report: dict[str, Any], cell: dict[str, Any]) -> float:
    """What part of its threads' cores a worker really has: below 1 when there are more threads than cores."""
    if report["gpus"]:
        return 1.0
    return float(min(1.0, report["cores"] / (cell["workers"] * cell["threads"])))


def predicted_step_ms(report: dict[str, Any], model: CostModel, cell: dict[str, Any]) -> float:
    """What a model says of the step of a measured cell."""
    return model.step_ms(
        articles=cell["per_device_train_batch_size"],
        workers=cell["workers"],
        strategy=cell["strategy"],
        accumulation=cell["gradient_accumulation_steps"],
        share=share_of_core(report, cell),
    )


def markdown(report: dict[str, Any]) -> str:
    """The report as a page."""
    recipe, model = report["recipe"], cost_model(report)
    lines = [
        f"# What each way of training costs: {report['task']}",
        "",
        f"{report['machine']}. {report['date']}. Every cell trains the same model ("
        f"{report['cells']['1 worker']['parameter_bytes'] / 4e6:.1f} M parameters trained) on the same articles for "
        f"{recipe['num_train_epochs']:g} pass(es), {recipe['per_device_train_batch_size']} articles a step unless the "
        "row says otherwise; more workers share these out, so that all of them "
        "see the same steps (dropout draws differ by worker).",
        "",
        _honest(report),
        "",
        "| | training | speed-up | efficiency | step | peak memory, a worker | validation loss | accuracy | macro-F1 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, cell in report["cells"].items():
        lines.append(
            f"| {name} | {cell['train_s']:.1f} s | {cell['speed_up']:.2f} | {cell['efficiency']:.0%} | "
            f"{cell['step_ms']:.0f} ms | {cell['peak_memory_bytes'] / 1e6:.0f} MB | {cell['validation_loss']:.4f} | "
            f"{_or_dash(cell['accuracy'])} | {_or_dash(cell['macro_f1'])} |"
        )
    lines += [
        "",
        "*Training* is the time inside the slowest worker, with all measuring and saving but without the start of Ray "
        "(10 to 30 s more). *Efficiency* is the speed-up by the number of workers.",
        "",
        "![Time, memory and loss of each cell](compare.png)",
        "",
        "## What it says about other machines",
        "",
        f"A step of one worker takes {model.fixed_ms:.0f} ms and {model.article_ms:.1f} ms an article; "
        f"two DDP workers exchange {model.parameter_bytes / 1e6:.1f} MB "
        f"at {model.bandwidth_gb_s:.2f} GB/s (gloo, one machine).",
        "",
        "| | measured step | predicted | |",
        "|---|---:|---:|---:|",
    ]
    for name, cell in report["cells"].items():
        if name.startswith("precision"):
            continue
        predicted = predicted_step_ms(report, model, cell)
        off = predicted / cell["step_ms"] - 1
        lines.append(f"| {name} | {cell['step_ms']:.0f} ms | {predicted:.0f} ms | {off:+.0%} |")
    lines += [
        "",
        "The batch sizes and the two DDP workers are what the model was fitted to; the other rows test it. "
        "`python -m training plan` predicts other clusters with it.",
        "",
    ]
    return "\n".join(lines)


def _honest(report: dict[str, Any]) -> str:
    crowded = [name for name, cell in report["cells"].items() if share_of_core(report, cell) < 1]
    text = f"Measured {report['repeats']} time(s) a cell on a machine that may have had other work."
    if not report["gpus"]:
        threads = report["cells"]["1 worker"]["threads"]
        text += f" There is no GPU: workers are processes with {threads} thread(s) each that talk through gloo."
    if crowded:
        text += (
            f" {', '.join(crowded)}: more threads than cores, so no speed-up can be expected there beyond the cores."
        )
    return text


def _or_dash(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def draw(report: dict[str, Any], path: Path) -> None:
    """One picture: time, memory and loss of every cell."""
    from matplotlib.figure import Figure

    names = list(report["cells"])[::-1]
    figure = Figure(figsize=(12, 1.4 + 0.42 * len(names)), layout="constrained")
    columns = figure.subplots(1, 3, sharey=True)
    titles = ("training, s", "peak memory of a worker, MB", "validation loss")
    values = (
        [report["cells"][name]["train_s"] for name in names],
        [report["cells"][name]["peak_memory_bytes"] / 1e6 for name in names],
        [report["cells"][name]["validation_loss"] for name in names],
    )
    colours = [_colour(report["cells"][name]["strategy"]) for name in names]
    for axes, title, numbers in zip(columns, titles, values, strict=True):
        axes.barh(names, numbers, color=colours)
        axes.set_title(title, fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        for place, number in enumerate(numbers):
            axes.text(number, place, f" {number:.3g}" if number < 10 else f" {number:.0f}", va="center", fontsize=9)
        axes.margins(x=0.15)
    figure.suptitle(f"{report['task']}: {report['machine']}, {report['date']}", fontsize=10, color="#444")
    figure.savefig(path, dpi=110)


def _colour(strategy: str) -> str:
    return {"single": _GREY, "ddp": _BLUE, "fsdp": _ORANGE}[strategy]


def write(report: dict[str, Any], folder: Path) -> None:
    """Write ``compare.md`` and ``compare.png`` beside ``compare.json``."""
    write_whole(folder / "compare.md", markdown(report))
    draw(report, folder / "compare.png")
