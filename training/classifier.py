"""Train the category (DistilBERT) and veracity (XLNet) classifiers, on a CPU or a GPU.

    python -m training fit category --data category.parquet --base starter --out checkpoints/category

Batches of like length, bf16 autocast, AdamW with a one-cycle schedule, label smoothing and an exponential moving
average of the weights. From scratch two things more: token embeddings that start from co-occurrence counts, and a
share of the targets from the TF-IDF baseline's out-of-fold probabilities. The best epoch by validation macro-F1 is
kept, and ``metrics.json`` beside it holds the test figures next to the baseline's.
"""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from infolens.contract import CONTRACTS, Task

from .architectures import STARTER, load_base
from .baseline import fit_baseline, out_of_fold
from .batches import encode, joined
from .calibration import decision_offset, shifted
from .classifier_config import ClassifierConfig
from .data import OUT_OF_DOMAIN
from .errors import SettingError
from .evaluation import evaluate
from .loop import Trainer
from .output import work_folder
from .starter import key_of, prepare_starter

logger = logging.getLogger(__name__)


def fit(
    splits: dict[str, pd.DataFrame],
    *,
    task: Task,
    base: str,
    out: Path,
    config: ClassifierConfig,
    more_text: Sequence[str] = (),
) -> dict[str, Any]:
    """Train a classifier, measure it and save it.

    Args:
        splits: The tables of `data.load_splits`.
        task: ``CATEGORY`` or ``VERACITY``.
        base: A hub id, a checkpoint folder, or ``starter``.
        out: Folder of the checkpoint; written as ``<out>.partial`` and renamed at the end.
        config: How to train.
        more_text: Unlabelled text that helps the starter's embeddings and tokenizer.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        TrainingError: The output folder is taken, the base does not fit, or ``balance`` is set for many classes.
    """
    work = work_folder(out)
    labels = CONTRACTS[task].labels
    if config.balance and len(labels) != 2:
        raise SettingError(
            f"balance shifts a decision between two classes; {task.value} has {len(labels)}: leave it out"
        )
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    work.mkdir(parents=True, exist_ok=True)
    texts = {split: joined(frame) for split, frame in splits.items()}
    classes = {
        split: np.asarray([labels.index(label) for label in frame["label"]], dtype=np.int64)
        for split, frame in splits.items()
    }
    began = time.monotonic()
    baseline, teacher = _baseline(texts, classes, splits, labels, config, work)
    for split, figures in baseline.items():
        logger.info("baseline: accuracy %.4f, macro-F1 %.4f on %s", figures["accuracy"], figures["macro_f1"], split)

    if base == STARTER:
        model, tokenizer = prepare_starter(task, texts["train"], more_text, config, work)
    else:
        model, tokenizer = load_base(task, base, dropout=config.dropout)
    tokenizer.model_max_length = config.max_tokens
    ids = {split: encode(tokenizer, part) for split, part in texts.items()}
    trainer = Trainer(model, tokenizer, config, len(labels))
    targets = smooth_targets(classes["train"], len(labels), config.smoothing)
    if teacher is not None:
        targets = (1 - config.teacher) * targets + config.teacher * teacher
    history = trainer.fit(ids["train"], classes["train"], targets, ids["validation"], classes["validation"], work)
    offset = 0.0
    if config.balance:
        offset = decision_offset(trainer.predict(ids["validation"], config.max_tokens), classes["validation"])
        trainer.shift_decision(offset)

    measured = {
        split: _figures(trainer.predict(ids[split], config.max_tokens), classes[split], labels, splits[split])
        for split in _measured(splits)
    }
    metrics = {
        "task": task.value,
        "base": base,
        "parameters": sum(p.numel() for p in model.parameters()),
        "max_tokens": config.max_tokens,
        "decision_offset": offset,
        **measured,
        "baseline": baseline,
        "validation": history,
        "articles": {split: len(part) for split, part in texts.items()},
        "config": asdict(config),
        "minutes": (time.monotonic() - began) / 60,
    }
    trainer.save(work)
    (work / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (work / "teacher.npz").unlink(missing_ok=True)
    shutil.rmtree(work / "prepared", ignore_errors=True)
    shutil.move(work, out)
    for split, figures in measured.items():
        logger.info("%s: accuracy %.4f, macro-F1 %.4f on %s", out, figures["accuracy"], figures["macro_f1"], split)
    return metrics


def smooth_targets(classes: NDArray[np.int64], count: int, smoothing: float) -> NDArray[np.float32]:
    """One-hot rows (articles, classes) that give ``smoothing`` of their weight to all classes alike."""
    one_hot = np.eye(count, dtype=np.float32)[classes]
    return ((1 - smoothing) * one_hot + smoothing / count).astype(np.float32)


def _measured(splits: dict[str, pd.DataFrame]) -> tuple[str, ...]:
    return ("test", OUT_OF_DOMAIN) if OUT_OF_DOMAIN in splits else ("test",)


def _figures(
    probabilities: NDArray[np.float32], classes: NDArray[np.int64], labels: Sequence[str], frame: pd.DataFrame
) -> dict[str, Any]:
    return evaluate(probabilities, classes, labels, frame["source"].tolist())


def _baseline(
    texts: dict[str, list[str]],
    classes: dict[str, NDArray[np.int64]],
    splits: dict[str, pd.DataFrame],
    labels: Sequence[str],
    config: ClassifierConfig,
    work: Path,
) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """The baseline's metrics per split and, where a teacher is asked for, its out-of-fold probabilities."""
    cache = work / "teacher.npz"
    every_text = itertools.chain.from_iterable(texts.values())
    key = key_of(every_text, config.balance, *(part.tolist() for part in classes.values()))
    if config.teacher and cache.exists():
        with np.load(cache, allow_pickle=False) as saved:
            if str(saved["key"]) == key:
                return json.loads(str(saved["metrics"])), saved["teacher"]
    logger.info("fitting the baseline")
    model = fit_baseline(texts["train"], classes["train"].tolist())
    predicted = {}
    for split in ("validation", *_measured(splits)):
        predicted[split] = np.zeros((len(texts[split]), len(labels)), dtype=np.float32)
        predicted[split][:, model.classes_] = model.predict_proba(texts[split])
    offset = decision_offset(predicted["validation"], classes["validation"]) if config.balance else 0.0
    metrics = {
        split: _figures(
            shifted(predicted[split], offset) if offset else predicted[split], classes[split], labels, splits[split]
        )
        for split in _measured(splits)
    }
    if not config.teacher:
        return metrics, None
    logger.info("baseline as teacher: out-of-fold probabilities")
    teacher = out_of_fold(texts["train"], classes["train"], classes=len(labels), seed=config.seed)
    np.savez(cache, teacher=teacher, metrics=json.dumps(metrics), key=key)
    return metrics, teacher
