"""What MLflow's pages say to a person of a run, a model and an experiment: who, with what, and what came of it.

MLflow sorts parameters by name, and a recipe has more than forty: only the main settings and those that differ from
the default recipe are recorded as parameters. ``recipe.toml``, among the run's files, has them all.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task
from training.metrics.headline import Headline, headline
from training.recipes.kinds import default_recipe
from training.recipes.recipe import STARTER

NOTE: Final = "mlflow.note.content"
"""The tag that MLflow shows, as markdown, above a run and an experiment."""
MAIN: Final = (
    *("base", "data", "num_train_epochs", "learning_rate", "per_device_train_batch_size"),
    *("max_tokens", "precision", "seed"),
)
"""Settings that are recorded whatever they are."""
EXPERIMENT_TAGS: Final = {
    # Of a note MLflow shows the first line until it is opened, also above the empty page that it begins with.
    NOTE: "Info Lens: models for news articles, a run each: *Model training* (top left), *Runs*. There *Columns* adds "
    "`test/macro_f1` (for summaries `test/rougeLsum`).\n\n"
    "- `train/...` and `validation/...` are curves over optimizer steps.\n"
    "- `test/...` stands beside `baseline/...`: the same test articles, the same figure.\n"
    "- A run's files hold `recipe.toml` (every setting), `metrics.json` and `plots/overview.png`.\n"
    "- The runs of a search or a comparison are nested below it.\n"
    "- The model registry has a model for each task: `challenger` is the newest, `champion` the one to serve "
    "(`python -m training promote TASK`).",
}


def run_tags() -> dict[str, str]:
    """Who started a run and with which command, under the names that MLflow's pages show."""
    program = Path(sys.argv[0])
    source = program.name
    if program.name == "__main__.py":
        words = [word for word in sys.argv[1:3] if not word.startswith("-")]
        source = " ".join(["python -m", program.parent.name, *words])
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        user = ""
    tags = {"mlflow.source.name": source, "mlflow.source.type": "LOCAL", "mlflow.user": user}
    return {name: value for name, value in tags.items() if value}


def parameters(task: Task, config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run.

    Args:
        task: What the model answers.
        config: Its settings by name: a recipe as a mapping.
    """
    default = _comparable(asdict(default_recipe(task, str(config["base"]))))
    chosen = {
        name: value
        for name, value in config.items()
        if name in MAIN or name not in default or _comparable(value) != default[name]
    }
    if config.get("max_steps"):  # which overrules it
        chosen.pop("num_train_epochs", None)
    return {"task": task.value, **chosen}


def _comparable(value: Any) -> Any:
    """A setting as ``metrics.json`` has it."""
    return json.loads(json.dumps(value))


def begun(task: Task, config: Mapping[str, Any]) -> str:
    """What a run is, in a sentence of markdown."""
    workers = config["workers"]
    how = "one process" if workers <= 1 else f"{workers} workers, {str(config['strategy']).upper()}"
    kind = "a small model from scratch" if config["base"] == STARTER else f"`{config['base']}`"
    step = config["per_device_train_batch_size"] * config["gradient_accumulation_steps"] * max(1, workers)
    data = str(config["data"])
    return (
        f"**{task.value}**: {kind} on `{Path(data).name or data}`, {how}, {config['precision']}, {step} articles a "
        "step."
    )


def finished(task: Task, metrics: Mapping[str, Any]) -> str:
    """What a run is and what came of it, as markdown.

    Args:
        task: What the model answers.
        metrics: What ``metrics.json`` holds.
    """
    told = headline(metrics)
    data = ", ".join(f"{count:,} {split.replace('_', ' ')}" for split, count in metrics["articles"].items())
    lines = [
        f"**{_result(told)}** on {told.articles:,} test articles.",  # MLflow hides all but the first lines
        begun(task, metrics["config"]),
        f"The baseline is {told.baseline}. Articles: {data}. {metrics['parameters'] / 1e6:.1f} M parameters, "
        f"{metrics['steps']} steps, {metrics['minutes']:.1f} minutes.",
    ]
    return "\n\n".join(lines)


def of_version(task: Task, metrics: Mapping[str, Any]) -> str:
    """What a version of a registered model is, in one line, the figures first; MLflow's tables show it as it is."""
    told = headline(metrics)
    plain = begun(task, metrics["config"]).replace("**", "").replace("`", "")
    return f"{_result(told)} on {told.articles:,} test articles. {plain}"


def _result(told: Headline) -> str:
    """The figures of a run beside its baseline's."""
    figures = [f"{one.label} {one.model:.4g} (baseline {one.baseline:.4g})" for one in told.figures]
    return ", ".join(figures) or "no figures"


def of_model(task: Task) -> str:
    """What a registered model is, in one line."""
    return (
        f"Tells the {task.value} of news articles, as Info Lens serves it. The alias challenger is the newest version, "
        f"champion the one to serve: python -m export {task.value} --checkpoint models:/{task.value}@champion"
    )
