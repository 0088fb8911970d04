from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, BartConfig, DistilBertConfig, XLNetConfig, XLNetTokenizer

from training.models.tokenization import load_tokenizer, train_byte_bpe, train_unigram, train_wordpiece

TEXTS = [f"The river rose {i} metres, and the town's café closed." for i in range(200)]
KINDS = {BartConfig: train_byte_bpe, DistilBertConfig: train_wordpiece, XLNetConfig: train_unigram}


def _round_trip(tokenizer: Any, folder: Path) -> Any:
    tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)


def test_bart_kind(tmp_path: Path) -> None:
    tokenizer = _round_trip(train_byte_bpe(TEXTS, vocabulary=400, max_length=64), tmp_path)
    assert tokenizer.model_max_length == 64
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]) == [0, 1, 2, 3, 4]
    assert (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    encoded = tokenizer("The café 😀")
    assert set(encoded) == {"input_ids", "attention_mask"}
    ids = encoded["input_ids"]
    assert (ids[0], ids[-1]) == (0, 2)
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "The café 😀"  # bytes: nothing is unknown


def test_distilbert_kind(tmp_path: Path) -> None:
    tokenizer = _round_trip(train_wordpiece(TEXTS, vocabulary=400, max_length=64), tmp_path)
    encoded = tokenizer("THE Café", padding="max_length", max_length=12)
    assert set(encoded) == {"input_ids", "attention_mask"}
    ids = encoded["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens[0] == "[CLS]"
    assert "[SEP]" in tokens
    assert tokens[-1] == "[PAD]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the cafe"


def test_xlnet_kind(tmp_path: Path) -> None:
    tokenizer = _round_trip(train_unigram(TEXTS, vocabulary=300, max_length=64), tmp_path)
    encoded = tokenizer("The river", padding="max_length", max_length=24)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens[-2:] == ["<sep>", "<cls>"]
    assert tokens[0] == "<pad>"  # on the left
    assert encoded["token_type_ids"][-3:] == [0, 0, 2]
    assert {"<eod>", "<eop>"} <= set(tokenizer.all_special_tokens)


@pytest.mark.parametrize("train", KINDS.values())
def test_white_space_and_control_characters_make_no_difference(train: Any, tmp_path: Path) -> None:
    tokenizer = _round_trip(train(TEXTS, vocabulary=400, max_length=64), tmp_path)
    plain = tokenizer("The river rose")["input_ids"]
    assert tokenizer("  The\x00 \t\u00a0river\n\n ro\u200bse\x1f ")["input_ids"] == plain


@pytest.mark.parametrize(("config", "train"), KINDS.items())
def test_a_checkpoint_loads_for_everybody_as_it_was_trained(config: Any, train: Any, tmp_path: Path) -> None:
    """With the model's configuration beside it, other programs must not take it for their class of that name."""
    trained = train(TEXTS, vocabulary=400, max_length=64)
    before = trained.backend_tokenizer.to_str()
    trained.save_pretrained(tmp_path)
    config().save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).backend_tokenizer.to_str() == before
    assert load_tokenizer(tmp_path).backend_tokenizer.to_str() == before


def test_a_checkpoint_whose_class_would_read_otherwise_is_read_as_its_file_says(tmp_path: Path) -> None:
    """The class keeps no more than the vocabulary; tokenizer.json is what was trained with, and what serves."""
    backend = train_unigram(TEXTS, vocabulary=300, max_length=64).backend_tokenizer
    XLNetTokenizer(tokenizer_object=backend, model_max_length=64).save_pretrained(tmp_path)
    XLNetConfig().save_pretrained(tmp_path)
    nasty = "The\x00river\x1f rose"
    wanted = backend.encode(nasty).ids
    assert AutoTokenizer.from_pretrained(tmp_path)(nasty)["input_ids"] != wanted  # else nothing is shown here
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer(nasty)["input_ids"] == wanted
    assert (tokenizer.padding_side, tokenizer.model_max_length, tokenizer.cls_token) == ("left", 64, "<cls>")
    again = _round_trip(tokenizer, tmp_path / "again")
    assert again(nasty)["input_ids"] == wanted


def test_what_is_there_of_special_tokens_stays(tmp_path: Path) -> None:
    tokenizer = _round_trip(train_byte_bpe(TEXTS, vocabulary=400, max_length=64), tmp_path)
    mask = next(t for t in tokenizer.backend_tokenizer.get_added_tokens_decoder().values() if t.content == "<mask>")
    assert mask.lstrip


def test_a_vocabulary_without_tokenizer_json_is_what_its_class_makes_of_it(tmp_path: Path) -> None:
    words = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    words.normalizer = normalizers.Replace(Regex(r"\s+"), " ")
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
    )
    words.train_from_iterator(TEXTS, trainer)
    vocabulary = sorted(words.get_vocab(), key=lambda token: words.get_vocab()[token])
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    DistilBertConfig().save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.convert_ids_to_tokens(tokenizer("THE River")["input_ids"])[0] == "[CLS]"
    assert tokenizer("THE River")["input_ids"] == AutoTokenizer.from_pretrained(tmp_path)("THE River")["input_ids"]


def test_no_tokenizer_at_all_is_an_error_of_the_source(tmp_path: Path) -> None:
    DistilBertConfig().save_pretrained(tmp_path)
    with pytest.raises((OSError, ValueError)):
        load_tokenizer(tmp_path)
