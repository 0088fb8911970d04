"""Labels are what the data says, or what a recipe fixes; a task that is registered at run time trains like others."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModelForSequenceClassification

from infolens.contract import CONTRACTS, Task, register_classifier
from tests import families
from tests.training.toys import TELLING, small, toy_file, toy_splits
from training.cli import main
from training.data.labels import class_ids, label_problem, label_rule, ordered_labels, run_labels
from training.data.policy import RowPolicy
from training.data.schema import schema_of
from training.data.tables import load_splits
from training.errors import BaseModelError, DataError, SettingError
from training.loop.jobs import Job
from training.metrics.baseline import out_of_fold
from training.models.architectures import labels_of, load_prepared
from training.recipes.kinds import ClassifierRecipe, default_recipe
from training.runs import registry
from training.runs.fitting import Data, fit
from training.tasks.classifier import figures_on, prepare
from training.tasks.teacher import teacher_probabilities

WORDS = {
    "Weather": "Rain and wind are expected on the coast tonight",
    "Sports": TELLING["Sports"],
    "Crime & Courts": "The judge heard the case of the stolen paintings",
    "Local": "The council voted on the budget for the harbour",
}


def _table(path: Path, labels: dict[str, Any], *, rows: int = 40) -> Path:
    """A file with ``rows`` articles, whose label is ``labels`` of what their words tell."""
    names = list(labels)
    frame = pd.DataFrame(
        {
            "text": [f"Note {i}: {WORDS.get(names[i % len(names)], TELLING['real'])}, part {i}." for i in range(rows)],
            "label": [labels[names[i % len(names)]] for i in range(rows)],
            "split": [("train", "train", "validation", "test")[i // len(names) % 4] for i in range(rows)],
        }
    )
    {".csv": frame.to_csv, ".parquet": frame.to_parquet}[path.suffix](path, index=False)
    return path


def test_four_labels_of_a_csv_are_the_models(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = _table(tmp_path / "news.csv", {name: name for name in WORDS}, rows=96)
    recipe = small(data=str(data), max_steps=3, num_train_epochs=1.0)
    out = tmp_path / "out"
    with caplog.at_level("INFO"):
        fit(Task.CATEGORY, recipe, out)
    # The starter's label first, the others by the alphabet.
    wanted = ("Sports", "Crime & Courts", "Local", "Weather")
    assert "labels: Sports 12, Crime & Courts 12, Local 12, Weather 12" in caplog.text
    assert labels_of(AutoModelForSequenceClassification.from_pretrained(out)) == wanted
    metrics = json.loads((out / "metrics.json").read_text())
    assert tuple(metrics["test"]["per_class"]) == wanted
    assert np.asarray(metrics["baseline"]["test"]["confusion"]).shape == (4, 4)
    assert (out / "plots" / "confusion.png").is_file()

    model, tokenizer = load_prepared(Task.CATEGORY, out)
    figures = figures_on(model, tokenizer, load_splits(str(data), Task.CATEGORY)["test"])
    assert figures["per_class"].keys() == set(wanted)
    strange = toy_splits(Task.CATEGORY)["test"]
    with pytest.raises(
        DataError, match=r"the data has the labels Travel, which the model was not trained to tell; it t"
    ):
        figures_on(model, tokenizer, strange)


@pytest.fixture
def sentiment() -> Iterator[Task]:
    task = register_classifier("sentiment", ensemble="feel", model="sentiment", architecture="roberta")
    yield task
    CONTRACTS.pop(task)


def test_a_task_of_ones_own_is_trained_and_measured(sentiment: Task, tmp_path: Path) -> None:
    feelings = ("glad", "angry", "neither")
    frames = toy_splits(Task.CATEGORY, train=36)
    for frame in frames.values():
        frame["label"] = [feelings[i % 3] for i in range(len(frame))]
        frame["text"] = [f"{label}: {text}" for label, text in zip(frame["label"], frame["text"], strict=True)]
    base = families.checkpoint(tmp_path / "base", "roberta", ("LABEL_0",) * 3, [*TELLING.values(), *feelings])
    recipe = default_recipe(sentiment, str(base))
    assert isinstance(recipe, ClassifierRecipe)
    recipe = small(base=str(base), max_steps=2, teacher=0.3)
    metrics = fit(sentiment, recipe, tmp_path / "out", data=Data(splits=frames))
    assert metrics["task"] == "sentiment"
    assert tuple(metrics["test"]["per_class"]) == ("angry", "glad", "neither")
    assert (tmp_path / "out" / "recipe.toml").read_text().startswith("# python -m training fit sentiment")

    assert schema_of(sentiment) == schema_of(Task.CATEGORY)
    assert registry.SCORES[CONTRACTS[sentiment].answers] == "macro_f1"
    table = tmp_path / "table.csv"
    pd.concat([frame.assign(split=name) for name, frame in frames.items() if name != "out_of_domain"]).to_csv(table)
    assert main(["data", "check", "sentiment", "--data", str(table)]) == 0
    with pytest.raises(
        BaseModelError, match=r"no starter of the architecture roberta \(distilbert, xlnet have one\): nam"
    ):
        prepare(frames, sentiment, small(), tmp_path)


def test_a_task_of_ones_own_is_known_in_other_processes(sentiment: Task) -> None:
    job = Job.of(sentiment, small(), "prepared")
    code = "import pickle, sys; job = pickle.load(sys.stdin.buffer); from infolens.contract import CONTRACTS; "
    code += "assert job.task_name not in CONTRACTS; print(repr(CONTRACTS[job.task]), job.task, job.recipe)"
    told = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(job), capture_output=True, check=True)
    assert told.stdout.decode() == f"{CONTRACTS[sentiment]!r} sentiment {small()}\n"


def test_the_order_is_the_starters_then_the_alphabets() -> None:
    assert ordered_labels(Task.VERACITY, ["fake", "satire", "real", "bias"]) == ("real", "fake", "bias", "satire")
    assert ordered_labels(Task.VERACITY, ["fake", "real"], label_rule(["fake", "real"])) == ("fake", "real")


def test_labels_may_be_written_otherwise(tmp_path: Path) -> None:
    rule = label_rule(["0=real", "1=fake", "pants-fire=fake"])
    assert rule.names == ("real", "fake")
    values = (0, "0", 1.0, np.int64(1), " pants-fire ", "fake", 2, None, float("nan"))
    assert [rule.read(value) for value in values] == [
        "real", "real", "fake", "fake", "fake", "fake", None, None, None,
    ]  # fmt: skip
    truth = label_rule(["true=real", "false=fake"])
    assert [truth.read(value) for value in (True, np.bool_(False), "TRUE", "False")] == ["real", "fake", "real", "fake"]
    assert label_rule([]).read(["a", "b"]) is None
    for entries, message in (
        (["real"], r"labels are two or more, not 'real' alone"),
        (["0=real", "0=fake"], r"labels name '0' twice"),
        (["=real", "fake"], r"labels are names, or THEIRS=NAME as in 0=real,1=fake, not '=real'"),
    ):
        with pytest.raises(SettingError, match=message):
            label_rule(entries)
        with pytest.raises(SettingError, match=message):
            small(labels=tuple(entries))


@pytest.mark.parametrize(
    ("ending", "values", "said"),
    [
        (
            ".csv",
            (0, 1),
            r"the labels are 0, 1; labels are names \(veracity usually has real, fake\). .* --labels 0=real,1=",
        ),
        (".parquet", (0, 1), r"the labels are 0, 1; .* or take them as they are with --labels 0,1"),
        # All cells of a CSV are texts.
        (".csv", (True, False), r"the labels are False, True; .* --labels False=real,True=fake"),
        (".parquet", (True, False), r"the labels are false, true; "),
    ],
)
def test_numbers_and_booleans_are_no_names(
    ending: str, values: tuple[Any, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _table(tmp_path / f"t{ending}", dict(zip(("Local", "Weather"), values, strict=True)))
    fit_it = ["fit", "veracity", "--data", str(data), "--tracking-uri", "none", "--out", str(tmp_path / "out")]
    assert main(fit_it) == 2
    assert re.search(said, capsys.readouterr().err)
    assert main(["data", "check", "veracity", "--data", str(data)]) == 1
    assert re.search(f"! training refuses them: {said}", capsys.readouterr().out)
    out = tmp_path / "clean.parquet"
    first, second = (str(value).lower() for value in values)
    prepare_it = ["data", "prepare", "veracity", "--data", str(data), "--out", str(out), "--keep-near-duplicates"]
    assert main(prepare_it) == 2
    assert "the labels are" in capsys.readouterr().err
    assert main([*prepare_it, "--labels", f"{first}=real,{second}=fake"]) == 0
    assert set(load_splits(str(out), Task.VERACITY)["train"]["label"]) == {"real", "fake"}
    taken = load_splits(str(data), Task.VERACITY, RowPolicy(labels=(first, second)))
    assert run_labels(taken, Task.VERACITY, (first, second), source="") == (first, second)


def test_what_cannot_be_learned_is_refused_before_training(tmp_path: Path) -> None:
    splits = toy_splits(Task.CATEGORY, train=32)
    for frame in splits.values():
        frame["label"] = "Travel"
    with pytest.raises(DataError, match=r"there is no label but Travel, and a classifier tells at least two: give"):
        fit(Task.CATEGORY, small(), tmp_path / "out", data=Data(splits=splits))
    splits["test"].loc[0:2, "label"] = "Sports"
    splits["train"].loc[0, "label"] = "Local"
    with pytest.raises(
        DataError, match=r"no article of the training split has the label 'Sports' \(3 test\): give such "
    ):
        fit(Task.CATEGORY, small(), tmp_path / "out", data=Data(splits=splits))
    with pytest.raises(
        DataError,
        match=r"has the label 'Sports' \(3 test\); 'Money' \(nowhere\): give such articles, or leave it out of --la",
    ):
        run_labels(splits, Task.CATEGORY, ("Travel", "Local", "Sports", "Money"), source="x")
    assert label_problem(Task.CATEGORY, {"train": Counter(Travel=1, Local=1)}) == ""


def test_fixed_labels_refuse_others_and_name_the_near_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = toy_file(Task.CATEGORY, tmp_path / "data.csv", train=64)
    text = data.read_text().replace(",Sports,", ",Sprots,", 1)
    data.write_text(text)
    arguments = ["fit", "category", "--data", str(data), "--tracking-uri", "none", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--labels", "Travel,Sports"]) == 2
    assert "'Sprots' is not one of: Travel, Sports (is 'Sports' meant?)" in capsys.readouterr().err
    policy = RowPolicy(labels=("Travel", "Sports", "Sprots=Sports"))
    assert load_splits(str(data), Task.CATEGORY, policy)["train"].shape[0] == 64


def test_class_ids_need_known_labels() -> None:
    assert class_ids(("b", "a"), pd.DataFrame({"label": ["a", "b"]})) == [1, 0]
    with pytest.raises(
        DataError, match=r"the data has the labels c, which the model was not trained to tell; it tells b, "
    ):
        class_ids(("b", "a"), pd.DataFrame({"label": ["a", "c"]}))


def test_a_teachers_labels_are_mapped_by_name(tmp_path: Path) -> None:
    texts = [*TELLING.values()]
    folder = families.checkpoint(tmp_path / "t", "bert", ("c", "a", "b"), texts)
    recipe = small(teacher=0.5, teacher_model=str(folder))
    ids = np.zeros(len(texts), dtype=np.int64)
    found = teacher_probabilities(texts, ids, ("a", "b", "c"), recipe, tmp_path)
    same = teacher_probabilities(texts, ids, ("c", "a", "b"), recipe, tmp_path)
    assert found is not None
    assert same is not None
    np.testing.assert_array_equal(found, same[:, [1, 2, 0]])
    assert not np.allclose(found[:, 0], found[:, 1])
    with pytest.raises(
        BaseModelError, match=r"its labels are c, a, b; those of this run are a, b: a teacher tells the"
    ):
        teacher_probabilities(texts, ids, ("a", "b"), recipe, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    with pytest.raises(
        BaseModelError, match=r"its problem_type is multi_label_classification; a teacher's is single_lab"
    ):
        teacher_probabilities(texts, ids, ("a", "b", "c"), recipe, tmp_path / "anew")


def test_the_baseline_teaches_rare_labels_too() -> None:
    texts = [f"{word} {i}" for i, word in enumerate(["sun"] * 6 + ["rain"] * 5 + ["fog"])]
    labels = np.asarray([0] * 6 + [1] * 5 + [2])
    found = out_of_fold(texts, labels, classes=3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    alone = out_of_fold(["sun one", "sun two", "sun three", "rain"], np.asarray([0, 0, 0, 1]), classes=2)
    assert alone[3].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("label", ["two\nlines", "x" * 201, "\ud800"])
def test_a_label_that_could_not_be_served_is_refused_before_training(label: str) -> None:
    counts = {"train": Counter({"Sports": 3, label: 3})}
    assert label_problem(Task.CATEGORY, counts).startswith("a label ")


def test_a_rare_label_that_is_nearly_another_is_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"label": ["Sports"] * 50 + ["sports", "Travel"]})
    run_labels({"train": frame}, Task.CATEGORY, (), source="news.csv")
    said = "'sports' (1) for 'Sports'. To read them as others: --labels Travel,Sports,sports=Sports"
    assert f"in case or blanks only: {said}" in caplog.text
    frame.loc[50, "label"] = "Sprots"
    run_labels({"train": frame}, Task.CATEGORY, (), source="news.csv")
    assert "the label 'Sprots' is rare: is 'Sports' meant?" in caplog.text
    assert "'Travel'" not in caplog.text


def test_a_starter_of_fewer_words_than_dimensions_trains(tmp_path: Path) -> None:
    words = {"good": "fine day", "bad": "grey day"}
    rows = [(words[label], label) for label in words for _ in range(20)]
    data = tmp_path / "moods.csv"
    pd.DataFrame(rows, columns=["text", "label"]).assign(
        text=[f"{text} {'abcdefgh'[i % 8]} {'abcdefgh'[i // 8]}" for i, (text, _) in enumerate(rows)],
        split=[("train", "train", "validation", "test")[i % 4] for i in range(len(rows))],
    ).to_csv(data, index=False)
    recipe = small(data=str(data), width=192, max_steps=1, num_train_epochs=1.0, teacher=0.0)
    assert fit(Task.CATEGORY, recipe, tmp_path / "out")["steps"] == 1
