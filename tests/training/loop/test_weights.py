"""An article of weight 2 counts as one that stands there twice."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from infolens.contract import Task
from tests.training.tasks.test_summarizer import SMALL as SMALL_SUMMARIZER
from tests.training.tasks.test_summarizer import article
from tests.training.toys import small, toy_splits
from training.loop.batches import even_weights
from training.loop.cluster import run
from training.loop.dataset import WEIGHTS, SummaryCollator
from training.loop.prepared import read_table
from training.metrics.losses import soft_cross_entropy, token_cross_entropy
from training.runs.fitting import Data, prepare

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, about processes and files of checkpoints


def _gradient(loss: Any, logits: torch.Tensor, labels: torch.Tensor, rows: list[int], weights: Any) -> torch.Tensor:
    """The gradient of the loss of some rows of a batch, by the logits of all."""
    leaf = logits.clone().requires_grad_()
    given = None if weights is None else torch.tensor(weights)
    loss(SimpleNamespace(logits=leaf[rows]), labels[rows], weights=given).backward()
    assert leaf.grad is not None
    return leaf.grad


def test_the_gradient_is_that_of_a_batch_with_repetitions() -> None:
    torch.manual_seed(0)
    repeated = [0, 0, 0, 1, 2, 2]
    plain, targets = torch.randn(3, 4), torch.softmax(torch.randn(3, 4), -1)
    weights = even_weights([3, 1, 2])
    torch.testing.assert_close(
        _gradient(soft_cross_entropy, plain, targets, [0, 1, 2], weights),
        _gradient(soft_cross_entropy, plain, targets, repeated, None),
    )
    ids = torch.tensor([[3, 1, -100], [2, 2, 4], [1, -100, -100]])  # of 2, 3 and 1 tokens
    logits = torch.randn(3, 3, 5)
    weights = even_weights([3, 1, 2], [2, 3, 1])
    torch.testing.assert_close(
        _gradient(token_cross_entropy, logits, ids, [0, 1, 2], weights),
        _gradient(token_cross_entropy, logits, ids, repeated, None),
    )


def test_only_what_weights_are_beside_each_other_counts() -> None:
    assert even_weights([5, 5, 5]) == [1, 1, 1]
    assert even_weights([3, 1]) == even_weights([6, 2]) == [1.5, 0.5]
    assert np.average(even_weights([3, 1], [1, 3]), weights=[1, 3]) == 1


@pytest.mark.parametrize("column", ["weight", "unread"])
def test_a_classifier_learns_from_weights_as_from_repetitions(column: str, tmp_path: Path) -> None:
    """One step on all articles, in several batches: the same model, and another where no weights are read."""
    splits = toy_splits(Task.CATEGORY, train=4)
    start = small(num_train_epochs=1.0, teacher=0.0, average=0.0, seed=1)
    base = prepare(Task.CATEGORY, start, Data(splits=splits), tmp_path / "base").model
    recipe = dataclasses.replace(
        start, base=str(base), gradient_accumulation_steps=4, per_device_train_batch_size=2, optim="sgd",
        learning_rate=0.9, lr_scheduler_type="constant", warmup_ratio=0.0, max_steps=1, max_grad_norm=1e6,
    )  # fmt: skip
    trained = {}
    for name, train in (
        ("weighted", splits["train"].assign(**{column: [2.0, 1.0, 1.0, 2.0]})),
        ("repeated", splits["train"].iloc[[0, 0, 1, 2, 3, 3]].reset_index(drop=True)),
    ):
        prepared = prepare(Task.CATEGORY, recipe, Data(splits={**splits, "train": train}), tmp_path / name)
        outcome = run(Task.CATEGORY, recipe, prepared, tmp_path / name)
        trained[name] = load_file(outcome.checkpoint / "model.safetensors")
    before = load_file(base / "model.safetensors")
    moved = {name: trained["repeated"][name] - before[name] for name in before}
    assert max(float(change.abs().max()) for change in moved.values()) > 1e-4
    same = all(torch.allclose(trained["weighted"][name] - before[name], moved[name], atol=1e-6) for name in moved)
    assert same == (column == "weight")


def test_a_summarizer_s_pairs_have_the_weights_of_their_rows(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "article": [article(i) for i in range(4)],
            "summary": [f"Town {i} voted on its harbour budget." for i in range(4)],
            "weight": [3.0, np.nan, 1.0, 1.0],  # an empty cell is 1: a file without weights beside one with them
        }
    )
    data = Data(splits={"train": table, "validation": table[:2], "test": table[:2]}, more=((article(50), "Harbour"),))
    prepared = prepare(Task.SUMMARY, SMALL_SUMMARIZER, data, tmp_path)
    train, validation = (read_table(prepared.folder / name) for name in ("train", "validation"))
    assert "weight" not in validation.column_names
    for stage, count in ((0, 5), (1, 4)):
        rows = train.filter(lambda row, stage=stage: row["stage"] == stage)
        weights, tokens = np.array(rows["weight"]), [len(ids) for ids in rows["labels"]]
        assert len(weights) == count
        np.testing.assert_allclose(weights / weights[1], [3, 1, 1, 1, 1][:count])
        assert np.average(weights, weights=tokens) == pytest.approx(1)
    batch = SummaryCollator(pad=1, start=2)([train.with_format("numpy")[i] for i in (0, 1)])
    assert batch[WEIGHTS][0] == pytest.approx(3 * float(batch[WEIGHTS][1]))
    unweighted = prepare(Task.SUMMARY, SMALL_SUMMARIZER, Data(splits={**data.splits, "train": table.assign(weight=2)}),
                         tmp_path)  # fmt: skip
    assert unweighted.key != prepared.key
    assert "weight" not in read_table(unweighted.folder / "train").column_names
    outcome = run(Task.SUMMARY, SMALL_SUMMARIZER, prepare(Task.SUMMARY, SMALL_SUMMARIZER, data, tmp_path), tmp_path)
    assert outcome.steps == 5 + 4
