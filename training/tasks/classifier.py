"""Classifiers of any architecture: what they train on, and how good they become.

From scratch two things help: token embeddings that start from co-occurrence counts, and a share of the targets from a
teacher's probabilities: the TF-IDF baseline's, out of fold, or those of a larger model (distillation; Hinton et al.,
2015). The best checkpoint by validation macro-F1 is kept, and ``metrics.json`` has test figures beside the baseline's.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from infolens.contract import Task
from reading.spread import WINDOW
from training.data.labels import class_ids, run_labels
from training.data.schema import OUT_OF_DOMAIN, WEIGHT
from training.errors import SettingError
from training.loop.batches import encode, join_article, joined
from training.loop.dataset import SOURCE
from training.loop.prepared import Prepared, read_prepared, write_prepared
from training.loop.windows import predict_texts
from training.metrics.baseline import fit_baseline
from training.metrics.calibration import decision_offset, shifted
from training.metrics.classification import evaluate
from training.models.architectures import (
    labels_of,
    last_layer_of,
    load_base,
    name_labels,
    require_length,
)
from training.recipes.kinds import ClassifierRecipe

from .balance import article_weights
from .descriptions import read_descriptions
from .starter import key_of, prepare_starter
from .teacher import pseudo_targets, require_teacher, teacher_probabilities
from .unlabelled import chosen
from .vocabulary import keep_tokens

logger = logging.getLogger(__name__)

Frames = dict[str, pd.DataFrame]
_BASELINE: Final = "baseline.json"
_PREPARES: Final = (
    *("base", "seed", "max_tokens", "dropout", "smoothing", "teacher", "teacher_model", "balance"),
    *("teacher_tokens", "descriptions", "descriptions_weight", "descriptions_model"),
    *("unlabelled_passes", "unlabelled_balance", "window", "keep_vocabulary"),
    *("labels", "convert_to", "keep_layers", "vocabulary", "layers", "width", "heads"),
)
"""What of a recipe the prepared folder depends on; the rest may be tuned over the same folder."""
WINDOWED: Final = frozenset({"bert", "distilbert", "roberta"})
"""The architectures whose graphs read windows when they serve."""


def prepare(
    splits: Frames, task: Task, recipe: ClassifierRecipe, work: Path, *, more: Sequence[tuple[str, str]] = ()
) -> Prepared:
    """Make what the workers read, in ``work/prepared``; kept as it is when nothing has changed.

    Args:
        splits: The tables of `data.tables.load_splits`.
        task: A task whose answers are labels.
        recipe: How to train; its ``labels``, or those of the splits, become the model's.
        work: The run's folder.
        more: Articles without labels, text and title: for a vocabulary, and with ``unlabelled_passes`` to train on.

    Raises:
        DataError: Nothing can be learned from the labels (see `labels.label_problem`), or no article without one is
            left to train on.
        SettingError: ``balance`` is set for many labels; the base reads less than ``max_tokens`` or ``train_tokens``,
            or no ``window``; what needs a teacher has none; the descriptions or ``keep_vocabulary`` do not fit.
        BaseModelError: The base or the teacher does not fit.
    """
    require_teacher(recipe)
    labels = run_labels(splits, task, recipe.labels, source=recipe.data)
    if recipe.balance and len(labels) != 2:
        raise SettingError(f"balance shifts a decision between two labels; there are {len(labels)}: leave it out")
    texts = {split: joined(frame) for split, frame in splits.items()}
    more_text = [join_article((title, text)) for text, title in more]
    classes = classes_of(splits, labels)
    weights = article_weights(splits["train"], classes["train"].tolist(), balance_sources=recipe.balance_sources)
    sources = _weighed_sources(splits, recipe)
    described = read_descriptions(Path(recipe.descriptions), labels) if recipe.descriptions else {}
    key = key_of(
        itertools.chain(*texts.values(), more_text),
        *(getattr(recipe, name) for name in _PREPARES),
        *(part.tolist() for part in classes.values()),
        labels,
        [*described.items()],
        *([] if weights is None else [weights]),
        sources or [],
    )
    folder = work / "prepared"
    known = read_prepared(folder)
    if known is not None and known.key == key:
        logger.info("tokens, targets and first weights: from %s", folder)
        return known
    torch.manual_seed(recipe.seed)
    base = None if recipe.starter else _load_base(task, recipe, labels)  # first: what is wrong with it is said at once
    extra = chosen(more, splits, recipe)
    teacher = teacher_probabilities(texts["train"], classes["train"], labels, recipe, work)
    shares = np.bincount(classes["train"], minlength=len(labels)) / len(classes["train"])
    pseudo = pseudo_targets(extra.texts, shares, labels, recipe, work, described=described)
    if base is None:
        model, tokenizer = prepare_starter(task, texts["train"], more_text, recipe, work, labels=len(labels))
        name_labels(model, labels)
    else:
        model, tokenizer = base
        if recipe.keep_vocabulary:
            model, tokenizer = keep_tokens(
                model, tokenizer, [*texts["train"], *more_text], count=recipe.keep_vocabulary
            )
    require_length(model, recipe.base, max_tokens=recipe.at_once, train_tokens=recipe.train_tokens)
    tokenizer.model_max_length = recipe.max_tokens
    if recipe.window:
        if (kind := model.config.model_type) not in WINDOWED:
            raise SettingError(
                f"window={recipe.window}: a {kind} is not served in windows; leave it out, or take one of "
                f"{', '.join(sorted(WINDOWED))}"
            )
        setattr(model.config, WINDOW, recipe.window)
    targets = {split: smooth_targets(classes[split], len(labels), 0.0) for split in ("train", "validation")}
    targets["train"] = smooth_targets(classes["train"], len(labels), recipe.smoothing)
    if teacher is not None:
        targets["train"] = (1 - recipe.teacher) * targets["train"] + recipe.teacher * teacher
    room = recipe.at_once - tokenizer.num_special_tokens_to_add(pair=False)
    tables = {
        split: _columns(
            encode(tokenizer, texts[split], limit=room if split == "validation" else 4096),
            targets[split],
            classes[split],
        )
        for split in targets
    }
    if extra.rows:
        more_items = encode(tokenizer, extra.texts)
        further = _columns([more_items[i] for i in extra.rows], pseudo[extra.rows,], pseudo.argmax(1)[extra.rows,])
        tables["train"] = {name: [*column, *further[name]] for name, column in tables["train"].items()}
        weights = None if weights is None else [*weights, *[1.0] * len(extra.rows)]
    if weights is not None:
        logger.info("articles count by their weights, from %g to %g", min(weights), max(weights))
        tables["train"][WEIGHT] = weights
    if sources is not None:
        tables["validation"][SOURCE] = sources
    return write_prepared(folder, model=model, tokenizer=tokenizer, tables=tables, key=key)


def _load_base(task: Task, recipe: ClassifierRecipe, labels: Sequence[str]) -> tuple[Any, Any]:
    return load_base(
        task,
        recipe.base,
        labels=labels,
        dropout=recipe.dropout,
        keep_layers=recipe.keep_layers,
        convert_to=recipe.convert_to,
    )


def measure(splits: Frames, recipe: ClassifierRecipe, work: Path, model: Any, tokenizer: Any) -> dict[str, Any]:
    """Test figures of a trained model beside the baseline's; with ``balance`` the model's decision is shifted first.

    Args:
        splits: The tables of `data.tables.load_splits`.
        recipe: How it was trained.
        work: Folder that keeps the baseline's figures.
        model: The classifier, whose labels those of the splits are; its last bias takes the offset.
        tokenizer: Its tokenizer.
    """
    labels = labels_of(model)
    classes = classes_of(splits, labels)
    texts = {split: joined(splits[split]) for split in ("validation", *_measured(splits))}

    def ask(split: str) -> NDArray[np.float32]:
        batch = recipe.per_device_eval_batch_size
        return predict_texts(
            model, tokenizer, texts[split], tokens=recipe.max_tokens, window=recipe.window, batch=batch
        )

    offset = 0.0
    if recipe.balance:
        offset = decision_offset(ask("validation"), classes["validation"], _weighed_sources(splits, recipe))
        _shift_decision(model, offset)
    figures = {
        split: evaluate(ask(split), classes[split], labels, splits[split]["source"].tolist())
        for split in _measured(splits)
    }
    baseline = _baseline(splits, classes, labels, recipe, work)
    for split, found in figures.items():
        logger.info(
            "%s: accuracy %.4f, macro-F1 %.4f; baseline: %.4f, %.4f",
            split, found["accuracy"], found["macro_f1"], baseline[split]["accuracy"], baseline[split]["macro_f1"],
        )  # fmt: skip
    return {"max_tokens": recipe.max_tokens, "decision_offset": offset, **figures, "baseline": baseline}


def figures_on(model: Any, tokenizer: Any, frame: pd.DataFrame, *, batch: int = 64) -> dict[str, Any]:
    """The figures of a trained classifier on a table of articles.

    Raises:
        DataError: An article has a label that the model was not trained to tell.
    """
    labels = labels_of(model)
    classes = classes_of({"": frame}, labels)[""]
    window = getattr(model.config, WINDOW, 0)
    tokens = tokenizer.model_max_length if window else min(tokenizer.model_max_length, 512)
    probabilities = predict_texts(model, tokenizer, joined(frame), tokens=tokens, window=window, batch=batch)
    return evaluate(probabilities, classes, labels, frame["source"].tolist())


def smooth_targets(classes: NDArray[np.int64], count: int, smoothing: float) -> NDArray[np.float32]:
    """One-hot rows (articles, classes) that give ``smoothing`` of their weight to all classes alike."""
    one_hot = np.eye(count, dtype=np.float32)[classes]
    return ((1 - smoothing) * one_hot + smoothing / count).astype(np.float32)


def classes_of(splits: Frames, labels: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """The class id of every article, by split."""
    return {split: np.asarray(class_ids(labels, frame), dtype=np.int64) for split, frame in splits.items()}


def _columns(
    items: Sequence[NDArray[np.int32]], targets: NDArray[np.float32], classes: NDArray[np.int64]
) -> dict[str, Any]:
    lengths = [len(item) for item in items]
    return {"input_ids": list(items), "labels": list(targets), "class": classes.tolist(), "length": lengths}


def _weighed_sources(splits: Frames, recipe: ClassifierRecipe) -> list[str] | None:
    """The sources of the validation articles where each is to count the same."""
    return [str(source) for source in splits["validation"]["source"]] if recipe.balance_sources else None


def _measured(splits: Frames) -> tuple[str, ...]:
    return ("test", OUT_OF_DOMAIN) if OUT_OF_DOMAIN in splits else ("test",)


def _shift_decision(model: Any, offset: float) -> None:
    """Add ``offset`` to the logit of the second class, in the bias of the model's last layer."""
    with torch.no_grad():
        last_layer_of(model).bias[1] += offset


def _baseline(
    splits: Frames,
    classes: dict[str, NDArray[np.int64]],
    labels: Sequence[str],
    recipe: ClassifierRecipe,
    work: Path,
) -> dict[str, Any]:
    """The baseline's figures per measured split; kept in ``work``, where other runs on the same articles find them."""
    texts = {split: joined(frame) for split, frame in splits.items()}
    cache = work / _BASELINE
    sources = _weighed_sources(splits, recipe)
    key = key_of(
        itertools.chain(*texts.values()), recipe.balance, sources or [], *(part.tolist() for part in classes.values())
    )
    if cache.exists():
        saved = json.loads(cache.read_text(encoding="utf-8"))
        if saved["key"] == key:
            figures: dict[str, Any] = saved["figures"]
            return figures
    logger.info("fitting the baseline")
    fitted = fit_baseline(texts["train"], classes["train"].tolist())
    predicted = {}
    for split in ("validation", *_measured(splits)):
        predicted[split] = np.zeros((len(texts[split]), len(labels)), dtype=np.float32)
        predicted[split][:, fitted.classes_] = fitted.predict_proba(texts[split])
    offset = decision_offset(predicted["validation"], classes["validation"], sources) if recipe.balance else 0.0
    figures = {
        split: evaluate(
            shifted(predicted[split], offset) if offset else predicted[split],
            classes[split],
            labels,
            splits[split]["source"].tolist(),
        )
        for split in _measured(splits)
    }
    cache.write_text(json.dumps({"key": key, "figures": figures}), encoding="utf-8")
    return figures
