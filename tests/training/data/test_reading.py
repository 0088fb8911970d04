"""What training reads of an article is what the server reads of it: the same text, and the same ids of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer

from serving.backends.tokenizer.model import BadInputError, join_article
from training.loop.batches import collate, encode, joined
from training.models.tokenization import load_tokenizer, train_byte_bpe, train_unigram, train_wordpiece

ARTICLES = sorted((Path(__file__).parents[2] / "articles").glob("*.txt"))
TEXTS = [path.read_text(encoding="utf-8") for path in ARTICLES]
NASTY = (
    "", " ", "\n", "\t\r\n", "\x00", "\ufeff", "\u00a0", "\u200b", "\x1f", "\x85", "\u2028",
    "A title", " A title\r\n", "\ufeffA title", "A\x00title", "\x07A\x1btitle\x7f", "A\r\ntitle\r\n",
    "\u00a0A title\u00a0", "\u200bA title\u200d", "A\u0085title\u2029", "\x0b\x0cA title\x1c", "A\n\n\ntitle",
    "\u3000标题\u3000", "e\u0301té 😀", "</s> A <s> title [SEP] <cls>",
)  # fmt: skip
"""Titles and texts with what web pages leave in them: control characters, blanks of every kind, marks, line ends."""


def _served(title: str, text: str) -> str | None:
    """What the server's tokenizer makes of an article; None where it refuses it."""
    options: Any = SimpleNamespace(
        reads=("title", "text"),
        required=frozenset({"text"}),
        max_article_bytes=262_144,
        latin_only=True,
        source=False,
    )
    try:
        return join_article({"title": title.encode(), "text": text.encode()}, options)
    except BadInputError:
        return None


def test_an_article_is_joined_as_the_server_joins_it() -> None:
    titles, texts = zip(*(text.split("\n", 1) for text in TEXTS), strict=True)
    pairs = [*zip(titles, texts, strict=True), *((title, text) for title in NASTY for text in NASTY)]
    read = joined(pd.DataFrame(pairs, columns=["title", "text"]))
    refused = 0
    for (title, text), mine in zip(pairs, read, strict=True):
        served = _served(title, text)
        refused += served is None
        assert served is None or mine == served, (title, text)
    assert len(ARTICLES) > 10
    assert 0 < refused < len(pairs)


@pytest.fixture(scope="module", params=[train_byte_bpe, train_wordpiece, train_unigram])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    train: Callable[..., Any] = request.param
    folder = tmp_path_factory.mktemp("tokenizer")
    train(TEXTS, vocabulary=600, max_length=64).save_pretrained(folder)
    return load_tokenizer(folder)


def test_batches_are_what_the_tokenizer_makes(tokenizer: Any) -> None:
    texts = [*TEXTS[:3], *(text for text in NASTY if text.strip()), "A title"]
    room = 64 - tokenizer.num_special_tokens_to_add(pair=False)
    mine = collate(tokenizer, [ids[:room] for ids in encode(tokenizer, texts)], types=True)
    # A special token that an article spells is text to the server, so it is text here.
    theirs = tokenizer(
        texts,
        truncation=True,
        max_length=64,
        padding=True,
        split_special_tokens=True,
        return_token_type_ids=True,
        return_tensors="np",
    )
    assert set(mine) == set(theirs) == {"input_ids", "attention_mask", "token_type_ids"}
    for name, tensor in mine.items():
        np.testing.assert_array_equal(tensor.numpy(), theirs[name], err_msg=name)


def test_a_special_token_that_an_article_spells_is_read_as_the_server_reads_it(tokenizer: Any) -> None:
    text = f"A {tokenizer.sep_token} title {tokenizer.pad_token} {tokenizer.cls_token}"
    served = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    served.encode_special_tokens = True
    for before in (False, True):
        tokenizer.backend_tokenizer.encode_special_tokens = before
        assert encode(tokenizer, [text])[0].tolist() == served.encode(text, add_special_tokens=False).ids
        assert tokenizer.backend_tokenizer.encode_special_tokens is before
