"""From a BERT and a table of collections to an exported XLNet, by the command lines."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from export.cli import main as export
from infolens.contract import Task
from tests import families
from tests.training.toys import TELLING, toy_splits
from training.cli import main as training

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, about files of checkpoints


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training on two collections."""
    folder = tmp_path_factory.mktemp("converted")
    base = families.checkpoint(
        folder / "bert", "bert", ("LABEL_0", "LABEL_1"), [*TELLING.values()], num_hidden_layers=3
    )
    splits = toy_splits(Task.VERACITY, train=32)
    rows = pd.concat(
        splits[split].assign(split=split, source=["large"] * 24 + ["small"] * 8)
        for split in ("train", "validation", "test")
    )
    rows.to_parquet(folder / "articles.parquet")
    settings = {
        "convert_to": "xlnet", "keep_layers": 2, "balance_sources": 1, "balance": "true", "dropout": 0, "max_steps": 2,
        "save_steps": 1, "max_tokens": 64, "train_tokens": 32, "workers": 0, "precision": "bf16",
    }  # fmt: skip
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words = ["fit", "veracity", "--data", str(folder / "articles.parquet"), "--base", str(base)]
    out = folder / "checkpoint"
    assert training([*words, "--out", str(out), *sets, "--tracking-uri", "none"]) == 0
    return out


def test_it_is_exported_and_answers_as_the_checkpoint_does(checkpoint: Path, tmp_path: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    assert (config["model_type"], config["n_layer"]) == ("xlnet", 2)
    assert export(["veracity", "--checkpoint", str(checkpoint), "--repository", str(tmp_path)]) == 0
    artefact = json.loads((tmp_path / "xlnet" / "1" / "artefact.json").read_text())
    assert (artefact["precision"], artefact["max_tokens"], artefact["labels"]) == ("int8", 64, ["real", "fake"])
    assert artefact["parity"]["fp32_largest_difference"] < 1e-4
