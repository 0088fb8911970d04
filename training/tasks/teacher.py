"""What a classifier learns besides its labels: a teacher's probabilities.

The teacher is the TF-IDF baseline, out of fold, or a larger classifier (distillation; Hinton et al., 2015). It also
gives targets to articles without labels, and may be told in sentences what the labels are about (see `descriptions`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from infolens.labels import SINGLE_LABEL
from reading.spread import WINDOW
from training.data.labels import shown
from training.errors import BaseModelError, SettingError
from training.loop.prediction import on_device
from training.loop.windows import predict_texts
from training.metrics.baseline import out_of_fold
from training.models.architectures import (
    architecture_of,
    labels_of,
    load_whole,
    naming_base,
    read_config,
    read_tokenizer,
)
from training.recipes.kinds import ClassifierRecipe

from .descriptions import description_scores
from .kept import kept

logger = logging.getLogger(__name__)


def require_teacher(recipe: ClassifierRecipe) -> None:
    """Check that what a recipe makes of unlabelled articles has all that it needs.

    Raises:
        SettingError: There is no teacher model, no unlabelled article to train on, or no encoder.
    """
    if recipe.unlabelled_passes and not recipe.teacher_model:
        raise SettingError(
            f"unlabelled_passes={recipe.unlabelled_passes:g}: the targets of articles without labels are those of a "
            "teacher model: name one with teacher_model, or leave unlabelled_passes out"
        )
    for name in ("descriptions", "unlabelled_balance"):
        if getattr(recipe, name) and not recipe.unlabelled_passes:
            raise SettingError(
                f"{name} changes the targets of unlabelled articles, and unlabelled_passes=0 trains on none: set that "
                f"above 0, or leave {name} out"
            )
    if recipe.descriptions and recipe.starter and not recipe.descriptions_model:
        raise SettingError(
            "descriptions are compared with articles by an encoder, which a starter has not before it is trained: name "
            "one with descriptions_model, such as sentence-transformers/all-MiniLM-L6-v2"
        )


def teacher_probabilities(
    texts: Sequence[str], classes: NDArray[np.int64], labels: Sequence[str], recipe: ClassifierRecipe, work: Path
) -> NDArray[np.float32] | None:
    """Probabilities float32 (articles, labels) for the training articles, where the recipe asks for a teacher.

    Args:
        texts: The training articles.
        classes: Their class ids, int64 (articles,).
        labels: The run's labels by class id; a teacher's may stand in another order.
        recipe: Says which teacher.
        work: Folder that keeps what a model has answered.

    Raises:
        BaseModelError: The teacher cannot be loaded, has other labels, or gives no probabilities of single labels.
    """
    if not recipe.teacher:
        return None
    if not recipe.teacher_model:
        logger.info("baseline as teacher: out-of-fold probabilities")
        return out_of_fold(texts, classes, classes=len(labels), seed=recipe.seed)
    return _answers(texts, labels, recipe, work)


def pseudo_targets(
    texts: Sequence[str],
    shares: NDArray[np.float64],
    labels: Sequence[str],
    recipe: ClassifierRecipe,
    work: Path,
    *,
    described: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> NDArray[np.float32]:
    """What the teacher model says of articles without labels: probabilities float32 (articles, labels).

    With ``unlabelled_balance`` tau the logarithms of its probabilities lose ``tau * log(share)`` of each label, since
    the labelled articles' shares are not those of other collections (logit adjustment; Menon et al., 2021, "Long-tail
    learning via logit adjustment"); with ``descriptions`` they gain ``descriptions_weight`` times the scores of
    `descriptions.description_scores`.

    Args:
        texts: The articles.
        shares: How much of the labelled training articles has each label, float64 (labels,).
        labels: The run's labels by class id.
        recipe: Says which teacher.
        work: Folder that keeps what models have answered.
        described: Label -> sentences about it, in the order of ``labels``.

    Raises:
        BaseModelError: The teacher or the encoder cannot be loaded, or the teacher does not fit, as above.
    """
    if not texts:
        return np.zeros((0, len(labels)), np.float32)
    found = _answers(texts, labels, recipe, work)
    logs = np.log(np.maximum(found.astype(np.float64), np.finfo(np.float32).tiny))
    least = 1e-6  # of a label that no article has
    logs -= recipe.unlabelled_balance * np.log(np.maximum(shares, least))
    if described:
        encoder = recipe.descriptions_model or recipe.base
        logger.info("descriptions of %d labels: %s, compared by %s", len(labels), recipe.descriptions, encoder)
        parts = (encoder, recipe.teacher_tokens, [*described.items()])
        scores = kept(
            work / "descriptions", texts, parts, lambda: description_scores(texts, described, encoder, recipe)
        )
        logs += recipe.descriptions_weight * scores
    powers = np.exp(logs - logs.max(1, keepdims=True))
    result: NDArray[np.float32] = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
    changed = float((result.argmax(1) != found.argmax(1)).mean())
    counted = np.bincount(result.argmax(1), minlength=len(labels)).tolist()
    logger.info(
        "unlabelled articles by their most probable label: %s; for %.1f %% it is another than the teacher's own",
        ", ".join(f"{label} {count}" for label, count in zip(labels, counted, strict=True)), 100 * changed,
    )  # fmt: skip
    return result


def _answers(texts: Sequence[str], labels: Sequence[str], recipe: ClassifierRecipe, work: Path) -> NDArray[np.float32]:
    logger.info("teacher: %s", recipe.teacher_model)
    parts = (recipe.teacher_model, recipe.teacher_tokens, tuple(labels))
    return kept(work / "teacher", texts, parts, lambda: _ask(texts, labels, recipe))


def _ask(texts: Sequence[str], labels: Sequence[str], recipe: ClassifierRecipe) -> NDArray[np.float32]:
    """What the teacher model answers, in the order of our labels."""
    from transformers import AutoModelForSequenceClassification

    base = f"teacher_model {recipe.teacher_model}"
    config = read_config(
        recipe.teacher_model, "give teacher_model a classifier's checkpoint, or leave it out for the TF-IDF baseline"
    )
    with naming_base(base):
        tokenizer = read_tokenizer(recipe.teacher_model, config)
        model = load_whole(AutoModelForSequenceClassification, recipe.teacher_model)
    kind = model.config.problem_type or SINGLE_LABEL
    if kind != SINGLE_LABEL:
        raise BaseModelError(
            f"teacher_model {recipe.teacher_model}: its problem_type is {kind}; a teacher's is {SINGLE_LABEL}, for its "
            "probabilities must sum to 1 over the labels"
        )
    theirs = labels_of(model)
    if set(theirs) != set(labels):
        raise BaseModelError(
            f"teacher_model {recipe.teacher_model}: its labels are {shown(theirs)}; those of this run are "
            f"{shown(labels)}: a teacher tells the same labels, in any order"
        )
    limit = architecture_of(model.config.model_type).limit(model.config) or recipe.teacher_tokens
    at_once = getattr(model.config, WINDOW, 0) or min(tokenizer.model_max_length, limit)
    found = predict_texts(
        on_device(model, precision=recipe.precision),
        tokenizer,
        texts,
        tokens=recipe.teacher_tokens,
        window=at_once if at_once < recipe.teacher_tokens else 0,
    )
    return found[:, [theirs.index(label) for label in labels]]
