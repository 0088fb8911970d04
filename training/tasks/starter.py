"""Prepare a small classifier that is trained from scratch: its tokenizer, its warm embeddings, its weights.

What takes minutes is kept in the work folder, so that a run that was stopped begins again where it was.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infolens.contract import Task
from training.errors import BaseModelError
from training.loop.batches import encode
from training.models.architectures import Starter, architectures, usual_architecture
from training.models.embeddings import cooccurrence_embeddings
from training.models.tokenization import load_tokenizer
from training.recipes.kinds import ClassifierRecipe

logger = logging.getLogger(__name__)

_SAMPLE = 60_000
"""Texts that the tokenizer learns from, and..."""
_SAMPLE_CHARACTERS = 1_500
"""...how much of each."""
_EMBEDDING_TOKENS = 512
"""How much of each text the co-occurrence counts read."""


def key_of(texts: Iterable[str], *parts: object) -> str:
    """A key that changes with any text and any of the further ``parts``."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=16)
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def prepare_starter(
    task: Task, texts: Sequence[str], more_text: Sequence[str], recipe: ClassifierRecipe, work: Path, *, labels: int
) -> tuple[Any, Any]:
    """Build the starter of a task, of its contract's architecture: ``(model, tokenizer)``.

    Args:
        task: A task whose answers are labels.
        texts: The training split.
        more_text: Text without labels.
        recipe: Sizes, dropout and seed.
        work: Folder that keeps the tokenizer and the embeddings, in ``starter/``.
        labels: How many labels the model tells.

    Raises:
        BaseModelError: The architecture has no starter.
    """
    usual = usual_architecture(task)
    if usual.starter is None:
        with_starter = ", ".join(sorted(name for name, record in architectures().items() if record.starter))
        raise BaseModelError(
            f"{task.value}: there is no starter of the architecture {usual.model_type} ({with_starter} have one): name "
            f"a base with --base, such as {usual.example}"
        )
    tokenizer, vectors = _prepared(usual.model_type, usual.starter, [*texts, *more_text], recipe, work / "starter")
    model = usual.starter.build(
        tokenizer,
        layers=recipe.layers,
        width=recipe.width,
        heads=recipe.heads,
        dropout=recipe.dropout,
        max_length=max(512, recipe.max_tokens),
        labels=labels,
    )
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.from_numpy(vectors))
    return model, tokenizer


def _prepared(
    model_type: str, kind: Starter, every: Sequence[str], recipe: ClassifierRecipe, folder: Path
) -> tuple[Any, Any]:
    key = key_of(every, model_type, recipe.vocabulary, recipe.width, recipe.seed)
    if (folder / "key").exists() and (folder / "key").read_text(encoding="utf-8") == key:
        logger.info("tokenizer and embeddings: from %s", folder)
        return load_tokenizer(folder), np.load(folder / "embeddings.npy")
    sample = np.random.default_rng(recipe.seed).permutation(len(every))[:_SAMPLE]
    logger.info("training the tokenizer: %d tokens", recipe.vocabulary)
    tokenizer = kind.train_tokenizer(
        [every[i][:_SAMPLE_CHARACTERS] for i in sample],
        vocabulary=recipe.vocabulary,
        max_length=recipe.max_tokens,
    )
    logger.info("starting the embeddings from %d texts", len(every))
    documents = encode(tokenizer, every, limit=_EMBEDDING_TOKENS)
    vectors = cooccurrence_embeddings(documents, vocabulary=len(tokenizer), width=recipe.width, seed=recipe.seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer.save_pretrained(folder)
    np.save(folder / "embeddings.npy", vectors)
    (folder / "key").write_text(key, encoding="utf-8")  # last: it says that the rest is whole
    return tokenizer, vectors
