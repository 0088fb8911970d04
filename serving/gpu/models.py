"""Whether the models of a repository can be served on a GPU, and what is missing of them, in words.

A model is judged by the version that Triton serves: the newest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tritonclient.grpc import model_config_pb2 as pb

from infolens.contract import CONTRACTS
from infolens.targets import Target
from infolens.tasks import AnswerKind, Task
from serving.errors import RepositoryError
from serving.repository import check_repository, configs_again

from .configs import asks, falls_to_cpu, is_whole, parse_config

_ARTEFACT: Final = "artefact.json"
_FORM: Final = "loop"
"""The form of a model whose artefact names none."""
_ASK_SEVERAL: Final = ("fan_out", "evidence")
"""The backends that ask the models of all tasks; they are on a GPU where all of these are."""


def model_faults(repository: Path, configs: Mapping[Path, Path], target: Target) -> list[str]:
    """Why the models of a repository cannot be served on a target, each with what to do; empty where they can.

    Args:
        repository: The model repository.
        configs: The configuration that each model is served with, by its folder (`serving.repository.config_files`).
        target: Where they are to run.
    """
    name = target.record.config_name
    file = f"configs/{name}.pbtxt"
    again = configs_again(repository / "MODEL" / "config.pbtxt")
    served, faults = _parsed(configs)
    own = {model.name for model, path in configs.items() if path.parent != model}
    whole = {model for model in own & served.keys() if is_whole(served[model])}
    # What a model asks says its usual configuration where the one of the target is empty or none.
    usual, _ = _parsed({model: model / "config.pbtxt" for model in configs if model.name in own - whole})
    steps = {model: asks(config) for model, config in (served | usual).items()}
    judged = own | {step for asked in steps.values() for step in asked}
    unfit = {model.name: why for model in configs if model.name in judged and (why := why_not(model, target))}
    faults += unfit.values()
    for model in sorted(whole - unfit.keys()):
        if rule := falls_to_cpu(served[model]):
            faults.append(
                f"{repository / model / file} has the CPU compute, and nothing falls back to it: {rule}; take that out "
                f"of deployment-{name}.toml, and {again}"
            )
    damaged = {model.name for model in configs} - served.keys()
    lacking = sorted((_needed(steps, {**served, **usual}, unfit) | (own - unfit.keys())) - whole - damaged)
    if lacking and (own or any(_facts(repository / model) for model in lacking)):
        faults.append(
            f"{file} is missing or empty of {', '.join(lacking)}: {again}, or for a model of your own by hand"
        )
    elif configs and not own and not unfit:
        faults.append(f"no model in {repository} has a {file}: export one with --target {target}")
    try:
        check_repository(repository, name if own else None)
    except RepositoryError as error:
        faults += [] if str(error) in faults else [str(error)]
    return faults


def why_not(model: Path, target: Target) -> str:
    """Why the version of a model that is served cannot run on a target, with what to do; empty where it can.

    Empty, too, for what was not exported as a model, such as a tokenizer.

    Args:
        model: The model's folder.
        target: Where it is to run.
    """
    version = newest(model)
    again = "export the model again, or take back its newest version with `python -m export remove " + model.name + "`"
    path = version / _ARTEFACT
    if not path.is_file():
        others = any(model.glob(f"*/{_ARTEFACT}"))
        return f"{path} is missing, so nobody knows where this version runs: {again}" if others else ""
    facts = _facts(model)
    task, meant = str(facts.get("task")), facts.get("target", Target.CPU)
    if task not in CONTRACTS:
        return f"{path} names one of the tasks {', '.join(CONTRACTS)}, not {task!r}: {again}"
    if meant not in list(Target):
        return f"{path} names one of the targets {', '.join(Target)}, not {meant!r}: {again}"
    precision, writes_texts = str(facts.get("precision")), CONTRACTS[Task(task)].answers is AnswerKind.TEXT
    form = str(facts.get("form", _FORM))
    rule = target.record.fault(precision=precision, writes_texts=writes_texts, form=form)
    # The steps of a search are the same files for all engines; a classifier's graph is written for one.
    if not rule and not writes_texts and meant != target:
        rule = f"a graph is written for one target, and is to be for {target}"
    if not rule:
        return ""
    several = sum(path.name.isdecimal() for path in model.iterdir()) > 1
    back = f", or let the version before answer (`python -m export remove {model.name}`)" if several else ""
    return (
        f"the model {model.name} answers and cannot run there, as it is {precision} for {meant} (version "
        f"{version.name}): {rule}. Export its checkpoint ({facts.get('checkpoint')}) with `python -m export {task} "
        f"--target {target} --checkpoint SOURCE`{back}"
    )


def made_for(model: Path) -> Target:
    """The target that the newest version of a model was exported for; the CPU for what names none that is known."""
    target = _facts(model).get("target")
    return Target(target) if target in list(Target) else Target.CPU


def newest(model: Path) -> Path:
    """The folder of a model's newest version."""
    numbers = [int(path.name) for path in model.iterdir() if path.name.isdecimal()]
    return model / str(max(numbers, default=0))


def _needed(steps: Mapping[str, set[str]], configs: Mapping[str, pb.ModelConfig], unfit: Mapping[str, str]) -> set[str]:
    """The models that must have a configuration of the target: those that ask others, and all that these ask.

    Not those that wait for a model that cannot run there: its export writes theirs.
    """
    waiting = set(unfit)
    if unfit:
        waiting |= {model for model, config in configs.items() if config.backend in _ASK_SEVERAL}
    while more := {model for model, asked in steps.items() if asked & waiting} - waiting:
        waiting |= more
    asking = {model for model, asked in steps.items() if asked} - waiting
    return (asking | {step for model in asking for step in steps[model]}) & steps.keys() - waiting


def _facts(model: Path) -> dict[str, Any]:
    """The facts about the newest version of an exported model; empty for what is none, or where they are damaged."""
    try:
        found = json.loads((newest(model) / _ARTEFACT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _parsed(configs: Mapping[Path, Path]) -> tuple[dict[str, pb.ModelConfig], list[str]]:
    """Configurations by the names of their models, and why others are none."""
    found, faults = {}, []
    for model, path in configs.items():
        try:
            found[model.name] = parse_config(path)
        except RepositoryError as error:
            faults.append(str(error))
    return found, faults
