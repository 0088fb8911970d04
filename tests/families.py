"""Small classifiers of the families that news checkpoints come in: random weights, tokenizers of the real kinds.

==============  =================================  =======================================
``model_type``  tokenizer                          one text becomes
==============  =================================  =======================================
``bert``        WordPiece, uncased                 ``[CLS] text [SEP]``
``roberta``     byte-level BPE, cased              ``<s> text </s>``, positions from 2 on
``deberta-v2``  Unigram with Metaspace, cased      ``[CLS] text [SEP]``, relative positions
==============  =================================  =======================================

The trainers of tokenizers break ties in any order, so vocabularies, and with them the weights, differ a little from run
to run: save a checkpoint and load it where two things must agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

TEXTS: Final = (
    "The council voted on the budget for the harbour and the bridge.",
    "You will not believe what this secret cure does to your doctor!",
    "The striker scored a goal, and the team won the match 3:1 in Málaga.",
    "The beach hotel on the island has a view of the sea at 80 euros a night.",
)
"""Enough words for a vocabulary where a test has none of its own."""


def bert(labels: Sequence[str], texts: Iterable[str] = TEXTS, **changes: Any) -> tuple[Any, Any]:
    """A BERT classifier as of bert-base-uncased, small; arguments as of `checkpoint`."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=specials, show_progress=False)
    backend.train_from_iterator(_repeated(texts), trainer)
    tokenizer: Any = BertTokenizer(vocab=backend.get_vocab(), model_max_length=64)
    shape = _shape(tokenizer, labels) | {"max_position_embeddings": 64}
    return _stirred(BertForSequenceClassification(BertConfig(**shape | changes))), tokenizer


def roberta(labels: Sequence[str], texts: Iterable[str] = TEXTS, **changes: Any) -> tuple[Any, Any]:
    """A RoBERTa classifier as of roberta-base, small; arguments as of `checkpoint`."""
    from transformers import RobertaConfig, RobertaForSequenceClassification, RobertaTokenizer

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_repeated(texts), trainer)
    merges = [tuple(pair) for pair in json.loads(backend.to_str())["model"]["merges"]]
    tokenizer: Any = RobertaTokenizer(vocab=backend.get_vocab(), merges=merges, model_max_length=64)
    # The first position is the one after the padding token's id: 64 tokens need 66 embeddings.
    shape = _shape(tokenizer, labels) | {"max_position_embeddings": 66, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    return _stirred(RobertaForSequenceClassification(RobertaConfig(**shape | changes))), tokenizer


def deberta_v2(labels: Sequence[str], texts: Iterable[str] = TEXTS, **changes: Any) -> tuple[Any, Any]:
    """A DeBERTa classifier as of deberta-v3-base, whose type is ``deberta-v2``; arguments as of `checkpoint`."""
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification, DebertaV2Tokenizer

    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=specials, unk_token="[UNK]", show_progress=False)
    backend.train_from_iterator(_repeated(texts), trainer)
    pieces = [(piece, score) for piece, score in json.loads(backend.to_str())["model"]["vocab"]]
    tokenizer: Any = DebertaV2Tokenizer(vocab=pieces, model_max_length=64)
    relative = {
        "relative_attention": True, "position_buckets": 16, "max_relative_positions": -1,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False, "share_att_key": True, "norm_rel_ebd": "layer_norm", "type_vocab_size": 0,
        "max_position_embeddings": 64, "layer_norm_eps": 1e-7, "pooler_dropout": 0.0, "pooler_hidden_act": "gelu",
    }  # fmt: skip
    shape = _shape(tokenizer, labels) | relative
    return _stirred(DebertaV2ForSequenceClassification(DebertaV2Config(**shape | changes))), tokenizer


FAMILIES: Final[dict[str, Callable[..., tuple[Any, Any]]]] = {
    "bert": bert,
    "roberta": roberta,
    "deberta-v2": deberta_v2,
}
"""``model_type`` -> what makes a model and its tokenizer."""


def checkpoint(
    folder: Path, model_type: str, labels: Sequence[str], texts: Iterable[str] = TEXTS, **changes: Any
) -> Path:
    """Write a checkpoint folder and return it.

    Args:
        folder: Where.
        model_type: One of `FAMILIES`.
        labels: The names of the classes, in the order of their ids.
        texts: What the tokenizer's vocabulary is learned from.
        changes: Fields of the model's configuration, such as ``num_hidden_layers=3``.
    """
    model, tokenizer = FAMILIES[model_type](labels, texts, **changes)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _repeated(texts: Iterable[str]) -> list[str]:
    """The trainers leave out what is rare."""
    return [*texts] * 4


def _shape(tokenizer: Any, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "initializer_range": 0.15,  # wide enough for articles to get different answers
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def _stirred(model: Any, *, seed: int = 0) -> Any:
    """Random weights in which no bias is 0 and no scale is 1, so that none may be left out unseen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.1 if parameter.ndim == 1 else model.config.initializer_range
            centre = 1.0 if "LayerNorm.weight" in name else 0.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale + centre)
        embeddings = model.get_input_embeddings()
        if embeddings.padding_idx is not None:
            embeddings.weight[embeddings.padding_idx] = 0
    return model.eval()
