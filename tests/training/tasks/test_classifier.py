import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertModel

from infolens.contract import Task
from tests.training.toys import LABELS, TELLING, small, toy_splits
from training.errors import BaseModelError, SettingError, TrainingError
from training.loop.batches import collate, crop, drop_tokens, joined, length_sorted
from training.models.architectures import load_base
from training.models.tokenization import train_unigram, train_wordpiece
from training.runs.fitting import Data, fit
from training.tasks.classifier import smooth_targets


@pytest.fixture(scope="module")
def starters(tmp_path_factory: pytest.TempPathFactory) -> dict[Task, Path]:
    """A starter of each task, trained on articles that are easy to tell apart."""
    folder = tmp_path_factory.mktemp("starters")
    for task in LABELS:
        data = Data(splits=toy_splits(task, train=160), more=(("More text of the town.", ""),))
        fit(task, small(balance=task is Task.VERACITY), folder / task.value, data=data)
    assert {path.name for path in folder.iterdir()} == {task.value for task in LABELS}  # no work folder is left
    return {task: folder / task.value for task in LABELS}


@pytest.fixture
def base(starters: dict[Task, Path]) -> str:
    """A trained checkpoint for categories."""
    return str(starters[Task.CATEGORY])


@pytest.mark.parametrize(("task", "kind"), [(Task.CATEGORY, "distilbert"), (Task.VERACITY, "xlnet")])
def test_a_starter_learns_a_separable_problem(starters: dict[Task, Path], task: Task, kind: str) -> None:
    out = starters[task]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.9
    assert metrics["out_of_domain"]["accuracy"] >= 0.9
    assert metrics["baseline"]["test"]["accuracy"] >= 0.9
    assert metrics["test"]["per_source"]["toy"]["articles"] == 32
    assert metrics["max_tokens"] == 32
    assert {path.name for path in (out / "plots").iterdir()} == {
        "overview.png", "loss.png", "confusion.png", "calibration.png",
    }  # fmt: skip

    model = AutoModelForSequenceClassification.from_pretrained(out).eval()
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert model.config.model_type == kind
    assert dict(model.config.id2label) == dict(enumerate(LABELS[task]))
    assert model.config.label2id == {label: i for i, label in enumerate(LABELS[task])}
    assert model.config.problem_type == "single_label_classification"
    assert metrics["architecture"] == kind
    assert tokenizer.model_max_length == 32
    label = LABELS[task][1]
    encoded = tokenizer(TELLING[label], return_tensors="pt")
    assert model.config.id2label[int(model(**encoded).logits.argmax())] == label


def test_a_checkpoint_is_a_base_and_a_teacher_and_the_same_seed_gives_the_same_model(base: str, tmp_path: Path) -> None:
    data = Data(splits=toy_splits(Task.CATEGORY, train=64))
    recipe = small(
        base=base, teacher=0.5, teacher_model=base, token_dropout=0.1, join=0.2, dropout=0.1, num_train_epochs=2.0
    )
    runs = [fit(Task.CATEGORY, recipe, tmp_path / name, data=data)["test"] for name in ("two", "three")]
    assert runs[0]["accuracy"] >= 0.9
    assert runs[0]["log_loss"] == runs[1]["log_loss"]


def test_a_base_that_does_not_fit_is_refused(base: str, tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=r"was trained to tell Travel, Sports; this run's labels are real, fake"):
        load_base(Task.VERACITY, base, labels=("real", "fake"), dropout=0.1)
    with pytest.raises(BaseModelError, match=r"its architecture is distilbert; for summary give .* of type bart, such"):
        load_base(Task.SUMMARY, base, dropout=0.1)
    with pytest.raises(TrainingError, match=r"is there already; name another folder with --out"):
        fit(Task.CATEGORY, small(), Path(base), data=Data(splits={}))
    with pytest.raises(SettingError, match=r"keep_layers is at most 1 for .*, not 2"):
        load_base(Task.CATEGORY, base, labels=("Travel", "Sports"), dropout=0.1, keep_layers=2)
    other = tmp_path / "other"
    shutil.copytree(base, other)
    config = json.loads((other / "config.json").read_text())
    config["id2label"], config["label2id"] = {"0": "good", "1": "bad"}, {"good": 0, "bad": 1}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(BaseModelError, match=r"was trained to tell good, bad; this run's labels are real, fake"):
        load_base(Task.VERACITY, str(other), labels=("real", "fake"), dropout=0.1)
    data = Data(splits=toy_splits(Task.CATEGORY, train=64))
    with pytest.raises(BaseModelError, match=r"its labels are good, bad; those of this run are Travel, Sports"):
        fit(Task.CATEGORY, small(teacher_model=str(other)), tmp_path / "out", data=data)


def test_a_bert_becomes_a_distilbert_that_computes_the_same(tmp_path: Path) -> None:
    tokenizer = train_wordpiece([*TELLING.values()] * 20, vocabulary=200, max_length=32)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=40, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    bert = BertModel(shape).eval()
    bert.save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    wanted: dict[str, Any] = {"labels": ("a", "b", "c"), "dropout": 0.1, "convert_to": "distilbert"}
    model, loaded = load_base(Task.CATEGORY, str(tmp_path / "bert"), **wanted)
    assert model.classifier.out_features == 3
    inputs = loaded([*TELLING.values()], padding=True, return_tensors="pt")
    kept = inputs["attention_mask"].bool()
    with torch.inference_mode():
        ours = model.eval().distilbert(inputs["input_ids"], inputs["attention_mask"]).last_hidden_state[kept]
        theirs = bert(inputs["input_ids"], inputs["attention_mask"]).last_hidden_state[kept]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    short, _ = load_base(Task.CATEGORY, str(tmp_path / "bert"), **wanted, keep_layers=2)
    assert short.config.n_layers == 2
    assert torch.equal(
        short.distilbert.transformer.layer[1].ffn.lin1.weight, model.distilbert.transformer.layer[2].ffn.lin1.weight
    )


def test_adapters_are_merged_into_a_plain_checkpoint(base: str, tmp_path: Path) -> None:
    data = Data(splits=toy_splits(Task.CATEGORY, train=64))
    before = AutoModelForSequenceClassification.from_pretrained(base).state_dict()
    for average in (0.0, 0.9):
        out = tmp_path / f"lora{average}"
        recipe = small(base=base, lora=True, average=average, num_train_epochs=2.0, teacher=0.0)
        metrics = fit(Task.CATEGORY, recipe, out, data=data)
        after = AutoModelForSequenceClassification.from_pretrained(out).state_dict()
        assert before.keys() == after.keys()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert "distilbert.transformer.layer.0.attention.q_lin.weight" in changed
        assert "distilbert.embeddings.word_embeddings.weight" not in changed
        assert metrics["test"]["accuracy"] >= 0.9


def test_balance_is_for_two_labels(tmp_path: Path) -> None:
    splits = toy_splits(Task.CATEGORY)
    splits["train"].loc[0:2, "label"] = "Politics"
    with pytest.raises(SettingError, match=r"between two labels; there are 3: leave it out"):
        fit(Task.CATEGORY, small(balance=True), tmp_path / "out", data=Data(splits=splits))


def test_what_a_machine_cannot_do_is_said(tmp_path: Path) -> None:
    data = Data(splits=toy_splits(Task.VERACITY))
    if not torch.cuda.is_available():
        with pytest.raises(SettingError, match=r"precision=fp16 needs a GPU, and this machine has none"):
            fit(Task.VERACITY, small(precision="fp16", teacher=0.0), tmp_path / "out", data=data)
    with pytest.raises(SettingError, match=r"transformers has none for xlnet; use a smaller"):
        fit(Task.VERACITY, small(gradient_checkpointing=True, teacher=0.0), tmp_path / "out", data=data)


def test_a_base_that_is_not_there(tmp_path: Path) -> None:
    message = r"for category give a checkpoint of type distilbert, bert, .* or xlnet, such as distilbert-base-uncased"
    with pytest.raises(BaseModelError, match=message):
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


def test_batches_hold_every_index_once_and_the_short_one_comes_last() -> None:
    lengths = [5, 1, 9, 3, 7, 2, 8]
    for rng in (None, np.random.default_rng(0)):
        batches = list(length_sorted(lengths, batch=3, rng=rng))
        assert sorted(int(i) for batch in batches for i in batch) == list(range(7))
        assert [len(batch) for batch in batches] == [3, 3, 1]
    assert [lengths[i] for i in next(iter(length_sorted(lengths, batch=3)))] == [1, 2, 3]


def test_xlnet_batches_are_padded_on_the_left_as_its_tokenizer_does() -> None:
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
