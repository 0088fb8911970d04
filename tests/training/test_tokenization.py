from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from training.tokenization import train_byte_bpe, train_unigram, train_wordpiece

TEXTS = [f"The river rose {i} metres, and the town's café closed." for i in range(200)]


def _round_trip(tokenizer: Any, folder: Path) -> Any:
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_bart_kind(tmp_path: Path) -> None:
    tokenizer = _round_trip(train_byte_bpe(TEXTS, vocabulary=400, max_length=64), tmp_path)
    assert type(tokenizer).__name__ == "BartTokenizerFast"
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]) == [0, 1, 2, 3, 4]
    ids = tokenizer("The café 😀")["input_ids"]
    assert (ids[0], ids[-1]) == (0, 2)
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "The café 😀"  # bytes: nothing is unknown


def test_distilbert_kind(tmp_path: Path) -> None:
    tokenizer = _round_trip(train_wordpiece(TEXTS, vocabulary=400, max_length=64), tmp_path)
    assert type(tokenizer).__name__ == "DistilBertTokenizerFast"
    ids = tokenizer("THE Café", padding="max_length", max_length=12)["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens[0] == "[CLS]"
    assert "[SEP]" in tokens
    assert tokens[-1] == "[PAD]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the cafe"


def test_xlnet_kind(tmp_path: Path) -> None:
    tokenizer = _round_trip(train_unigram(TEXTS, vocabulary=300, max_length=64), tmp_path)
    assert type(tokenizer).__name__ == "XLNetTokenizerFast"
    encoded = tokenizer("The river", padding="max_length", max_length=24, return_token_type_ids=True)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens[-2:] == ["<sep>", "<cls>"]
    assert tokens[0] == "<pad>"  # on the left
    assert encoded["token_type_ids"][0] == 3
    assert encoded["token_type_ids"][-3:] == [0, 0, 2]
    assert tokenizer.build_inputs_with_special_tokens([9])[1:] == encoded["input_ids"][-2:]


@pytest.mark.parametrize("train", [train_byte_bpe, train_wordpiece, train_unigram])
def test_white_space_and_control_characters_make_no_difference(train: Any, tmp_path: Path) -> None:
    tokenizer = _round_trip(train(TEXTS, vocabulary=400, max_length=64), tmp_path)
    plain = tokenizer("The river rose")["input_ids"]
    assert tokenizer("  The\x00 \t\u00a0river\n\n ro\u200bse\x1f ")["input_ids"] == plain
