"""The tokens that a graph is fed with."""

from __future__ import annotations

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import encode, padding_of, serving_tokenizer
from export.parity.articles import ARTICLES
from infolens.contract import Task


def test_left_padding_keeps_class_token_last(loaded: dict[Task, Checkpoint]) -> None:
    checkpoint = loaded[Task.VERACITY]
    batch = encode(serving_tokenizer(checkpoint), ["Rain.", *ARTICLES], padding_of(checkpoint), max_tokens=160)
    assert batch["input_ids"].shape == (1 + len(ARTICLES), 160)
    tokenizer = checkpoint.tokenizer
    assert (batch["input_ids"][:, -2:] == [tokenizer.sep_token_id, tokenizer.cls_token_id]).all()
    assert (batch["token_type_ids"][:, -1] == 2).all()
    padded = batch["attention_mask"] == 0
    assert padded[0, 0]
    assert (batch["token_type_ids"][padded] == 3).all()
