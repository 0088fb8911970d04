"""What is wrong with a checkpoint is said by ``fit --base`` before training and by ``export`` in the same words.

Each case stands for a kind; the id is that of the field report.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pandas as pd
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from export.cli import main as export
from infolens.contract import Task
from inspection.errors import Unfit
from inspection.hub import require_reached
from tests import families
from tests.field.checkpoints import ARCHITECTURES, made, one_thread, rewritten  # noqa: F401 - a fixture
from tests.training.toys import toy_file
from training.cli import main as training
from training.errors import BaseModelError
from training.loop.batches import encode
from training.models.architectures import load_base

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Moving the following attributes"),
]
LABELS = ("real", "fake")
Damage = Callable[[Path], object]


def without_tokenizer(folder: Path) -> None:
    for file in (*folder.glob("tok*"), *folder.glob("vocab*"), *folder.glob("merges*"), *folder.glob("sp*")):
        file.unlink()


def with_broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text()[:300])


def with_more_tokens(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<ticker>", "<percent>"])
    tokenizer.save_pretrained(folder)


def edited_weights(edit: Callable[[dict[str, Any], str], None]) -> Damage:
    """Damage that changes the tensors, given with the name of one in a layer."""

    def damage(folder: Path) -> None:
        file = folder / "model.safetensors"
        tensors = load_file(file)
        edit(tensors, next(name for name, tensor in tensors.items() if "layer" in name and tensor.ndim == 2))
        save_file(tensors, file, {"format": "pt"})

    return damage


def cut_off(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.truncate((folder / "model.safetensors").stat().st_size // 2)


def broken_generation(folder: Path) -> None:
    (folder / "generation_config.json").write_text("[1")


def in_config(**changes: Any) -> Damage:
    return lambda folder: rewritten(folder, "config.json", changes)


def in_generation(**changes: Any) -> Damage:
    return lambda folder: rewritten(folder, "generation_config.json", changes)


not_finite = edited_weights(lambda tensors, name: tensors[name].view(-1)[:3].fill_(float("nan")))
incomplete = edited_weights(lambda tensors, name: tensors.__delitem__(name))
of_another_size = edited_weights(lambda tensors, name: tensors.__setitem__(name, torch.zeros(5, 5)))
CASES = [
    *(pytest.param(name, without_tokenizer, "it has no tokenizer (none of", id=f"T1-{name}") for name in ARCHITECTURES),
    *(
        pytest.param(name, with_more_tokens, "tokens were added and the embe", id=f"T2-{name}")
        for name in ARCHITECTURES
    ),
    pytest.param("bert", with_broken_tokenizer, "tokenizer", id="T1-broken"),
    pytest.param("distilbert", not_finite, "its weights are not finite: ", id="E4-classifier"),
    pytest.param("bart", not_finite, "its weights are not finite: ", id="E4-writer"),
    pytest.param("roberta", incomplete, "its weights lack 1 tensors, ", id="a-tensor-is-missing"),
    pytest.param("xlnet", of_another_size, "", id="a-tensor-of-another-size"),
    pytest.param("bert", cut_off, "cut off or damaged", id="weights-cut-off"),
    pytest.param(
        "bert",
        in_config(pad_token_id=9999),
        "pad_token_id of its config.json must be a token id from 0 to",
        id="padding-beyond-the-vocabulary",
    ),
    pytest.param(
        "bert",
        in_config(hidden_size=33),
        "its config.json describes no BertForSequenceClassification",
        id="a-width-that-no-head-divides",
    ),
    pytest.param("distilbert", in_config(vocab_size="many"), "config.json", id="a-size-that-is-no-number"),
    pytest.param(
        "roberta",
        in_config(pad_token_id=None),
        "pad_token_id of its config.json must be the id of its tokenizer's padding token, 1, since positions",
        id="positions-after-no-padding",
    ),
    pytest.param(
        "bert", in_config(num_hidden_layers=0), "num_hidden_layers of its config.json must be a whole", id="no-layers"
    ),
    pytest.param("bart", in_config(tie_word_embeddings=False), "tie_word_embeddings", id="two-embeddings"),
    pytest.param(
        "bart", in_generation(num_beam_groups=2), "its generation_config.json sets num_beam_groups=2", id="E3-groups"
    ),
    pytest.param(
        "bart",
        in_generation(sequence_bias=[[[5], 1.0]]),
        "its generation_config.json sets sequence_bias=",
        id="E2-bias",
    ),
    pytest.param(
        "bart",
        in_generation(eos_token_id=[2, 9999]),
        "eos_token_id of its generation_config.json must be",
        id="E3-an-end-beyond",
    ),
    pytest.param("bart", broken_generation, "its generation_config.json cannot be used", id="E2-broken"),
]


def data_of(task: str, place: Path) -> Path:
    if task == "veracity":
        return toy_file(Task.VERACITY, place / "data.csv", train=32)
    rows = [{"article": f"The council voted on Monday. It was vote {i}.", "summary": f"Vote {i}."} for i in range(30)]
    pd.DataFrame(rows).to_csv(place / "data.csv", index=False)
    return place / "data.csv"


def said_by_fit(task: str, base: str, place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    command = ["fit", task, "--data", str(data_of(task, place)), "--base", base, "--out", str(place / "out")]
    assert training([*command, "--tracking-uri", "none"]) == 2
    assert not (place / "out").exists()
    return capsys.readouterr().err


def said_by_export(task: str, source: str, place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert export([task, "--checkpoint", source, "--repository", str(place / "models")]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(("model_type", "damage", "right"), CASES)
def test_fit_and_export_say_the_same(
    model_type: str, damage: Damage, right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = "summary" if model_type == "bart" else "veracity"
    folder = made(tmp_path, model_type, labels=LABELS)
    damage(folder)
    for said in (
        said_by_fit(task, str(folder), tmp_path, capsys),
        said_by_export(task, str(folder), tmp_path, capsys),
    ):
        assert right in said
        assert str(folder) in said or "graph cannot express" in said
        assert "Traceback" not in said
        assert "goes on from the last checkpoint" not in said


def test_a_folder_without_a_tokenizer_of_a_family_without_a_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = families.checkpoint(tmp_path / "deberta", "deberta-v2", LABELS)
    without_tokenizer(folder)
    assert "it has no tokenizer" in said_by_fit("veracity", str(folder), tmp_path, capsys)


def test_a_resized_base_is_in_step(tmp_path: Path) -> None:
    """T2: what the message says to do helps."""
    folder = made(tmp_path, "bert", labels=LABELS)
    with_more_tokens(folder)
    with pytest.raises(BaseModelError, match="not resized"):
        load_base(Task.VERACITY, str(folder), labels=LABELS, dropout=0.0)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    model, tokenizer = load_base(Task.VERACITY, str(folder), labels=LABELS, dropout=0.0)
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)


def test_a_special_token_that_no_article_becomes_needs_no_embedding(tmp_path: Path) -> None:
    """The mask of bart-large-cnn has none."""
    folder = made(tmp_path, "bert", labels=LABELS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"mask_token": "<another mask>"})
    tokenizer.save_pretrained(folder)
    model, tokenizer = load_base(Task.VERACITY, str(folder), labels=LABELS, dropout=0.0)
    assert tokenizer.mask_token_id >= model.config.vocab_size
    ids = encode(tokenizer, ["Rain <another mask> and [MASK]"])[0]
    assert max(ids) < model.config.vocab_size


@pytest.mark.parametrize("head", [True, False])
def test_a_base_without_a_head_gets_one(head: bool, tmp_path: Path) -> None:
    """A missing head is no fault of a base; a missing layer is."""
    folder = made(tmp_path, "distilbert", labels=("LABEL_0", "LABEL_1", "LABEL_2"))
    if not head:
        file = folder / "model.safetensors"
        save_file({n: t for n, t in load_file(file).items() if n.startswith("distilbert.")}, file, {"format": "pt"})
    model, _ = load_base(Task.VERACITY, str(folder), labels=LABELS, dropout=0.0)
    assert model.config.num_labels == 2


def test_a_bert_that_becomes_a_distilbert_is_inspected_too(tmp_path: Path) -> None:
    folder = made(tmp_path, "bert", labels=LABELS)
    not_finite(folder)
    with pytest.raises(BaseModelError, match="its weights are not finite"):
        load_base(Task.VERACITY, str(folder), labels=LABELS, dropout=0.0, convert_to="distilbert")


@pytest.mark.parametrize("task", ["veracity", "summary"])
def test_a_hub_that_cannot_be_reached_is_said(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """T3: it is no fault of the name, and there is a way without it."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    name = "their/model-that-nobody-has"
    for said in (said_by_fit(task, name, tmp_path, capsys), said_by_export(task, name, tmp_path, capsys)):
        assert f"{name}" in said
        assert "HF_HUB_OFFLINE forbids to ask the hub, and the files are not in its cache" in said
        assert "HF_HOME" in said
        assert "local folder" in said


@pytest.mark.parametrize(
    "reason",
    [
        LocalEntryNotFoundError("not in the cache"),
        OfflineModeIsEnabled("offline"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError("timed out"),
        socket.gaierror(-2, "Name or service not known"),
    ],
    ids=lambda reason: type(reason).__name__,
)
def test_what_a_hub_is_not_reached_by(reason: Exception) -> None:
    """The library wraps it, more than once."""
    try:
        try:
            raise reason
        except Exception as inner:
            raise OSError("We couldn't connect") from inner
    except OSError as error:
        with pytest.raises(Unfit, match=r"the hub \(http.*\) cannot be reached, and .* Give a local folder"):
            require_reached(error)
    require_reached(OSError("their/model is not a valid model identifier"))


def test_a_mistyped_folder_is_not_asked_of_the_hub(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.chdir(tmp_path)
    said = said_by_fit("veracity", "checkpoints/nope", tmp_path, capsys)
    assert "checkpoints/nope: there is no such checkpoint folder; check the path" in said
