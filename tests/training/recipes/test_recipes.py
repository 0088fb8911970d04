"""Recipes: defaults, TOML that explains itself, and what is refused."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from infolens.contract import Task
from training.cli import main
from training.commands.options import recipe_from
from training.errors import SettingError
from training.recipes.kinds import FINE_TUNING, STARTERS, ClassifierRecipe
from training.recipes.recipe import Recipe
from training.recipes.settings import apply_settings, field_docs, parse_columns, read_toml, replace_fields, to_toml


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("recipes", [FINE_TUNING, STARTERS], ids=["tuning", "starter"])
def test_a_recipe_is_the_same_after_toml(task: Task, recipes: dict[Task, Recipe], tmp_path: Path) -> None:
    recipe = dataclasses.replace(recipes[task], hold_out=("a", "b"), learning_rate=2.5e-05, clean=False)
    file = tmp_path / "recipe.toml"
    file.write_text(to_toml(recipe, task))
    saved = read_toml(file)
    assert saved.pop("task") == task.value
    assert replace_fields(STARTERS[task], saved) == recipe


def test_every_field_is_documented_where_a_user_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    for task, recipe in FINE_TUNING.items():
        docs = field_docs(type(recipe))
        assert all(docs.values()), [name for name, text in docs.items() if not text]
        assert main(["settings", task.value, "--base", "x"]) == 0
        printed = capsys.readouterr().out
        assert tomllib.loads(printed)["base"] == "x"
        words = " ".join(printed.replace("\n# ", " ").split())
        assert all(text in words for text in docs.values())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("precision=fp8", r"precision is one of fp32, bf16, fp16, not 'fp8'"),
        ("strategy=horovod", r"strategy is one of single, ddp, fsdp, not 'horovod'"),
        ("workers=2", r"strategy single has one worker, not 2: say strategy=ddp or strategy=fsdp"),
        ("learning_rate=2", r"learning_rate lies between 0 and 1, not 2.0"),
        ("per_device_train_batch_size=0", r"per_device_train_batch_size is 1 or more, not 0"),
        ("warmup_ratio=1", r"warmup_ratio is from 0 to below 1, not 1.0"),
        ("smoothing=1.5", r"smoothing is a share from 0 to 1, not 1.5"),
        ("num_train_epochs=0", r"num_train_epochs is above 0, unless max_steps says"),
        ("optim=adam", r"optim is one of adamw_torch, adamw_torch_fused, adafactor, sgd, rmsprop, adagrad, not 'adam'"),
        ("epochs=2", r"there is no setting 'epochs'; there are: base, data, .*num_train_epochs"),
        ("workers=two", r"setting workers is of type int, not 'two'"),
    ],
)
def test_what_does_not_fit_is_refused(setting: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        apply_settings(ClassifierRecipe(), [setting])


def test_articles_per_step_counts_every_worker() -> None:
    recipe = ClassifierRecipe(strategy="ddp", workers=4, per_device_train_batch_size=8, gradient_accumulation_steps=2)
    assert recipe.articles_per_step == 64


def _options(*arguments: str) -> tuple[Task, Recipe]:
    from training.cli import build_parser

    return recipe_from(build_parser().parse_args(["fit", *arguments, "--out", "x"]))


def test_file_options_and_set_come_in_this_order(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text('task = "category"\nbase = "some/base"\ndata = "file.csv"\nseed = 1\nwarmup_steps = 5\n')
    task, recipe = _options("category", "--config", str(file), "--data", "option.csv", "--set", "seed=2")
    assert task is Task.CATEGORY
    assert (recipe.base, recipe.data, recipe.seed, recipe.warmup_steps) == ("some/base", "option.csv", 2, 5)
    assert recipe.learning_rate == FINE_TUNING[Task.CATEGORY].learning_rate
    assert _options("category", "--data", "x", "--hold-out", "a, b")[1].hold_out == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = ", r"r.toml: is not TOML"),
        ('task = "veracity"', r"r.toml: is a recipe for veracity, not for category"),
        ('seed = "x"', r"r.toml: setting seed is of type int, not 'x'"),
        ("clean = 1.5", r"r.toml: setting clean is of type bool, not 1.5"),
        ("sed = 1", r"r.toml: there is no setting 'sed'"),
        ("seed = 1", r"no data: name it with --data PATH"),
    ],
)
def test_a_recipe_file_that_does_not_fit_is_explained(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=message):
        _options("category", "--config", str(file))
    with pytest.raises(SettingError, match=r"absent.toml: cannot be read: No such file"):
        _options("category", "--config", str(tmp_path / "absent.toml"))


def test_columns() -> None:
    assert parse_columns("text=body, label=section") == {"text": "body", "label": "section"}
    assert parse_columns("") == {}
    with pytest.raises(SettingError, match=r"--columns is OURS=THEIRS,\.\.\., such as .*, not 'text'"):
        parse_columns("text")
