"""Checkpoints that cannot be served are refused, with what is wrong and what to do; the repository stays as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from export.checkpoint import load_checkpoint
from export.cli import main
from export.errors import CheckpointError
from infolens.contract import Task

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")


def cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    with weights.open("r+b") as stream:
        stream.truncate(weights.stat().st_size // 2)


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def without_head(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in tensors.items() if k != "classifier.weight"}, folder / "model.safetensors", {"format": "pt"}
    )


def cut_off_config(folder: Path) -> None:
    (folder / "config.json").write_text((folder / "config.json").read_text()[:40])


def cut_off_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text()[:400])


def without_tokenizer(folder: Path) -> None:
    for path in (*folder.glob("tok*"), *folder.glob("vocab*")):
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_off, "cut off or damaged.*save the checkpoint again"),
        (without_weights, "missing, cut off or damaged"),
        (without_head, "lack 1 tensors of DistilBertForSequenceClassification, classifier.weight"),
        (cut_off_config, "config.json cannot be read"),
        (cut_off_tokenizer, "tokenizer of .* does not load.*save it again"),
        (without_tokenizer, "has no tokenizer"),
    ],
)
def test_a_half_written_folder_is_refused_and_leaves_no_trace(
    checkpoints: dict[Task, Path], tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoints[Task.CATEGORY], folder)
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(Task.CATEGORY, str(folder))
    assert main(["category", "--checkpoint", str(folder), "--repository", str(tmp_path / "made" / "models")]) == 1
    assert not any((tmp_path / "made").iterdir())


def test_wrong_architecture_names_both(checkpoints: dict[Task, Path]) -> None:
    with pytest.raises(CheckpointError, match=r"veracity task is served by 'xlnet'.*'distilbert'"):
        load_checkpoint(Task.VERACITY, str(checkpoints[Task.CATEGORY]))


def test_missing_folder_and_missing_tokenizer_are_named(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        load_checkpoint(Task.SUMMARY, str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load_checkpoint(Task.SUMMARY, str(tmp_path))
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoints[Task.SUMMARY], folder, ignore=shutil.ignore_patterns("tok*", "vocab*", "merges*"))
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        load_checkpoint(Task.SUMMARY, str(folder))


def test_labels_must_be_the_contracts(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoints[Task.VERACITY], folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "fake", "1": "real"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"\['real', 'fake'\]; they are \['fake', 'real'\]"):
        load_checkpoint(Task.VERACITY, str(folder))


def test_max_tokens_beyond_the_model_is_refused(checkpoints: dict[Task, Path]) -> None:
    assert load_checkpoint(Task.CATEGORY, str(checkpoints[Task.CATEGORY]), max_tokens=100).max_tokens == 100
    with pytest.raises(CheckpointError, match=r"limit \(160\), not 161"):
        load_checkpoint(Task.CATEGORY, str(checkpoints[Task.CATEGORY]), max_tokens=161)
