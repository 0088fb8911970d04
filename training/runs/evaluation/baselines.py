"""The baseline's answers to the rows of an evaluation, kept so that a run that goes on need not learn them again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from training.loop.batches import joined
from training.metrics.baseline import fit_baseline

from .labelled import BASELINE, CHANCE
from .rows import hash_of

logger = logging.getLogger(__name__)


def baseline_chances(train: pd.DataFrame, asked: pd.DataFrame, names: Sequence[str], folder: Path) -> pd.DataFrame:
    """The probabilities that TF-IDF with logistic regression gives to the rows.

    Args:
        train: What it learns from; rows of labels that the served model has not are left out.
        asked: The rows, with ``row``, ``title`` and ``text``.
        names: The labels that the served model gives.
        folder: Keeps the answers, in a file that is named by all that they depend on.

    Returns:
        A column for each label, a row for each of ``asked``, with its index; no column where there is nothing to
        learn from.
    """
    train = train[train["label"].isin(list(names))]
    if train["label"].nunique() < 2:
        logger.info("no baseline: no training rows of two labels; name a table that has some with --baseline PATH")
        return pd.DataFrame(index=asked.index)
    texts = joined(train)
    columns = [BASELINE + CHANCE + name for name in names]
    file = folder / f"baseline-{hash_of(*texts, *train['label'], *asked['row'], *names)}.npz"
    if file.exists():
        logger.info("baseline: from %s", file)
        with np.load(file) as kept:
            return pd.DataFrame(kept["chances"], index=asked.index, columns=columns)
    logger.info("baseline: TF-IDF learns from %d rows", len(train))
    model = fit_baseline(texts, [names.index(label) for label in train["label"]])
    chances = np.zeros((len(asked), len(names)), dtype=np.float32)
    chances[:, model.classes_] = model.predict_proba(joined(asked))
    partial = file.with_name(f"partial-{file.name}")
    np.savez_compressed(partial, chances=chances)
    partial.replace(file)
    return pd.DataFrame(chances, index=asked.index, columns=columns)
