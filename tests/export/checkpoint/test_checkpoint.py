"""Checkpoints that cannot be served are refused, with what is wrong and what to do; the repository stays as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from export.checkpoint.checkpoint import load_checkpoint
from export.checkpoint.labels import read_naming
from export.checkpoint.tokenization import serving_tokenizer
from export.cli import main
from export.errors import CheckpointError
from infolens.contract import CATEGORIES, Task
from tests import families

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


def changed(checkpoint: Path, tmp_path: Path, **changes: object) -> Path:
    """A copy of a checkpoint with other values in its ``config.json``."""
    folder = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}"
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_off, "cut off or damaged.*save the checkpoint again"),
        (without_weights, "missing, cut off or damaged"),
        (without_head, "lack 1 tensors, classifier.weight for one, which would be random"),
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


def test_wrong_architecture_names_both(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"one of bart, but the checkpoint's, 'distilbert', gives labels"):
        load_checkpoint(Task.SUMMARY, str(checkpoints[Task.CATEGORY]))
    folder = changed(checkpoints[Task.CATEGORY], tmp_path, model_type="gpt2")
    with pytest.raises(CheckpointError, match=r"one of bert, .*distilbert, .*, but .* 'gpt2', is not known"):
        load_checkpoint(Task.CATEGORY, str(folder))


def test_what_a_graph_cannot_express_is_named(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    folder = changed(checkpoints[Task.CATEGORY], tmp_path, activation="silu")
    with pytest.raises(CheckpointError, match=r"distilbert graph .* activation='silu' \(known: 'gelu', 'relu'\)"):
        load_checkpoint(Task.CATEGORY, str(folder))
    folder = changed(checkpoints[Task.SUMMARY], tmp_path, max_position_embeddings=200)
    with pytest.raises(CheckpointError, match=r"max_position_embeddings=200 \(known: 256 and more"):
        load_checkpoint(Task.SUMMARY, str(folder))


def test_missing_folder_and_missing_tokenizer_are_named(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        load_checkpoint(Task.SUMMARY, str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load_checkpoint(Task.SUMMARY, str(tmp_path))
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoints[Task.SUMMARY], folder, ignore=shutil.ignore_patterns("tok*", "vocab*", "merges*"))
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        load_checkpoint(Task.SUMMARY, str(folder))


def test_optimum_may_express_what_our_graph_cannot(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    folder = changed(checkpoints[Task.CATEGORY], tmp_path, activation="silu")
    with pytest.raises(CheckpointError, match="try --exporter optimum"):
        load_checkpoint(Task.CATEGORY, str(folder))
    assert load_checkpoint(Task.CATEGORY, str(folder), own_graph=False).config.activation == "silu"


def test_a_family_without_a_writer_of_ours_names_optimum_before_its_weights_are_read(tmp_path: Path) -> None:
    folder = families.checkpoint(tmp_path / "deberta", "deberta-v2", ("a", "b"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="add --exporter optimum"):
        load_checkpoint(Task.CATEGORY, str(folder))


def test_a_mistyped_folder_is_not_asked_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint folder 'checkpoints/nope'"):
        load_checkpoint(Task.CATEGORY, "checkpoints/nope")


def test_a_task_takes_any_architecture_with_its_kind_of_answers(checkpoints: dict[Task, Path]) -> None:
    checkpoint = load_checkpoint(Task.VERACITY, str(checkpoints[Task.CATEGORY]))
    assert (checkpoint.architecture.model_type, checkpoint.labels) == ("distilbert", CATEGORIES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem_type": "multi_label_classification"}, "problem_type 'multi_label_classification', and only"),
        ({"problem_type": "regression"}, "problem_type 'regression'"),
        (
            {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}},
            r"--labels 'LABEL_0=\.\.\.,LABEL_1=\.\.\.', or with --labels FILE",
        ),
        ({"id2label": {"0": "only"}}, "at least two labels"),
        ({"id2label": {"0": "real", "1": "real"}}, "real twice"),
        ({"id2label": {"0": "real", "1": "fa\x00ke"}}, "a label has no control characters, but"),
        ({"id2label": {"0": "real", "1": "fa\nke"}}, "a label is one line, but"),
        ({"id2label": {"0": "real", "1": " "}}, "without blanks around it"),
        ({"id2label": {"0": "real", "2": "fake"}}, "numbered from 0"),
        ({"id2label": {"0": "real", "1": "f" * 201}}, "at most 200 characters"),
        ({"id2label": {"0": "real", "1": "\ud800"}}, "UTF-8 can carry"),
    ],
    ids=str,
)
def test_labels_that_cannot_be_served_are_refused(
    checkpoints: dict[Task, Path], tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    folder = changed(checkpoints[Task.VERACITY], tmp_path, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(Task.VERACITY, str(folder))


def test_classes_without_names_are_named(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    folder = changed(checkpoints[Task.VERACITY], tmp_path, id2label={"0": "LABEL_0", "1": "LABEL_1"})
    lines = tmp_path / "labels.txt"
    lines.write_text("\ufefftrue\n\nfalse, or so\n", encoding="utf-8")
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("LABEL_1 = false, or so\nLABEL_0=true\n")
    for given in (str(lines), str(pairs)):
        checkpoint = load_checkpoint(Task.VERACITY, str(folder), naming=read_naming(given))
        assert checkpoint.labels == ("true", "false, or so")
    naming = read_naming("LABEL_1=fake,LABEL_0=real")
    assert load_checkpoint(Task.VERACITY, str(folder), naming=naming).labels == ("real", "fake")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.txt", "nowhere.txt: cannot be read"),
        ("LABEL_0=", "THEIRS=OURS, such as LABEL_0=Business; not 'LABEL_0='"),
        ("LABEL_0=real,fake", "not 'LABEL_0=real', 'fake'"),
        ("LABEL_7=real", "renames 'LABEL_7', which .* has not; it has: real, fake"),
        ("real=fake", "fake twice"),
        ("real=true,real=right", "names real twice"),
        ("", "cannot be read"),
        ("real=" + 300 * "x", "at most 200 characters"),
    ],
)
def test_names_that_do_not_fit_are_told(checkpoints: dict[Task, Path], text: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(Task.VERACITY, str(checkpoints[Task.VERACITY]), naming=read_naming(text))


def test_as_many_names_as_classes(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    lines = tmp_path / "labels.txt"
    lines.write_text("a\nb\nc\n")
    with pytest.raises(CheckpointError, match=r"names 3 classes, but .* has 2: real, fake"):
        load_checkpoint(Task.VERACITY, str(checkpoints[Task.VERACITY]), naming=read_naming(str(lines)))


def test_the_tokenizer_is_the_one_that_the_checkpoint_holds(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    """Loaded by its class, it would have that class's normaliser: here, one that keeps the words' blanks apart."""
    folder = changed(checkpoints[Task.CATEGORY], tmp_path)
    document = json.loads((folder / "tokenizer.json").read_text())
    document["normalizer"] = {
        "type": "Sequence",
        "normalizers": [{"type": "Replace", "pattern": {"String": "-"}, "content": "e"}],
    }
    (folder / "tokenizer.json").write_text(json.dumps(document))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "DistilBertTokenizer"}))
    checkpoint = load_checkpoint(Task.CATEGORY, str(folder))
    assert checkpoint.tokenizer("th- council")["input_ids"] == checkpoint.tokenizer("the council")["input_ids"]
    served = Tokenizer.from_str(serving_tokenizer(checkpoint))
    assert served.encode("th- council").ids == checkpoint.tokenizer("the council")["input_ids"]


def test_max_tokens_beyond_the_model_is_refused(checkpoints: dict[Task, Path]) -> None:
    assert load_checkpoint(Task.CATEGORY, str(checkpoints[Task.CATEGORY]), max_tokens=100).max_tokens == 100
    for wrong in (161, 2, 0):  # two of them are special
        with pytest.raises(CheckpointError, match=rf"between 3 .* limit \(160\), not {wrong}"):
            load_checkpoint(Task.CATEGORY, str(checkpoints[Task.CATEGORY]), max_tokens=wrong)
