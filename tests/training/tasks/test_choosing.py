"""A head that chooses sentences: its labels, its stage in a run, and what becomes of the model below it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from infolens.contract import Task
from tests.training.tasks.test_summarizer import SMALL, articles
from training.cli import main
from training.errors import SettingError
from training.loop.dataset import Articles, Curriculum, SummaryCollator
from training.loop.prepared import read_table
from training.metrics.choosing import predictions, quoted
from training.metrics.losses import choice_loss
from training.models.architectures import load_prepared
from training.models.choice import ChoiceOutput
from training.models.reading import read_articles, vocabulary_of
from training.models.tokenization import train_byte_bpe, train_wordpiece
from training.recipes.kinds import SummarizerRecipe
from training.runs.fitting import Data, fit
from training.tasks import summarizer
from training.tasks.choosing import NO_WORD, lessons

ARTICLE = "The cats sat. A dog's cat, running, sat\nOne more café ran"
REFERENCE = "The cat sat: dogs run!"
EXPECTED = [
    # word, is it in the reference, does it follow the one before it there; None for the first of a sentence
    ("the", 1, None), ("cats", 1, 1), ("sat", 1, 1),
    ("a", 0, None), ("dog", 1, 0), ("s", 0, 0), ("cat", 1, 0), ("running", 1, 0), ("sat", 1, 0),
    ("one", 0, None), ("more", 0, 0), ("café", 0, 0), ("ran", 0, 0),
]  # fmt: skip
CHOOSING = dataclasses.replace(
    SMALL, choice_layers=1, choice_epochs=2.0, choice_only=True, per_device_train_batch_size=3, max_target_tokens=40
)


def shown(tokenizer: Any, text: str, reference: str, *, most: int = 128) -> list[tuple[str, int, int | None]]:
    """The words of an article with their labels."""
    (lesson,) = lessons(tokenizer, [text], [reference], most=most)
    (read,) = read_articles(tokenizer, [text], most=most)
    words = vocabulary_of(tokenizer).words(read.ids, read.ends)
    assert np.flatnonzero(lesson.words != NO_WORD).tolist() == words.tokens.tolist()
    assert set(np.flatnonzero(lesson.pairs != NO_WORD)) <= set(words.tokens)
    pairs = [None if mark == NO_WORD else int(mark) for mark in lesson.pairs[words.tokens]]
    return list(zip(words.texts, lesson.words[words.tokens].tolist(), pairs, strict=True))


@pytest.mark.parametrize("train_tokenizer", [train_byte_bpe, train_wordpiece])
@pytest.mark.parametrize("vocabulary", [300, 400])  # words of many tokens, and of one
def test_words_and_pairs_are_marked_as_rouge_counts_them(train_tokenizer: Any, vocabulary: int) -> None:
    tokenizer = train_tokenizer([ARTICLE] * 3, vocabulary=vocabulary, max_length=128)
    expected = EXPECTED
    if train_tokenizer is train_byte_bpe:  # "'s" is a token, and no word
        expected = [labels for labels in EXPECTED if labels[0] != "s"]
        assert shown(tokenizer, "A dog's cat", "Her dog's cat") == [("a", 0, None), ("dog", 1, 0), ("cat", 1, 1)]
    if train_tokenizer is train_wordpiece:  # it takes accents away
        expected = [(word.replace("é", "e"), *marks) for word, *marks in EXPECTED]  # type: ignore[misc]
    assert shown(tokenizer, ARTICLE, REFERENCE) == expected
    assert lessons(tokenizer, [ARTICLE], [REFERENCE], most=128)[0].reference_words == 5
    (lesson,) = lessons(tokenizer, [ARTICLE], [REFERENCE], most=128, lengths=False)
    assert lesson.reference_words == 0
    whole = tokenizer(" ".join(ARTICLE.split()))["input_ids"]
    assert lesson.ids.tolist() == whole
    assert lessons(tokenizer, [ARTICLE], [REFERENCE], most=9)[0].ids.tolist() == [*whole[:8], whole[-1]]
    assert shown(tokenizer, "", REFERENCE) == []


def test_the_loss_is_that_of_words_pairs_and_length() -> None:
    logits = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
    said = ChoiceOutput(logits=logits, length=torch.ones(2))
    words = torch.tensor([[-100, 1, 0, 1], [-100, 0, -100, -100]])
    pairs = torch.tensor([[-100, -100, 0, 1], [-100, -100, -100, -100]])

    def cross_entropy(place: tuple[int, int, int], mark: int) -> float:
        return float(-torch.nn.functional.logsigmoid(logits[place] * (2 * mark - 1)))

    of_words = [cross_entropy((0, 1, 0), 1), cross_entropy((0, 2, 0), 0), cross_entropy((0, 3, 0), 1)]
    of_words.append(cross_entropy((1, 1, 0), 0))
    of_pairs = [cross_entropy((0, 2, 1), 0), cross_entropy((0, 3, 1), 1)]
    lengths = torch.tensor([50, 0])  # the second one's does not count
    parts: dict[str, Any] = {"pairs": pairs, "reference_words": lengths, "pair_weight": 3.0, "length_weight": 0.1}
    expected = np.mean(of_words) + 3 * np.mean(of_pairs) + 0.1 * (np.log(50) - 1) ** 2
    assert float(choice_loss(said, words, **parts)) == pytest.approx(expected)
    half = choice_loss(said, words, torch.tensor(8), **parts)
    assert float(half) == pytest.approx(expected / 2)
    weights = torch.tensor([1.0, 3.0])
    more = float(choice_loss(said, words, weights=weights, **parts))
    assert more == pytest.approx(expected + 2 * of_words[3] / 4)


def test_a_batch_is_for_the_decoder_or_for_the_head(tmp_path: Path) -> None:
    recipe = dataclasses.replace(CHOOSING, choice_only=False, choice_title_weight=0.5, gap_epochs=0.0)
    prepared = summarizer.prepare(articles().splits, recipe, tmp_path, extra=articles().more)
    assert prepared.passes == (1.0, 2.0)
    rows = Articles(read_table(prepared.folder / "train"))
    order = list(Curriculum(rows, batch=3, seed=0, passes=prepared.passes))
    stages = np.asarray(rows.table["stage"])[order]
    assert len(order) == 9 + 2 * 9  # eight pairs, of which one stands there twice; eight articles and one with a title
    collator = SummaryCollator(pad=1, start=2)
    kinds = []
    for start in range(0, len(order), 3):
        assert len(set(stages[start : start + 3])) == 1
        batch = collator([rows[i] for i in order[start : start + 3]])
        kinds.append(batch.get("choose", False))
        assert batch["labels"].shape == (batch["input_ids"] if kinds[-1] else batch["decoder_input_ids"]).shape
    assert kinds == [False] * 3 + [True] * 6
    weights = np.asarray(rows.table["weight"])[8:]
    assert weights[8] == pytest.approx(weights[0] / 2)
    assert np.asarray(rows.table["reference_words"]).tolist() == [0] * 8 + [7] * 8 + [0]


def first_sentences() -> Data:
    """Articles whose summaries are their first sentences."""
    names = ["Anna", "Boris", "Clara", "David", "Emma", "Felix", "Greta", "Hugo"]
    texts = [
        f"{one} sold the old {thing} to a friend. {other} bought nothing at all this year, as {one} said."
        for number, one in enumerate(names)
        for other, thing in zip(names[number - 3 :] + names[: number - 3], ("house", "boat", "farm"), strict=False)
    ]
    table = pd.DataFrame({"article": texts, "summary": [text.split(". ")[0] + "." for text in texts]})
    return Data(splits={"train": table, "validation": table[:6], "test": table[:4]})


def test_a_head_learns_alone_and_what_the_base_writes_stays_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = first_sentences()
    base = dataclasses.replace(SMALL, per_device_train_batch_size=8, oracle_epochs=0.0)
    fit(Task.SUMMARY, dataclasses.replace(base, gap_epochs=0.1), tmp_path / "base", data=articles())
    pd.concat([frame.assign(split=name) for name, frame in data.splits.items()]).to_json(
        tmp_path / "data.jsonl", orient="records", lines=True
    )
    changes = {
        "choice_layers": 1, "choice_only": "true", "choice_epochs": 16, "learning_rate": 2e-3, "average": 0.5,
        "per_device_train_batch_size": 8, "workers": 0, "cpus_per_worker": 1, "max_tokens": 128, "num_beams": 1,
        "max_target_tokens": 48, "save_steps": 8, "precision": "bf16",
    }  # fmt: skip
    settings = [part for name, value in changes.items() for part in ("--set", f"{name}={value}")]
    where = ["--data", str(tmp_path / "data.jsonl"), "--base", str(tmp_path / "base"), "--out", str(tmp_path / "out")]
    assert main(["fit", "summary", *where, *settings, "--tracking-uri", "none"]) == 0
    assert "the sentences that its head chooses have" in capsys.readouterr().err
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("base", "out"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(name.startswith("choice.layers.0.") for name in after)
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    assert losses[-1] < losses[0] / 2
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["choice"]["lead"]["1"] == metrics["lead_1"]
    assert metrics["choice"]["words"] > 0
    assert metrics["test"]["words"] > 0

    # A checkpoint with a head is a base with a head.
    again = dataclasses.replace(CHOOSING, base=str(tmp_path / "out"), choice_layers=-1, choice_epochs=0.1)
    fit(Task.SUMMARY, again, tmp_path / "again", data=data)
    kept = load_file(tmp_path / "again" / "model.safetensors")
    assert kept.keys() == after.keys()
    assert all(torch.allclose(kept[name], after[name], atol=0.01) for name in after)
    with pytest.raises(SettingError, match="has a head of 1 layers, which is kept, not one of 2"):
        fit(Task.SUMMARY, dataclasses.replace(again, choice_layers=2), tmp_path / "no", data=data)
    with pytest.raises(SettingError, match="has none: give it one of N layers with --set choice_layers=N"):
        fit(Task.SUMMARY, dataclasses.replace(again, base=str(tmp_path / "base")), tmp_path / "no", data=data)

    model, tokenizer = load_prepared(Task.SUMMARY, tmp_path / "out")
    texts, references = (list(data.splits["test"][name]) for name in ("article", "summary"))
    marked = lessons(tokenizer, texts, references, most=128)
    for said, lesson in zip(predictions(model, read_articles(tokenizer, texts, most=128)), marked, strict=True):
        for shares, labels in ((said.words, lesson.words), (said.pairs, lesson.pairs)):
            assert shares[labels == 1].mean() > shares[labels == 0].mean() + 0.5
        assert said.expected_words == pytest.approx(lesson.reference_words, abs=3)


def test_quotes_are_sentences_without_datelines_or_the_beginning_of_one() -> None:
    from reading.choice import Chosen

    text = "LONDON (Reuters) - The storm came. It went again.\nNobody was hurt there."
    tokenizer = train_byte_bpe([text] * 3, vocabulary=400, max_length=64)
    (read,) = read_articles(tokenizer, [text], most=64)
    assert quoted(read, Chosen(indices=(0, 2)), room=40) == "The storm came. Nobody was hurt there."
    assert quoted(read, Chosen(indices=(2,), whole=False), room=2) == "Nobody was"
    assert quoted(read, Chosen(indices=()), room=2) == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"choice_layers": 1}, "choice_epochs is above 0 with choice_layers=1"),
        ({"choice_only": True}, "choice_epochs is above 0 with choice_only=true"),
        ({"choice_layers": -2}, "choice_layers is -1 or more"),
        ({"choice_epochs": 1.0, "lora": True}, "lora trains no head"),
        ({"num_train_epochs": 0.0}, "one of num_train_epochs, gap_epochs, oracle_epochs and choice_epochs"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SummarizerRecipe(**changes)
