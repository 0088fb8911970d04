"""Every recipe is one that ``fit --config`` takes, says only what differs, and keeps to what its README promises."""

from __future__ import annotations

import argparse
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from infolens.contract import CONTRACTS, Task
from serving.runtime import ROOT
from training.cli import build_parser
from training.commands.options import recipe_from
from training.errors import SettingError
from training.recipes.kinds import default_recipe
from training.recipes.recipe import Recipe
from training.recipes.settings import to_toml
from training.tasks.descriptions import read_descriptions

BASES = {
    Task.SUMMARY: "facebook/bart-large-cnn",
    Task.CATEGORY: "distilbert-base-uncased",
    Task.VERACITY: "xlnet-base-cased",
}
STARTERS = {
    Task.SUMMARY: "checkpoints/writer",
    Task.CATEGORY: "sentence-transformers/all-MiniLM-L6-v2",
    Task.VERACITY: "sentence-transformers/all-MiniLM-L6-v2",
}


def options(path: Path, task: str, *more: str) -> argparse.Namespace:
    """The options of ``fit --config PATH``."""
    words = ["fit", task, "--config", str(path), "--data", "articles.csv", "--out", "checkpoints/x", *more]
    return build_parser().parse_args(words)


def read(path: Path) -> tuple[Task, Recipe]:
    """A recipe as ``fit`` has it, with the defaults of its base."""
    return recipe_from(options(path, tomllib.loads(path.read_text(encoding="utf-8"))["task"]))


def test_there_is_one_for_each_task_and_number_of_gpus_and_starter() -> None:
    expected = {f"{task.value}-{kind}" for task in BASES for kind in ("1gpu", "4gpu", "starter")}
    assert {path.stem for path in (ROOT / "recipes").glob("*.toml")} == expected | {"category-descriptions"}


def test_the_descriptions_of_the_category_are_of_its_labels() -> None:
    labels = CONTRACTS[Task.CATEGORY].default_labels
    assert tuple(read_descriptions(ROOT / "recipes" / "category-descriptions.toml", labels)) == labels


def test_fit_takes_it_and_prints_it_whole(recipe_file: Path) -> None:
    task, recipe = read(recipe_file)
    assert recipe_file.stem.startswith(task.value)
    assert recipe.base == (STARTERS if recipe_file.stem.endswith("-starter") else BASES)[task]
    whole = tomllib.loads(to_toml(recipe, task))
    assert {field.name for field in fields(recipe)} | {"task"} == set(whole)


def test_it_says_only_what_differs_and_why(recipe_file: Path, written: dict[str, Any]) -> None:
    task, base = Task(written.pop("task")), written.pop("base")
    default = default_recipe(task, base)
    same = {name for name, value in written.items() if getattr(default, name) == value}
    # The articles of a step stand there whole, also where one of their factors is the default.
    assert same <= {"per_device_train_batch_size", "gradient_accumulation_steps"}
    blocks = recipe_file.read_text(encoding="utf-8").split("\n\n")[2:]
    assert blocks
    assert all(block.lstrip("\n").startswith("# ") for block in blocks)


def test_its_first_lines_are_a_command_that_reads_it(recipe_file: Path) -> None:
    command = re.findall(r"^#   python -m training (.*)$", recipe_file.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(command) == 1
    parsed = build_parser().parse_args(command[0].split())
    assert ROOT / parsed.config == recipe_file


def test_the_settings_that_its_comments_propose_hold(recipe_file: Path) -> None:
    found = re.findall(r"--set (\w+=\w+(?:\.\d+)?)", recipe_file.read_text(encoding="utf-8"))
    task, _ = read(recipe_file)
    sets = [word for setting in found for word in ("--set", setting)]
    _, changed = recipe_from(options(recipe_file, task.value, *sets))
    assert changed.articles_per_step == read(recipe_file)[1].articles_per_step


@pytest.mark.parametrize("task", BASES)
def test_four_gpus_make_the_same_steps_as_one(task: Task) -> None:
    (_, one), (_, four) = (read(ROOT / "recipes" / f"{task.value}-{gpus}gpu.toml") for gpus in (1, 4))
    assert (one.workers, one.strategy) == (0, "single")
    assert four.workers == 4
    assert four.strategy in ("ddp", "fsdp")
    assert one.articles_per_step == four.articles_per_step
    shared = {"strategy", "workers", "per_device_train_batch_size", "gradient_accumulation_steps"}
    assert {field.name for field in fields(one) if getattr(one, field.name) != getattr(four, field.name)} <= shared, (
        "a run on four GPUs learns what a run on one does"
    )


def test_a_recipe_is_for_its_own_task(recipe_file: Path, written: dict[str, Any]) -> None:
    other = next(task for task in CONTRACTS if task != written["task"])
    with pytest.raises(SettingError, match=f"is a recipe for {written['task']}, not for {other.value}"):
        recipe_from(options(recipe_file, other.value))
