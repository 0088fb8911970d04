"""Small articles that are easy to tell apart, and small recipes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from infolens.contract import Task
from training.recipes.kinds import ClassifierRecipe

TELLING = {
    "real": "The council voted on the budget for the harbour",
    "fake": "You will not believe what this secret cure does",
    "Sports": "The striker scored a goal and the team won the match",
    "Travel": "The beach hotel on the island has a view of the sea",
}
LABELS = {  # in the order that a run gives them
    Task.CATEGORY: ("Travel", "Sports"),
    Task.VERACITY: ("real", "fake"),
}

SMALL = ClassifierRecipe(
    max_tokens=32, train_tokens=32, num_train_epochs=12.0, per_device_train_batch_size=8, learning_rate=4e-3,
    teacher=0.3, vocabulary=300, layers=1, width=32, heads=2, dropout=0.0, average=0.9, workers=0, cpus_per_worker=1,
    lr_scheduler_type="cosine",
)  # fmt: skip


def toy_splits(task: Task, *, train: int = 320) -> dict[str, pd.DataFrame]:
    """Articles whose first words tell the label."""
    rng = np.random.default_rng(0)
    labels = LABELS[task]
    splits = {}
    first = 0
    for split, count in (("train", train), ("validation", 32), ("test", 32), ("out_of_domain", 12)):
        rows = [labels[i % 2] for i in range(count)]
        noise = rng.choice(["Today", "Yesterday", "Again", "Here", "Once more"], size=count).tolist()
        texts = [
            f"{word} {TELLING[label]} number {first + i}."
            for i, (word, label) in enumerate(zip(noise, rows, strict=True))
        ]
        first += count
        splits[split] = pd.DataFrame(
            {"title": ["", "", "A title", "A title"] * (count // 4), "text": texts, "label": rows, "source": "toy"}
        )
    return splits


def toy_file(task: Task, path: Path, *, train: int = 320) -> Path:
    """The same articles as a file with a split column."""
    parts = [
        frame.assign(split=split) for split, frame in toy_splits(task, train=train).items() if split != "out_of_domain"
    ]
    frame = pd.concat(parts)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path, index=False)
    return path


def small(**changes: object) -> ClassifierRecipe:
    """`SMALL` with changes."""
    return dataclasses.replace(SMALL, **changes)  # type: ignore[arg-type]
