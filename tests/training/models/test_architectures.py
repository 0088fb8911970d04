"""Any family is a base: real kinds of checkpoints load, train, take adapters, lose layers and are shared out."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BartConfig, BartForConditionalGeneration

from infolens.contract import AnswerKind, Task
from tests import families
from tests.training.toys import LABELS, TELLING, small, toy_splits
from training.errors import BaseModelError, SettingError
from training.loop.batches import collate, encode
from training.loop.sharding import shard
from training.metrics.losses import soft_cross_entropy
from training.models import architectures as package
from training.models.adapters import add_adapters, merge_adapters
from training.models.architectures import (
    architecture_of,
    architectures,
    labels_of,
    load_base,
    lookup,
    name_labels,
    register,
)
from training.runs.fitting import Data, fit

FOUR = ("Travel", "Sports", "Weather", "Local")
TEXTS = [*TELLING.values()]


def _model(model_type: str, labels: tuple[str, ...] = FOUR) -> tuple[Any, Any]:
    """A small model of any architecture and its tokenizer, with random weights."""
    if model_type in families.FAMILIES:
        return families.FAMILIES[model_type](labels, TEXTS)
    starter = architecture_of(model_type).starter
    assert starter is not None
    tokenizer = starter.train_tokenizer(TEXTS * 20, vocabulary=150, max_length=64)
    torch.manual_seed(0)
    model = starter.build(tokenizer, layers=2, width=32, heads=2, dropout=0.1, max_length=64, labels=len(labels))
    name_labels(model, labels)
    return model, tokenizer


def _bart() -> Any:
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=40, d_model=16, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=16,
        )
    )  # fmt: skip


CLASSIFIERS = sorted(r.model_type for r in architectures().values() if r.answers is AnswerKind.LABELS)
SMALL = {"teacher": 0.0, "num_train_epochs": 1.0, "max_steps": 2, "per_device_train_batch_size": 4, "average": 0.0}


def test_there_are_records_for_the_families_of_news_checkpoints() -> None:
    assert set(architectures()) >= {"bart", "bert", "deberta-v2", "distilbert", "roberta", "xlnet"}
    with pytest.raises(
        BaseModelError, match=r"no architecture 'gpt2' in training; there are: bart, bert, deberta-v2, "
    ):
        architecture_of("gpt2")
    with pytest.raises(ValueError, match=r"'bert' has a record already"):
        register(architecture_of("bert"))


@pytest.mark.parametrize("model_type", sorted(architectures()))
def test_what_a_record_names_is_there(model_type: str) -> None:
    record = architecture_of(model_type)
    model = _bart() if model_type == "bart" else _model(model_type)[0]
    modules = dict(model.named_modules())
    assert type(model).__name__ == record.model_class
    for place, field in record.layer_lists.items():
        assert len(modules[place]) == getattr(model.config, field)
        assert {type(layer).__name__ for layer in modules[place]} <= record.layer_classes
    assert {type(m).__name__ for m in modules.values()} >= record.layer_classes
    assert set(record.head) <= set(modules)
    outside = [n for n, _ in model.named_parameters() if not n.startswith(f"{model.base_model_prefix}.")]
    assert [n for n in outside if not n.startswith(tuple(f"{place}." for place in record.head))] == []
    for target in record.lora_targets:
        found = [m for name, m in modules.items() if name.endswith(f".{target}")]
        assert found, target
        assert all(isinstance(m, nn.Linear) for m in found)
    assert set(record.never_trained) <= {name for name, _ in model.named_parameters()}
    known = type(model.config)().to_dict() | {"cls_dropout": None}  # an optional field of DeBERTa's
    assert set(record.dropout_fields) <= set(known)


@pytest.mark.parametrize("model_type", CLASSIFIERS)
def test_a_base_is_a_model_that_trains_whole(model_type: str, tmp_path: Path) -> None:
    """Its logits depend on every parameter that has a gradient: distributed training waits for each of them."""
    model, tokenizer = _model(model_type)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, tokenizer = package.load_prepared(Task.CATEGORY, tmp_path)
    assert labels_of(model) == FOUR
    batch = collate(tokenizer, encode(tokenizer, TEXTS), types=architecture_of(model_type).token_types)
    logits = model(**batch).logits
    assert logits.shape == (4, 4)
    soft_cross_entropy(type("Outputs", (), {"logits": logits}), torch.eye(4)).backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    with torch.no_grad():
        package.last_layer_of(model).bias[1] += 2.0
        shift = model(**batch).logits - logits
    torch.testing.assert_close(shift, torch.tensor([[0.0, 2.0, 0.0, 0.0]]).expand(4, 4), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("model_type", [*CLASSIFIERS, "bart"])
def test_adapters_train_the_head_and_are_folded_in(model_type: str) -> None:
    model = _bart() if model_type == "bart" else _model(model_type)[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adapted = add_adapters(model, small(lora_rank=2))
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert any("lora_A" in name for name in trained)
    head = {name for name in trained if "lora_" not in name}
    wanted = [f"{place}." for place in architecture_of(model_type).head]
    assert all(any(part.rstrip(".") in name for name in head) for part in wanted)
    assert all(any(part.rstrip(".") in name for part in wanted) for name in head)
    assert merge_adapters(adapted).state_dict().keys() == before.keys()


@pytest.fixture
def alone() -> Iterator[None]:
    """A process group of this process alone."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("model_type", [*CLASSIFIERS, "bart"])
def test_every_layer_is_a_shard_of_its_own(model_type: str) -> None:
    from torch.distributed.fsdp import FSDPModule

    model = _bart() if model_type == "bart" else _model(model_type)[0]
    lists = architecture_of(model_type).layer_lists
    layers = {f"{place}.{number}" for place in lists for number in range(len(model.get_submodule(place)))}
    shard(model)
    assert {name for name, module in model.named_modules() if isinstance(module, FSDPModule)} == {"", *layers}


@pytest.mark.parametrize(
    ("model_type", "task", "changes"),
    [
        ("roberta", Task.CATEGORY, {}),
        ("roberta", Task.VERACITY, {"lora": True}),
        ("bert", Task.CATEGORY, {"keep_layers": 1}),
        ("bert", Task.VERACITY, {"balance": True}),
        ("deberta-v2", Task.CATEGORY, {"lora": True, "keep_layers": 1}),
        ("deberta-v2", Task.VERACITY, {"balance": True, "gradient_checkpointing": True}),
        ("distilbert", Task.VERACITY, {}),
        ("xlnet", Task.CATEGORY, {}),
    ],
)
def test_a_base_of_any_family_trains_for_any_task(
    model_type: str, task: Task, changes: dict[str, Any], tmp_path: Path
) -> None:
    model, tokenizer = _model(model_type, ("LABEL_0", "LABEL_1", "LABEL_2"))
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    recipe = small(base=str(tmp_path / "base"), **SMALL | changes)
    metrics = fit(task, recipe, tmp_path / "out", data=Data(splits=toy_splits(task, train=32)))
    assert metrics["architecture"] == model_type
    assert set(metrics["test"]["per_class"]) == set(LABELS[task])
    after = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert type(after).__name__ == architecture_of(model_type).model_class
    assert labels_of(after) == LABELS[task]
    assert after.config.problem_type == "single_label_classification"
    assert len(after.get_submodule(next(iter(architecture_of(model_type).layer_lists)))) == changes.get(
        "keep_layers", 2
    )
    ids = {str(path): AutoTokenizer.from_pretrained(path)(TEXTS)["input_ids"] for path in tmp_path.iterdir()}
    assert len(set(map(str, ids.values()))) == 1
    before = model.state_dict()
    same_shape = {n: t for n, t in after.state_dict().items() if n in before and t.shape == before[n].shape}
    assert any(not torch.equal(tensor, before[name]) for name, tensor in same_shape.items()), "nothing was learned"


def test_a_head_for_the_same_labels_is_kept_in_our_order(tmp_path: Path) -> None:
    base = families.checkpoint(tmp_path, "roberta", ("fake", "real"), TEXTS, problem_type="multi_label_classification")
    old = AutoModelForSequenceClassification.from_pretrained(base)
    model, tokenizer = load_base(Task.VERACITY, str(base), labels=("real", "fake"), dropout=0.0)
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(**inputs).logits, old.eval()(**inputs).logits.flip(1))
    assert labels_of(model) == ("real", "fake")
    assert model.config.problem_type == "single_label_classification"


def test_what_a_base_cannot_do_is_said(tmp_path: Path) -> None:
    bert = str(families.checkpoint(tmp_path / "bert", "bert", ("LABEL_0", "LABEL_1"), TEXTS))
    roberta = str(families.checkpoint(tmp_path / "roberta", "roberta", ("LABEL_0", "LABEL_1"), TEXTS))
    wanted: dict[str, Any] = {"labels": ("a", "b"), "dropout": 0.1}
    with pytest.raises(
        SettingError, match=r"convert_to: a roberta such as .* can become nothing else, not 'distilbert'"
    ):
        load_base(Task.CATEGORY, roberta, **wanted, convert_to="distilbert")
    with pytest.raises(SettingError, match=r"convert_to: a bert such as .* can become distilbert or xlnet, not 'bart'"):
        load_base(Task.CATEGORY, bert, **wanted, convert_to="bart")
    with pytest.raises(SettingError, match=r"keep_layers is at most 2 for .*bert, not 3"):
        load_base(Task.CATEGORY, bert, **wanted, keep_layers=3)
    data = Data(splits=toy_splits(Task.CATEGORY, train=8))
    for base in (bert, roberta):  # RoBERTa has 66 positions, of which the first two are for padding
        with pytest.raises(SettingError, match=r"train_tokens is at most 64 for .*, not 65"):
            fit(Task.CATEGORY, small(base=base, train_tokens=65, **SMALL), tmp_path / "out", data=data)
    config = json.loads((tmp_path / "bert" / "config.json").read_text())
    (tmp_path / "bert" / "config.json").write_text(json.dumps(config | {"position_embedding_type": "relative_key"}))
    with pytest.raises(BaseModelError, match=r"its position_embedding_type is relative_key, which transformers has no"):
        load_base(Task.CATEGORY, bert, **wanted)
    (tmp_path / "bert" / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(
        BaseModelError, match=r"its architecture is gpt2; for category give a checkpoint of type distilb"
    ):
        load_base(Task.CATEGORY, bert, **wanted)


ELECTRA = """
from infolens.contract import AnswerKind
from training.models.architectures.record import Architecture

ARCHITECTURE = Architecture(
    model_type="electra",
    answers=AnswerKind.LABELS,
    model_class="ElectraForSequenceClassification",
    example="google/electra-small-discriminator",
    head=("classifier",),
    last_layer="classifier.out_proj",
    layer_lists={"electra.encoder.layer": "num_hidden_layers"},
    layer_classes=frozenset({"ElectraLayer"}),
    lora_targets=("query", "key", "value"),
    dropout_fields=("hidden_dropout_prob", "classifier_dropout"),
)
"""


@pytest.fixture
def with_electra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more file in the folder of architectures."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "electra.py").write_text(ELECTRA)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    lookup._of_this_folder.cache_clear()
    importlib.invalidate_caches()
    yield
    monkeypatch.undo()
    lookup._of_this_folder.cache_clear()


@pytest.mark.usefixtures("with_electra")
def test_a_new_architecture_is_one_new_file(tmp_path: Path) -> None:
    from transformers import ElectraConfig, ElectraForSequenceClassification

    _, tokenizer = families.bert(("LABEL_0", "LABEL_1"), TEXTS)
    shape = ElectraConfig(
        vocab_size=len(tokenizer), embedding_size=16, hidden_size=32, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    ElectraForSequenceClassification(shape).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    recipe = small(base=str(tmp_path / "base"), lora=True, keep_layers=2, balance=True, **SMALL)
    data = Data(splits=toy_splits(Task.VERACITY, train=32))
    assert fit(Task.VERACITY, recipe, tmp_path / "out", data=data)["architecture"] == "electra"
    after = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert (after.config.num_hidden_layers, labels_of(after)) == (2, ("real", "fake"))
