"""The starters can be made again: by their recipes toys of each are trained and exported.

What is changed is what makes a run small: the base, the steps, how many tokens of a vocabulary of few hundred are kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from export.cli import main as export
from infolens.contract import CONTRACTS, Task
from serving.runtime import ROOT
from tests import families
from tests.training.toys import LABELS, TELLING, toy_splits
from training.cli import main as training

pytestmark = [
    pytest.mark.usefixtures("one_torch_thread"),
    pytest.mark.filterwarnings("ignore"),  # torch's own, about files of checkpoints
]

SHORT = {"max_steps": 2, "per_device_train_batch_size": 4, "per_device_eval_batch_size": 8}
UNSEEN = ("fang", "mcintire", "horne2017", "misinfotext_snopes")


def made(task: Task, folder: Path, data: pd.DataFrame, *more: str, **changes: Any) -> dict[str, Any]:
    """Train by a starter's recipe, and export; returns what the artefact says, and ``metrics``, those of the run."""
    data.to_json(folder / "data.jsonl", orient="records", lines=True)
    words = ["fit", task.value, "--config", str(ROOT / "recipes" / f"{task.value}-starter.toml"), *more]
    sets = [word for name, value in (SHORT | changes).items() for word in ("--set", f"{name}={value}")]
    out = folder / "out"
    words += ["--data", str(folder / "data.jsonl"), "--out", str(out), "--tracking-uri", "none", *sets]
    assert training(words) == 0
    texts = task is Task.SUMMARY
    choosing = ["--style", "extractive", "--extraction", "choice", "--num-beams", "1", "--max-length", "48"]
    asked = [*choosing, "--min-token-f1", "0"] if texts else []
    repository = folder / "model_repository"
    assert export([task.value, "--checkpoint", str(out), "--repository", str(repository), *asked]) == 0
    artefact = json.loads((repository / CONTRACTS[task].model / "1" / "artefact.json").read_text(encoding="utf-8"))
    return {**artefact, "metrics": json.loads((out / "metrics.json").read_text(encoding="utf-8"))}


def labelled(task: Task) -> pd.DataFrame:
    """48 articles, of two collections of which one is larger."""
    splits = toy_splits(task, train=32)
    parts = [splits[name].assign(split=name) for name in ("train", "validation", "test")]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(source=["small" if i % 4 == 0 else "large" for i in range(len(rows))])


def bert(folder: Path, labels: tuple[str, ...]) -> str:
    """A BERT of six small layers with random weights."""
    sizes = {"num_hidden_layers": 6, "max_position_embeddings": 128}
    return str(families.checkpoint(folder, "bert", labels, [*TELLING.values()], **sizes))


def test_the_veracity_starter_can_be_made_again(tmp_path: Path) -> None:
    rows = labelled(Task.VERACITY)
    unseen = [rows[:4].assign(source=name, split="test", text=rows["text"] + f" {name}") for name in UNSEEN]
    base = bert(tmp_path / "bert", ("LABEL_0", "LABEL_1"))
    found = made(Task.VERACITY, tmp_path, pd.concat([rows, *unseen]), "--base", base, keep_vocabulary=0)
    assert (found["model_type"], found["max_tokens"], found["labels"]) == ("xlnet", 512, ["real", "fake"])
    assert found["metrics"]["out_of_domain"]["articles"] == 16


def test_the_category_starter_can_be_made_again(tmp_path: Path) -> None:
    labels = LABELS[Task.CATEGORY]
    rows = labelled(Task.CATEGORY)
    told = tmp_path / "told.toml"
    told.write_text("".join(f'"{label}" = ["{TELLING[label].lower()}"]\n' for label in labels))
    more = [
        {"title": "Sea", "text": f"The hotel {i} has a view of the beach. The team scored no goal."} for i in range(8)
    ]
    pd.DataFrame(more).to_json(tmp_path / "more.jsonl", orient="records", lines=True)
    base = bert(tmp_path / "bert", labels)
    found = made(
        Task.CATEGORY, tmp_path, rows, "--base", base, "--unlabelled", str(tmp_path / "more.jsonl"),
        teacher_model=base, descriptions=told, descriptions_model=base, keep_vocabulary=0,
    )  # fmt: skip
    assert (found["model_type"], found["window"], found["max_tokens"]) == ("distilbert", 80, 240)
    assert found["labels"] == list(labels)


def test_the_summary_starter_can_be_made_again(tmp_path: Path) -> None:
    names = ["Anna", "Boris", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Karin", "Lukas"]
    rows = pd.DataFrame(
        [
            {
                "article": f"{name} sold the old house to a friend on Monday. {name} bought nothing else this year.",
                "summary": f"{name} sold the old house to a friend on Monday.",
                "split": ("train", "train", "validation", "test")[number % 4],
            }
            for number, name in enumerate(names)
        ]
    )
    small = {
        "vocabulary": 300, "width": 64, "heads": 8, "encoder_layers": 2, "decoder_layers": 2, "feed_forward": 64,
        "gap_epochs": 0, "oracle_epochs": 0.5, "num_train_epochs": 0, "max_tokens": 256, "max_target_tokens": 24,
        "num_beams": 1, "workers": 0,
    }  # fmt: skip
    rows.to_json(tmp_path / "pairs.jsonl", orient="records", lines=True)
    sets = [word for name, value in small.items() for word in ("--set", f"{name}={value}")]
    writer = ["fit", "summary", "--data", str(tmp_path / "pairs.jsonl"), "--base", "starter", *sets]
    assert training([*writer, "--out", str(tmp_path / "writer"), "--tracking-uri", "none"]) == 0
    found = made(
        Task.SUMMARY, tmp_path, rows, "--base", str(tmp_path / "writer"),
        max_steps=0, choice_epochs=1, max_tokens=256, max_target_tokens=24, num_beams=1,
    )  # fmt: skip
    assert (found["extraction"], found["style"]) == ("choice", "extractive")
    assert found["metrics"]["choice"]["words"] > 0
