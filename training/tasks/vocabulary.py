"""A smaller vocabulary for a pre-trained model: the tokens that its texts need, and the characters of all others.

The embedding of a small model is most of it: 30,522 tokens of width 384 are 11.7 M of the 22.7 M weights of MiniLM.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from training.errors import SettingError
from training.loop.batches import encode
from training.models.tokenization import with_backend

logger = logging.getLogger(__name__)

_SAMPLE: Final = 5_000
"""Texts by which it is measured how much longer they become."""


def keep_tokens(model: Any, tokenizer: Any, texts: Sequence[str], *, count: int) -> tuple[Any, Any]:
    """Leave out all but ``count`` tokens of a WordPiece vocabulary: ``(model, tokenizer)``; the model is changed.

    Kept are special tokens, all single characters, at the beginning of a word and within it, and of the rest those that
    are most frequent in the texts. Every word is then read as before or in smaller pieces: none becomes unknown. Ids
    follow one another in the old order.

    Args:
        model: A model of `transformers`, whose embedding and configuration follow the vocabulary.
        tokenizer: Its tokenizer.
        texts: What the frequencies are counted in.
        count: How many tokens are kept; as many as there are, or more, change nothing.

    Raises:
        SettingError: The tokenizer is no WordPiece, or ``count`` is less than what must stay.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    if (kind := state["model"]["type"]) != "WordPiece":
        raise SettingError(
            f"keep_vocabulary={count}: only tokens of a WordPiece can be left out one by one, and the base's tokenizer "
            f"is a {kind}; leave it out"
        )
    vocabulary: dict[str, int] = state["model"]["vocab"]
    needed = _needed(state)
    if count < len(needed):
        raise SettingError(
            f"keep_vocabulary is {len(needed)} or more for this base, whose special tokens and single characters all "
            f"stay, not {count}"
        )
    if count >= len(vocabulary):
        logger.info("the vocabulary has %d tokens, no more than keep_vocabulary: all are kept", len(vocabulary))
        return model, tokenizer
    frequency = np.zeros(max(vocabulary.values()) + 1, np.int64)
    for ids in encode(tokenizer, texts):
        frequency += np.bincount(ids, minlength=len(frequency))
    rest = sorted((number for number in vocabulary.values() if number not in needed), key=lambda n: (-frequency[n], n))
    kept = sorted(needed | set(rest[: count - len(needed)]))
    smaller = with_backend(tokenizer, Tokenizer.from_str(json.dumps(_renumbered(state, kept))))
    _shrink(model, kept)
    sample = np.random.default_rng(0).permutation(len(texts))[:_SAMPLE]
    before, after = (
        sum(map(len, encode(each, [texts[i] for i in sample], limit=10**9))) for each in (tokenizer, smaller)
    )
    logger.info(
        "kept %d of %d tokens, with %.2f %% of what the texts are made of; %d texts become %.1f %% longer",
        len(kept), len(vocabulary), 100 * frequency[kept].sum() / max(1, frequency.sum()), len(sample),
        100 * (after / max(1, before) - 1),
    )  # fmt: skip
    return model, smaller


def _needed(state: Mapping[str, Any]) -> set[int]:
    """The ids of the tokens that stay: special ones, single characters, and what is made of no such."""
    within = state["model"]["continuing_subword_prefix"]
    vocabulary: dict[str, int] = state["model"]["vocab"]
    needed = {int(token["id"]) for token in state["added_tokens"]} | {vocabulary[state["model"]["unk_token"]]}
    for token, number in vocabulary.items():
        inner = token.startswith(within) and token != within
        characters = token.removeprefix(within) if inner else token
        parts = [f"{within}{one}" if inner or place else one for place, one in enumerate(characters)]
        if len(parts) == 1 or any(part not in vocabulary for part in parts):
            needed.add(number)
    return needed


def _renumbered(state: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The ``tokenizer.json`` with the kept tokens alone; all but ids is as it was."""
    new = {old: number for number, old in enumerate(kept)}
    result: dict[str, Any] = json.loads(json.dumps(state))
    tokens = sorted((new[old], token) for token, old in state["model"]["vocab"].items() if old in new)
    result["model"]["vocab"] = {token: number for number, token in tokens}
    for token in result["added_tokens"]:
        token["id"] = new[token["id"]]
    if result.get("padding"):
        result["padding"]["pad_id"] = new[result["padding"]["pad_id"]]
    after = result.get("post_processor") or {}
    for each in after.get("processors", [after]):
        for special in each.get("special_tokens", {}).values():  # TemplateProcessing
            special["ids"] = [new[old] for old in special["ids"]]
        for role in ("cls", "sep"):  # BertProcessing, RobertaProcessing
            if role in each:
                each[role][1] = new[each[role][1]]
    return result


def _shrink(model: Any, kept: Sequence[int]) -> None:
    """Keep the embeddings of the kept ids, in their order, and renumber what the configuration names."""
    new = {old: number for number, old in enumerate(kept)}
    old: nn.Embedding = model.get_input_embeddings()
    padding = None if old.padding_idx is None else new[old.padding_idx]
    rows: NDArray[np.int64] = np.asarray(kept, np.int64)
    weights = old.weight.detach()[torch.from_numpy(rows)].clone()
    model.set_input_embeddings(nn.Embedding.from_pretrained(weights, freeze=False, padding_idx=padding))
    model.config.vocab_size = len(kept)
    for role in ("pad", "bos", "eos", "sep", "cls", "mask", "unk"):
        name = f"{role}_token_id"
        if (value := getattr(model.config, name, None)) is not None:
            setattr(model.config, name, new.get(value))
