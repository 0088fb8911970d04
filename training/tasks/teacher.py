"""What a teacher thinks of the training articles: the TF-IDF baseline, out of fold, or a larger classifier."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from infolens.labels import SINGLE_LABEL
from training.data.labels import shown
from training.errors import BaseModelError
from training.loop.batches import encode
from training.loop.prediction import predict
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

logger = logging.getLogger(__name__)

_MOST_TOKENS = 512
"""How much of an article a teacher reads, if it can."""


def teacher_probabilities(
    texts: Sequence[str], classes: NDArray[np.int64], labels: Sequence[str], recipe: ClassifierRecipe
) -> NDArray[np.float32] | None:
    """Probabilities float32 (articles, labels) for the training articles, where the recipe asks for a teacher.

    Args:
        texts: The training articles.
        classes: Their class ids, int64 (articles,).
        labels: The run's labels by class id; a teacher's may stand in another order.
        recipe: Says which teacher.

    Raises:
        BaseModelError: The teacher cannot be loaded, has other labels, or gives no probabilities of single labels.
    """
    if not recipe.teacher:
        return None
    if not recipe.teacher_model:
        logger.info("baseline as teacher: out-of-fold probabilities")
        return out_of_fold(texts, classes, classes=len(labels), seed=recipe.seed)
    from transformers import AutoModelForSequenceClassification

    logger.info("teacher: %s", recipe.teacher_model)
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
    limit = architecture_of(model.config.model_type).limit(model.config) or _MOST_TOKENS
    tokens = min(tokenizer.model_max_length, limit, _MOST_TOKENS)
    found = predict(model, tokenizer, encode(tokenizer, texts), tokens=tokens)
    return found[:, [theirs.index(label) for label in labels]]
