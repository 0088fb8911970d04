import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from infolens.contract import CONTRACTS, Task
from training.architectures import load_base
from training.batches import collate, crop, drop_tokens, join_same_class, joined, length_sorted
from training.classifier import fit, smooth_targets
from training.classifier_config import ClassifierConfig
from training.errors import BaseModelError, SettingError, TrainingError

SMALL = ClassifierConfig(
    max_tokens=32, train_tokens=32, epochs=12, batch=8, learning_rate=2e-3, teacher=0.3, vocabulary=300, layers=1,
    width=32, heads=2, dropout=0.0, average=0.9, threads=1,
)  # fmt: skip
TELLING = {
    "real": "The council voted on the budget for the harbour",
    "fake": "You will not believe what this secret cure does",
    "Sports": "The striker scored a goal and the team won the match",
    "Travel": "The beach hotel on the island has a view of the sea",
}


def _toy(task: Task, labels: tuple[str, str]) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    splits = {}
    for split, count in (("train", 160), ("validation", 32), ("test", 32), ("out_of_domain", 12)):
        rows = [labels[i % 2] for i in range(count)]
        noise = rng.choice(["Today", "Yesterday", "Again", "Here", "Once more"], size=count).tolist()
        splits[split] = pd.DataFrame(
            {
                "title": ["", "A title"] * (count // 2),
                "text": [
                    f"{word} {TELLING[label]} number {i}."
                    for i, (word, label) in enumerate(zip(noise, rows, strict=True))
                ],
                "label": rows,
                "source": "toy",
            }
        )
    return splits


@pytest.mark.parametrize(
    ("task", "labels", "kind"),
    [(Task.CATEGORY, ("Sports", "Travel"), "distilbert"), (Task.VERACITY, ("real", "fake"), "xlnet")],
)
def test_a_starter_learns_a_separable_problem(tmp_path: Path, task: Task, labels: tuple[str, str], kind: str) -> None:
    out = tmp_path / "checkpoint"
    config = dataclasses.replace(SMALL, balance=task is Task.VERACITY)
    fit(_toy(task, labels), task=task, base="starter", out=out, config=config, more_text=["More text of the town."])

    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.9
    assert metrics["out_of_domain"]["accuracy"] >= 0.9
    assert metrics["baseline"]["test"]["accuracy"] >= 0.9
    assert metrics["test"]["per_source"]["toy"]["articles"] == 32
    assert metrics["max_tokens"] == 32

    model = AutoModelForSequenceClassification.from_pretrained(out).eval()
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert model.config.model_type == kind
    assert tuple(model.config.id2label[i] for i in range(model.config.num_labels)) == CONTRACTS[task].labels
    assert tokenizer.model_max_length == 32
    encoded = tokenizer(TELLING[labels[1]], return_tensors="pt")
    assert model.config.id2label[int(model(**encoded).logits.argmax())] == labels[1]
    assert not list(tmp_path.glob("*.partial"))
    assert not (out / "prepared").exists()


def test_a_checkpoint_is_a_base_and_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    splits = _toy(Task.CATEGORY, ("Sports", "Travel"))
    # A base that has learned: from one that has not, this few steps lead nowhere now and then.
    config = dataclasses.replace(SMALL, teacher=0.0)
    fit(splits, task=Task.CATEGORY, base="starter", out=tmp_path / "one", config=config)
    runs = [
        fit(splits, task=Task.CATEGORY, base=str(tmp_path / "one"), out=tmp_path / name, config=SMALL)["test"]
        for name in ("two", "three")
    ]
    assert runs[0]["accuracy"] >= 0.9
    assert runs[0]["log_loss"] == runs[1]["log_loss"]

    with pytest.raises(BaseModelError, match=r"its architecture is distilbert; for veracity give a xlnet checkpoint"):
        load_base(Task.VERACITY, str(tmp_path / "one"), dropout=0.1)
    with pytest.raises(TrainingError, match=r"is there already; name another folder with --out"):
        fit(splits, task=Task.CATEGORY, base="starter", out=tmp_path / "one", config=config)


def test_balance_is_for_two_classes(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, balance=True)
    with pytest.raises(SettingError, match=r"between two classes; category has 10: leave it out"):
        fit({}, task=Task.CATEGORY, base="starter", out=tmp_path / "out", config=config)


def test_a_base_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=r"for category give a distilbert checkpoint, such as distilbert-base"):
        load_base(Task.CATEGORY, str(tmp_path / "absent"), dropout=0.1)


def test_title_and_text_are_joined_as_the_server_joins_them() -> None:
    frame = pd.DataFrame({"title": ["Title", " "], "text": ["Text.", "Text."]})
    assert joined(frame) == ["Title\nText.", "Text."]


def test_augmentation_keeps_what_it_should() -> None:
    rng = np.random.default_rng(0)
    ids = np.arange(100, dtype=np.int32)
    windows = [crop(ids, 10, rng) for _ in range(200)]
    assert all(len(window) == 10 and (np.diff(window) == 1).all() for window in windows)
    assert 60 < sum(window[0] == 0 for window in windows) < 160
    assert len(drop_tokens(ids, 0.3, rng)) < 90
    assert drop_tokens(ids, 0.0, rng) is ids
    joined_items = join_same_class([ids[:2], ids[50:52], ids[:3]], [0, 1, 0], 1.0, rng)
    assert [item.max() < 50 for item in joined_items] == [True, False, True]
    assert [len(item) > 2 for item in joined_items] == [True, True, True]


def test_batches_hold_every_index_once() -> None:
    lengths = [5, 1, 9, 3, 7, 2, 8]
    for rng in (None, np.random.default_rng(0)):
        batches = list(length_sorted(lengths, batch=3, rng=rng))
        assert sorted(int(i) for batch in batches for i in batch) == list(range(7))
    assert [lengths[i] for i in next(iter(length_sorted(lengths, batch=3)))] == [1, 2, 3]


def test_xlnet_batches_are_padded_on_the_left_as_its_tokenizer_does(tmp_path: Path) -> None:
    from training.tokenization import train_unigram

    texts = ["The town has a river", "The river rose and the town closed its café"]
    tokenizer = train_unigram(texts * 20, vocabulary=100, max_length=64)
    backend = tokenizer.backend_tokenizer
    items = [np.asarray(backend.encode(text, add_special_tokens=False).ids, dtype=np.int32) for text in texts]
    expected = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=True)
    for name, tensor in collate(tokenizer, items, types=True).items():
        assert tensor.tolist() == expected[name].tolist(), name


def test_smoothed_targets_are_distributions() -> None:
    targets = smooth_targets(np.array([1, 0]), 2, 0.1)
    np.testing.assert_allclose(targets, [[0.05, 0.95], [0.95, 0.05]], rtol=1e-6)
