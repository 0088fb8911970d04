"""What labels mean, in sentences, and how much an article is like those of each label.

A label that a classifier knows from its training articles alone is narrower than its name: politics is then those of
one country. Sentences that describe the labels widen it without a labelled article, as in zero-shot classification by
label descriptions (Yin et al., 2019, "Benchmarking Zero-shot Text Classification"). Articles and sentences are compared
as Sentence-BERT compares texts (Reimers & Gurevych, 2019): by the cosine of the means of an encoder's token states.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from infolens.types import is_blank
from training.data.labels import shown
from training.errors import SettingError
from training.loop.batches import Ids, collate, encode, length_sorted, special_tokens
from training.loop.prediction import on_device
from training.loop.windows import Windows
from training.models.architectures import architecture_of, load_whole, naming_base, read_config, read_tokenizer
from training.progress.bars import track
from training.recipes.kinds import ClassifierRecipe
from training.recipes.settings import read_toml

logger = logging.getLogger(__name__)

_SCALE: Final = 20.0
"""By which cosines are multiplied, as when sentence encoders are trained: they differ by few tenths."""
_WINDOW: Final = 128
"""Tokens of a window of a long article: sentence encoders are trained on short texts."""


def read_descriptions(path: Path, labels: Sequence[str]) -> dict[str, list[str]]:
    """Read sentences that describe labels from a TOML file with ``label = ["sentence", ...]``: label -> its sentences.

    Args:
        path: The file.
        labels: Those of the run, in whose order the result stands.

    Raises:
        SettingError: It cannot be read, lacks a label or has others, or a label has no sentence.
    """
    said = read_toml(path)
    if missing := [label for label in labels if label not in said]:
        raise SettingError(f"descriptions {path}: says nothing of {shown(missing)}; each label needs sentences")
    if others := [label for label in said if label not in labels]:
        raise SettingError(
            f"descriptions {path}: describes {shown(others)}; the labels of this run are {shown(labels)}: take out "
            "what is not theirs"
        )
    for label, sentences in said.items():
        texts = isinstance(sentences, list) and all(isinstance(one, str) and not is_blank(one) for one in sentences)
        if not (texts and sentences):
            raise SettingError(
                f"descriptions {path}: {label!r} is a list of one or more sentences, such as "
                f'["news of firms and markets"], not {sentences!r}'
            )
    return {label: list(said[label]) for label in labels}


def description_scores(
    texts: Sequence[str], descriptions: Mapping[str, Sequence[str]], encoder: str, recipe: ClassifierRecipe
) -> NDArray[np.float32]:
    """How much articles are like the descriptions of each label, as logarithms, float32 (articles, labels).

    The score of a window is the logarithm of the mean of ``exp(20 * cosine)`` over a label's sentences; that of an
    article is the mean over its windows, in which each weighs as many tokens as it has.

    Args:
        texts: The articles.
        descriptions: Label -> its sentences.
        encoder: Hub id or checkpoint folder of the encoder.
        recipe: Says how much of an article is read, and in which precision.

    Raises:
        BaseModelError: The encoder cannot be loaded.
    """
    from transformers import AutoModel

    base = f"descriptions_model {encoder}"
    config = read_config(encoder, "give descriptions_model the checkpoint of an encoder")
    with naming_base(base):
        record = architecture_of(config.model_type)
        tokenizer = read_tokenizer(encoder, config)
        model = on_device(load_whole(AutoModel, encoder, untrained=("pooler",)), precision=recipe.precision)
    tokens = min(recipe.teacher_tokens, record.limit(config) or recipe.teacher_tokens)
    window = min(_WINDOW, tokens)
    windows = Windows(tokenizer, texts, tokens=recipe.teacher_tokens, window=window)
    room = window - special_tokens(tokenizer)
    of_windows = embed(model, tokenizer, windows.items)
    of_labels = [embed(model, tokenizer, encode(tokenizer, list(mine), limit=room)) for mine in descriptions.values()]
    scores = [np.logaddexp.reduce(_SCALE * of_windows @ mine.T, axis=1) - np.log(len(mine)) for mine in of_labels]
    return windows.mean(np.stack(scores, axis=1)).astype(np.float32)


def embed(model: Any, tokenizer: Any, items: Sequence[Ids], *, batch: int = 64) -> NDArray[np.float32]:
    """Vectors of length 1, float32 (texts, width): the mean of the states of each text's tokens, special ones included.

    Args:
        model: An encoder of `transformers`.
        tokenizer: Its tokenizer.
        items: Token ids of the texts, without special ones; no more than it reads.
        batch: Texts at once.
    """
    types = architecture_of(model.config.model_type).token_types
    result = np.zeros((len(items), model.get_input_embeddings().embedding_dim), np.float32)
    with torch.inference_mode():
        batches = list(length_sorted([len(item) for item in items], batch=batch))
        for rows in track(batches, "comparing with descriptions", unit="inputs", weight=batch):
            inputs = collate(tokenizer, [items[i] for i in rows], types=types)
            inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
            states = model(**inputs).last_hidden_state.float()
            mask = inputs["attention_mask"][..., None].float()
            mean = (states * mask).sum(1) / mask.sum(1)
            result[rows] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
    return result
