"""A teacher that is told what its labels mean, and that gives targets to articles without labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import load_from_disk
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from infolens.contract import Task
from tests.families import checkpoint
from tests.training.toys import LABELS, TELLING, small, toy_splits
from training.errors import DataError, SettingError
from training.loop.dataset import AugmentedArticles
from training.recipes.kinds import ClassifierRecipe
from training.tasks import classifier
from training.tasks.descriptions import description_scores, read_descriptions

LABEL_NAMES = LABELS[Task.CATEGORY]
SENTENCES = {"Travel": ["a hotel on the island", "the sea and the bridge"], "Sports": ["the team won the match"]}
FILE = 'Travel = ["a hotel on the island", "the sea and the bridge"]\nSports = ["the team won the match"]\n'
LONG = " ".join(f"The striker number {i} scored a goal for the team." for i in range(40))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT with random weights that tells the toy labels, in another order than a run has them."""
    folder = tmp_path_factory.mktemp("teacher")
    return str(checkpoint(folder, "bert", LABEL_NAMES[::-1], [*TELLING.values()], initializer_range=0.3))


@pytest.fixture
def described(tmp_path: Path) -> str:
    """A file of descriptions."""
    path = tmp_path / "descriptions.toml"
    path.write_text(FILE)
    return str(path)


def recipe_of(model: str, **changes: Any) -> ClassifierRecipe:
    """A recipe whose base and teacher are the same small BERT."""
    return small(**{"base": model, "teacher_model": model, "teacher": 0.5, "smoothing": 0.1, **changes})


def prepared(recipe: ClassifierRecipe, work: Path, more: Any = (), train: int = 16) -> Any:
    """The training table, with numpy columns."""
    splits = toy_splits(Task.CATEGORY, train=train)
    classifier.prepare(splits, Task.CATEGORY, recipe, work, more=more)
    return load_from_disk(work / "prepared" / "train").with_format("numpy")


def mean_states(folder: str, text: str) -> torch.Tensor:
    """The unit vector of a text, by transformers alone."""
    encoded = AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder).eval()(**encoded).last_hidden_state
    return torch.nn.functional.normalize(states[0].mean(0), dim=0)


def answers(folder: str, text: str) -> torch.Tensor:
    """The teacher's probabilities, by transformers alone, in the order of the run's labels."""
    encoded = AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt")
    with torch.inference_mode():
        return (
            AutoModelForSequenceClassification.from_pretrained(folder).eval()(**encoded).logits[0].softmax(-1).flip(0)
        )


def test_the_targets_of_unlabelled_articles_are_as_the_formula_says(
    teacher: str, described: str, tmp_path: Path
) -> None:
    splits = toy_splits(Task.CATEGORY, train=16)
    splits["train"] = splits["train"].drop(index=[1, 3, 5, 7]).reset_index(drop=True)  # 8 of Travel and 4 of Sports
    texts = ["The island has a hotel.", "The goal won the match."]
    vectors = {label: torch.stack([mean_states(teacher, s) for s in SENTENCES[label]]) for label in LABEL_NAMES}
    moved = {"descriptions": described, "descriptions_weight": 0.7, "unlabelled_balance": 0.6}
    tables = {}
    for name, changes in {"plain": {}, "moved": moved}.items():
        recipe = recipe_of(teacher, unlabelled_passes=1.0, **changes)
        classifier.prepare(splits, Task.CATEGORY, recipe, tmp_path / name, more=[(text, "") for text in texts])
        tables[name] = np.stack(
            load_from_disk(tmp_path / name / "prepared" / "train").with_format("numpy")["labels"][:]
        )
    np.testing.assert_array_equal(tables["plain"][:12], tables["moved"][:12])  # those of labelled ones stay
    hard = np.where(np.array(LABEL_NAMES) == splits["train"]["label"][0], 0.95, 0.05)
    wanted = 0.5 * hard + 0.5 * answers(teacher, splits["train"]["text"][0]).numpy()
    np.testing.assert_allclose(tables["moved"][0], wanted, atol=1e-5)
    for text in texts:
        cosines = [vectors[label] @ mean_states(teacher, text) for label in LABEL_NAMES]
        score = torch.stack([torch.logsumexp(20 * c, 0) - np.log(len(c)) for c in cosines])
        logs = answers(teacher, text).log() - 0.6 * torch.tensor([8 / 12, 4 / 12]).log() + 0.7 * score
        assert np.abs(tables["moved"][12:] - logs.softmax(-1).numpy()).max(1).min() < 1e-4
        assert np.abs(tables["plain"][12:] - answers(teacher, text).numpy()).max(1).min() < 1e-5


def test_a_long_article_is_as_like_a_description_as_its_windows_are(teacher: str) -> None:
    recipe = recipe_of(teacher, teacher_tokens=1024)
    parts, whole = ("The hotel has a view of the sea.", "The team won the match."), LONG + " The hotel has a view."
    scores = description_scores([*parts, whole, LONG], SENTENCES, teacher, recipe)
    assert scores.shape == (4, 2)
    assert np.isfinite(scores).all()
    assert not np.allclose(scores[2], scores[3], atol=1e-4)  # its end is read too
    short = description_scores([whole, LONG], SENTENCES, teacher, recipe_of(teacher, teacher_tokens=32))
    np.testing.assert_allclose(short[0], short[1], atol=1e-5)
    half = description_scores([whole], SENTENCES, teacher, recipe_of(teacher, teacher_tokens=1024, precision="bf16"))
    np.testing.assert_allclose(half[0], scores[2], atol=0.3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('Travel = ["a sea"]', r"descriptions .*: says nothing of Sports; each label needs sentences"),
        (FILE + 'Food = ["bread"]', r"describes Food; the labels of this run are Travel, Sports: take out"),
        (FILE.replace('["the team won the match"]', "[]"), r"'Sports' is a list of one or more sentences.*, not \[\]"),
        (FILE.replace('["the team won the match"]', '"team"'), r"'Sports' is a list of .*, not 'team'"),
        (FILE.replace("the team won the match", " "), r"'Sports' is a list of .*, not \[' '\]"),
        ("Travel", r"is not TOML"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=message):
        read_descriptions(path, LABEL_NAMES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unlabelled_passes": 1.0}, r"unlabelled_passes=1: .* name one with teacher_model, or leave"),
        ({"descriptions": "d.toml"}, r"descriptions changes .* unlabelled_passes=0 trains on none: set that above 0"),
        ({"unlabelled_balance": 0.5}, r"unlabelled_balance changes .* or leave unlabelled_balance out"),
        (
            {"descriptions": "d.toml", "unlabelled_passes": 1.0, "teacher_model": "x"},
            r"which a starter has not before it is trained: name one with descriptions_model",
        ),
    ],
)
def test_what_is_made_of_unlabelled_articles_needs_a_teacher(changes: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=message):
        classifier.prepare(toy_splits(Task.CATEGORY), Task.CATEGORY, small(**changes), tmp_path)


def test_unlabelled_articles_are_trained_on_with_the_teachers_answers(teacher: str, tmp_path: Path) -> None:
    splits = toy_splits(Task.CATEGORY, train=16)
    seen = [(splits[split]["text"][0].upper(), "") for split in ("train", "validation", "test", "out_of_domain")]
    fresh = [("The island has a hotel.", "Sea"), ("The goal won the match.", "")]
    work = tmp_path / "work"
    table = prepared(recipe_of(teacher, unlabelled_passes=1.0), work, [*seen, *fresh, fresh[0]])
    assert len(table) == 16 + 2
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    expected = {}
    for text in ("Sea\nThe island has a hotel.", "The goal won the match."):
        expected[tuple(tokenizer(text, add_special_tokens=False).input_ids)] = answers(teacher, text).numpy()
    for row in (16, 17):
        target = expected.pop(tuple(table["input_ids"][row].tolist()))
        np.testing.assert_allclose(table["labels"][row], target, atol=1e-5)
        assert table["class"][row] == target.argmax()
        assert table["length"][row] == len(table["input_ids"][row])
    assert len(load_from_disk(work / "prepared" / "validation")) == len(splits["validation"])
    without = prepared(recipe_of(teacher), tmp_path / "without", [*seen, *fresh])
    assert len(without) == 16
    np.testing.assert_allclose(np.stack(table["labels"][:16]), np.stack(without["labels"][:]), atol=1e-6)
    labels_only = prepared(recipe_of(teacher, unlabelled_passes=1.0, teacher=0.0), tmp_path / "hard", fresh)
    assert sorted({round(float(value), 3) for row in labels_only["labels"][:16] for value in row}) == [0.05, 0.95]
    assert sorted(labels_only["labels"][16:].tolist()) == sorted(table["labels"][16:].tolist())
    with pytest.raises(DataError, match=r"no article without a label that the labelled data has not too"):
        prepared(recipe_of(teacher, unlabelled_passes=1.0), work, seen)


def test_a_share_of_the_unlabelled_articles_is_the_same_for_the_same_seed(teacher: str, tmp_path: Path) -> None:
    more = [(f"The hotel has a view of the {'sea ' * i}.", "") for i in range(10)]

    def rows(name: str, **changes: Any) -> list[tuple[int, ...]]:
        table = prepared(recipe_of(teacher, **changes), tmp_path / name, more)
        return [tuple(ids.tolist()) for ids in table["input_ids"][16:]]

    half = rows("a", unlabelled_passes=0.5)
    assert len(set(half)) == 5
    assert rows("b", unlabelled_passes=0.5) == half
    assert set(rows("c", unlabelled_passes=0.5, seed=1)) != set(half)
    often = rows("d", unlabelled_passes=2.5)
    assert sorted(often.count(one) for one in set(often)) == [2] * 5 + [3] * 5


def test_what_the_teacher_answered_is_kept_until_the_run_ends(
    teacher: str, described: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [("The hotel has a view.", "")]
    recipe = recipe_of(teacher, unlabelled_passes=1.0, descriptions=described)
    table = prepared(recipe, tmp_path, more)
    monkeypatch.setattr("training.tasks.teacher.predict_texts", None)
    monkeypatch.setattr("training.tasks.teacher.description_scores", None)
    again_recipe = recipe_of(teacher, unlabelled_passes=1.0, descriptions=described, keep_layers=1)
    again = prepared(again_recipe, tmp_path, more)
    np.testing.assert_array_equal(np.stack(table["labels"][:]), np.stack(again["labels"][:]))
    Path(described).write_text(FILE.replace("island", "bridge"))
    with pytest.raises(TypeError, match="NoneType"):  # other sentences are compared anew
        prepared(again_recipe, tmp_path, more)


def test_a_teacher_reads_a_long_article_to_its_end_in_windows(teacher: str, tmp_path: Path) -> None:
    more = [(f"{LONG} {end}", "") for end in ("The hotel has a view of the sea.", "The team won.")]

    def targets(name: str, tokens: int) -> Any:
        table = prepared(recipe_of(teacher, unlabelled_passes=1.0, teacher_tokens=tokens), tmp_path / name, more)
        return table["labels"][16:]

    whole, beginning = targets("whole", 1024), targets("beginning", 64)
    assert np.abs(whole[0] - whole[1]).max() > 1e-5
    np.testing.assert_allclose(beginning[0], beginning[1], atol=1e-6)


def test_each_pass_sees_another_part_of_a_long_article(teacher: str, tmp_path: Path) -> None:
    table = prepared(recipe_of(teacher, unlabelled_passes=1.0, teacher_tokens=64), tmp_path, [(LONG, "A title")])
    articles = AugmentedArticles(table, recipe_of(teacher), room=20)
    parts = set()
    for epoch in range(12):
        articles.set_epoch(epoch)
        parts.add(tuple(articles[16]["input_ids"].tolist()))
    assert all(len(part) == 20 for part in parts)
    assert len(parts) >= 4


def test_weights_of_labelled_articles_stay_beside_unlabelled_ones(teacher: str, tmp_path: Path) -> None:
    splits = toy_splits(Task.CATEGORY, train=16)
    splits["train"]["weight"] = [3.0, *[1.0] * 15]
    recipe = recipe_of(teacher, unlabelled_passes=1.0)
    classifier.prepare(splits, Task.CATEGORY, recipe, tmp_path, more=[("The hotel has a view.", "")])
    weights = pd.Series(load_from_disk(tmp_path / "prepared" / "train")["weight"])
    assert len(weights) == 17
    assert weights[0] == pytest.approx(3 * weights[1])
    assert weights[16] == 1  # as much as a labelled one on average
    assert weights.mean() == pytest.approx(1)
