"""Registered versions measured anew, beside a baseline, on data that was named."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.data.labels import class_ids
from training.errors import TrackingError
from training.loop.batches import joined
from training.metrics.baseline import fit_baseline
from training.metrics.classification import evaluate
from training.metrics.summarization import evaluate as evaluate_summaries
from training.models.architectures import architecture_of, labels_of, load_prepared
from training.tasks import classifier
from training.tracking.client import Tracking, first_line

from .verdicts import Measured
from .versions import SCORES, Version, baseline_of

logger = logging.getLogger(__name__)

Frames = Mapping[str, pd.DataFrame]


def measure(task: Task, tracking: Tracking, version: Version, splits: Frames, *, baseline: bool) -> Measured:
    """Measure a registered version on the test split of a table.

    Args:
        task: Whose model.
        tracking: Where the registry is.
        version: Which version; it is fetched.
        splits: The tables of `data.tables.load_splits`; ``train``, from which the baseline learns, may be empty.
        baseline: Whether the baseline is measured too.

    Raises:
        TrackingError: The version cannot be fetched.
        DataError: The data has labels that the model does not tell.
    """
    import mlflow

    logger.info("measuring version %s on %d test articles", version.number, len(splits["test"]))
    uri = f"models:/{task.value}/{version.number}"
    with tempfile.TemporaryDirectory() as place:
        try:
            found = mlflow.artifacts.download_artifacts(uri, dst_path=place, tracking_uri=tracking.resolved)
        except Exception as error:  # MLflow raises what its stores raise
            raise TrackingError(f"{uri}: cannot be fetched: {first_line(error)}") from error
        # MLflow's flavour keeps the tokenizer apart from the model.
        model, tokenizer = load_prepared(
            task, Path(found) / "model", tokenizer=Path(found) / "components" / "tokenizer"
        )
        kind = CONTRACTS[task].answers
        figures, missing = _FIGURES[kind](model, tokenizer, splits, baseline)
        return Measured(
            figure=float(figures["test"][SCORES[kind]]),
            baseline=baseline_of(figures, task) if baseline else None,
            no_baseline=missing,
        )


def _of_texts(model: Any, tokenizer: Any, splits: Frames, _: bool) -> tuple[dict[str, Any], str]:
    limit = architecture_of(model.config.model_type).limit(model.config)
    tokens = min(tokenizer.model_max_length, limit or tokenizer.model_max_length)
    return evaluate_summaries(model, tokenizer, splits["test"], max_tokens=tokens), ""


def _of_labels(model: Any, tokenizer: Any, splits: Frames, baseline: bool) -> tuple[dict[str, Any], str]:
    figures: dict[str, Any] = {"test": classifier.figures_on(model, tokenizer, splits["test"])}
    if not baseline:
        return figures, ""
    labels = labels_of(model)
    train = splits["train"][splits["train"]["label"].isin(list(labels))]
    if train["label"].nunique() < 2:
        missing = (
            "TF-IDF learns from training rows of the data, and this has none of two labels; give some (split: train), "
            "or state the bar with --at-least X"
        )
        return figures, missing
    logger.info("the baseline: TF-IDF learns from %d training rows of the data", len(train))
    fitted = fit_baseline(joined(train), class_ids(labels, train))
    test = splits["test"]
    chances = np.zeros((len(test), len(labels)), dtype=np.float32)
    chances[:, fitted.classes_] = fitted.predict_proba(joined(test))
    classes = np.asarray(class_ids(labels, test), dtype=np.int64)
    figures["baseline"] = {"test": evaluate(chances, classes, labels, test["source"].tolist())}
    return figures, ""


_FIGURES: Final[dict[AnswerKind, Callable[[Any, Any, Frames, bool], tuple[dict[str, Any], str]]]] = {
    AnswerKind.TEXT: _of_texts,
    AnswerKind.LABELS: _of_labels,
}
