"""How the tokenizer backend spreads windows over an article that has more tokens than all of them, without Triton."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends.tokenizer.model import ArticleTokenizer
from tests.serving.backends.tokenizer.test_backend_tokenizer import ask, column, config
from tests.serving.graphs import write_tokenizer

WINDOWS = {"max_tokens": "24", "buckets": "4,8,16,24", "window": "8", "spread": "1"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path)
    return path


def wide(path: Path, **changes: str) -> ArticleTokenizer:
    made = config(**(WINDOWS | changes))
    made["output"] = [tensor for tensor in made["output"] if tensor["name"] != "token_type_ids"]
    return ArticleTokenizer(path, made)


def test_windows_lie_all_over_a_long_article_and_what_is_left_out_is_counted(path: Path) -> None:
    text = b"goal goal goal goal goal goal. " + b"a match. " * 20 + b"The last minute won."
    answer = ask(wide(path), text)
    windows, mask = answer["input_ids"].reshape(3, 8), answer["attention_mask"].reshape(3, 8)
    assert windows[:, 0].tolist() == [0, 0, 0]
    read = int(mask.sum()) - 3 * 2
    assert answer["tokens"].tolist() == [[7 + 60 + 5 + 2]]
    assert answer["truncated_tokens"].tolist() == [[72 - read]]
    assert (windows[0, 1:7] == windows[0, 1]).all()  # the beginning
    beginning = ask(wide(path, spread="0"), text)
    assert not np.array_equal(beginning["input_ids"], answer["input_ids"])
    assert beginning["truncated_tokens"].item() >= 72 - 18


def test_an_article_that_fits_is_read_whole_spread_or_not(path: Path) -> None:
    for text in (b"a goal", b"A goal won. The match.", b"a goal in a match. " * 3):
        whole = ask(wide(path), text)
        assert whole["truncated_tokens"].item() == 0
        for name, array in ask(wide(path, spread="0"), text).items():
            np.testing.assert_array_equal(array, whole[name])


def test_rows_are_alike_alone_and_beside_others(path: Path) -> None:
    tokenizer = wide(path)
    texts = (b"a goal", b"a match. " * 30, b"A goal won. The match was in the last minute.")
    together: Any = tokenizer([{"text": column(*texts), "title": None}])[0]
    for row, text in enumerate(texts):
        alone = ask(tokenizer, text)
        length = alone["input_ids"].shape[1]
        np.testing.assert_array_equal(together["input_ids"][row, :length], alone["input_ids"][0])
        assert together["truncated_tokens"][row] == alone["truncated_tokens"][0]


def test_another_word_for_spread_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="spread is one of"):
        wide(path, spread="yes")
