"""The parameters of a configuration of the backend ``evidence``; `model` says what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IDS, MASK = "input_ids", "attention_mask"
_WAY_OUT = "write the configurations anew with `python -m export configs`"


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A classifier, and the tokenizer before it."""

    task: str
    tokenizer: str
    reads: tuple[str, ...]
    """Which of ``title`` and ``text`` the tokenizer takes."""
    model: str
    inputs: tuple[str, ...]
    """What the model takes of the tokenizer."""
    output: str
    """What holds the probabilities."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The parameters of a configuration."""

    classifiers: tuple[Classifier, ...]
    rows: int
    max_running: int
    max_waiting: int


def read_settings(config: Mapping[str, Any]) -> Settings:
    """The settings of a model configuration.

    Raises:
        ValueError: It names no classifier, one lacks its tokenizer or its model, or a number is none from 1.
    """
    given = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    shares = {key.removeprefix("branch."): json.loads(text) for key, text in given.items() if key[:7] == "branch."}
    classifiers = [_classifier(task, shares) for task in sorted({share["task"] for share in shares.values()})]
    if not classifiers:
        raise ValueError(f"there is no parameter branch.MODEL: {_WAY_OUT}")
    numbers = {"rows": "4", "max_running": "2", "max_waiting": "2"}
    for key, default in numbers.items():
        numbers[key] = given.get(key, default).strip()
        if not numbers[key].isdecimal() or int(numbers[key]) < 1:
            raise ValueError(f"parameter {key} is a whole number from 1, not {numbers[key]!r}")
    return Settings(classifiers=tuple(classifiers), **{key: int(text) for key, text in numbers.items()})


def _classifier(task: str, shares: Mapping[str, Mapping[str, Any]]) -> Classifier:
    mine = {model: share for model, share in shares.items() if share["task"] == task}
    tokenizers = [model for model, share in mine.items() if IDS in share["outputs"]]
    models = [model for model, share in mine.items() if IDS in share["inputs"] and len(share["outputs"]) == 1]
    if len(tokenizers) != 1 or len(models) != 1 or MASK not in mine[models[0]]["inputs"]:
        raise ValueError(
            f"the task {task} has a branch that gives {IDS}, and one that takes {IDS} and {MASK} and gives one output, "
            f"not {sorted(mine)}: {_WAY_OUT}"
        )
    return Classifier(
        task=task,
        tokenizer=tokenizers[0],
        reads=tuple(mine[tokenizers[0]]["inputs"]),
        model=models[0],
        inputs=tuple(mine[models[0]]["inputs"]),
        output=mine[models[0]]["outputs"][0],
    )
