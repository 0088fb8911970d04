"""A base with a smaller vocabulary, and a run that uses it with a teacher that was told what its labels mean."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertTokenizer

from infolens.contract import Task
from tests.families import bert, checkpoint
from tests.training.toys import LABELS, TELLING, small, toy_file
from training.cli import main
from training.errors import SettingError
from training.loop.batches import encode
from training.models.architectures import load_base
from training.tasks.vocabulary import keep_tokens

LABEL_NAMES = LABELS[Task.CATEGORY]
WORDS = [*TELLING.values(), "The quick fox jumps over 12 lazy dogs; naïve cafés zigzag."]
FREQUENT = [TELLING["Sports"]] * 3


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT with random weights whose vocabulary has whole words, and does not begin with the special tokens."""
    folder = tmp_path_factory.mktemp("base")
    model, tokenizer = bert(LABEL_NAMES, WORDS)
    before = ("thethe", "goalgoal", "seasea")
    vocabulary = {token: number for number, token in enumerate(before)}
    vocabulary |= {token: number + len(before) for token, number in tokenizer.get_vocab().items()}
    embeddings = torch.cat([torch.ones(len(before), 32), model.get_input_embeddings().weight.detach()])
    model.set_input_embeddings(torch.nn.Embedding.from_pretrained(embeddings, padding_idx=len(before)))
    model.config.vocab_size, model.config.pad_token_id = len(vocabulary), len(before)
    model.save_pretrained(folder)
    moved: Any = BertTokenizer(vocab=vocabulary, model_max_length=64)
    moved.save_pretrained(folder)
    return str(folder)


def pruned(base: str, count: int, **changes: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """A base as it is, and with so many tokens."""
    wanted: dict[str, Any] = {"labels": LABEL_NAMES, "dropout": 0.0, **changes}
    torch.manual_seed(0)  # of a head that is new
    whole = load_base(Task.CATEGORY, base, **wanted)
    torch.manual_seed(0)
    return whole, keep_tokens(*load_base(Task.CATEGORY, base, **wanted), FREQUENT, count=count)


def logits(model: Any, tokenizer: Any, text: str) -> torch.Tensor:
    """What a model says of a text."""
    encoded = tokenizer([text], return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(**encoded).logits
    return found


def fewest(base: str) -> int:
    """How many tokens must stay."""
    with pytest.raises(SettingError, match=r"whose special tokens and single characters all stay, not 1") as told:
        pruned(base, 1)
    return int(str(told.value).split(" or more")[0].rpartition(" ")[2])


@pytest.mark.parametrize("changes", [{}, {"convert_to": "distilbert", "keep_layers": 1}], ids=["bert", "distilbert"])
def test_texts_whose_tokens_were_kept_get_the_same_answers(base: str, tmp_path: Path, changes: Any) -> None:
    used = set(AutoTokenizer.from_pretrained(base).tokenize(FREQUENT[0]))
    count = fewest(base) + sum(len(token.removeprefix("##")) > 1 for token in used)
    (model, tokenizer), (small_model, small_tokenizer) = pruned(base, count, **changes)
    assert small_model.config.vocab_size == len(small_tokenizer) == count < len(tokenizer)
    assert small_model.config.pad_token_id == small_tokenizer.pad_token_id == small_tokenizer.get_vocab()["[PAD]"] == 0
    assert small_model.get_input_embeddings().weight.shape == (count, 32)
    small_model.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for each in ((small_model, small_tokenizer), loaded):
        torch.testing.assert_close(logits(*each, FREQUENT[0]), logits(model, tokenizer, FREQUENT[0]))
    padded = loaded[1]([FREQUENT[0], "goal"], padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        together = loaded[0].eval()(**padded).logits[1:]
    torch.testing.assert_close(together, logits(model, tokenizer, "goal"), atol=1e-5, rtol=1e-5)


def test_no_word_becomes_unknown_and_all_else_of_the_tokenizer_stays(base: str) -> None:
    (_, whole), (_, smaller) = pruned(base, fewest(base))
    assert len(encode(smaller, WORDS)[-1]) > len(encode(whole, WORDS)[-1])
    texts = [*WORDS, "zebra jukebox", "日本 goal", *(chr(one) * 2 for one in range(33, 700))]
    for before, after in zip(encode(whole, texts), encode(smaller, texts), strict=True):
        assert (after == smaller.unk_token_id).sum() == (before == whole.unk_token_id).sum()
    states = [json.loads(each.backend_tokenizer.to_str()) for each in (whole, smaller)]
    vocabularies = [state["model"].pop("vocab") for state in states]
    order = [sorted(names, key=names.get) for names in vocabularies]
    assert order[1] == [token for token in order[0] if token in vocabularies[1]]
    assert [*vocabularies[1].values()] == [*range(len(order[1]))]
    assert states[0] | {"added_tokens": 0, "post_processor": 0} == states[1] | {"added_tokens": 0, "post_processor": 0}
    assert smaller.decode(smaller(WORDS[0]).input_ids) == whole.decode(whole(WORDS[0]).input_ids)


def test_frequent_tokens_are_kept_before_rare_ones(base: str) -> None:
    (_, whole), (_, smaller) = pruned(base, fewest(base) + 4)
    extra = set(smaller.get_vocab()) - set(pruned(base, fewest(base))[1][1].get_vocab())
    used = set(whole.tokenize(FREQUENT[0]))
    assert len(extra) == 4
    assert extra <= used
    (model, _), (same, tokenizer) = pruned(base, 10**6)
    assert torch.equal(same.get_input_embeddings().weight, model.get_input_embeddings().weight)
    assert len(tokenizer) == len(whole)


def test_what_has_no_wordpieces_is_refused(base: str, tmp_path: Path) -> None:
    other = str(checkpoint(tmp_path, "roberta", LABEL_NAMES))
    with pytest.raises(SettingError, match=r"the base's tokenizer is a BPE; leave it out"):
        pruned(other, 100)
    with pytest.raises(ValueError, match=r"keep_vocabulary is for a base, and 'starter' is none"):
        small(keep_vocabulary=100)


def test_a_run_with_all_of_it_ends_with_a_checkpoint_that_predicts(base: str, tmp_path: Path) -> None:
    data = toy_file(Task.CATEGORY, tmp_path / "data.parquet", train=64)
    held_back = pd.read_parquet(data).query("split != 'train'")["text"].tolist()
    fresh = [f"The hotel number {i} has a view of the sea." for i in range(40)]
    pd.DataFrame({"article": held_back + fresh}).to_csv(tmp_path / "more.csv", index=False)
    descriptions = tmp_path / "d.toml"
    descriptions.write_text('Travel = ["a beach hotel on the island"]\nSports = ["the team won the match"]\n')
    out, count = tmp_path / "out", fewest(base) + 20
    encoder = checkpoint(tmp_path / "encoder", "roberta", ("a", "b"), WORDS)  # its tokens are others
    sets = {
        "teacher_model": base, "teacher": 0.7, "descriptions": descriptions, "descriptions_model": encoder,
        "unlabelled_passes": 0.5, "unlabelled_balance": 0.5, "keep_vocabulary": count, "convert_to": "distilbert",
        "keep_layers": 1, "precision": "bf16", "max_tokens": 32, "train_tokens": 16, "num_train_epochs": 2,
        "per_device_train_batch_size": 16, "cpus_per_worker": 1,
    }  # fmt: skip
    command = ["fit", "category", "--data", str(data), "--unlabelled", str(tmp_path / "more.csv"), "--base", base]
    command += ["--out", str(out), "--tracking-uri", "none"]
    assert main([*command, *(word for name, value in sets.items() for word in ("--set", f"{name}={value}"))]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["steps"] == 2 * 6  # of 64 articles with labels, and half of 40 without, 16 at once
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert model.config.model_type == "distilbert"
    assert model.config.vocab_size == len(tokenizer) == count
    assert tuple(model.config.id2label.values()) == LABEL_NAMES
    assert logits(model, tokenizer, TELLING["Travel"]).isfinite().all()
