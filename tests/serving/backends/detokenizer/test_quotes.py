"""Summaries that quote: which sentences the tokens are, and what of the article stands for them."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from reading.sentences import split
from serving.backends.detokenizer.model import Detokenizer
from serving.backends.detokenizer.quotes import NoQuoteError, Parsed, Sentence, end_of_written, parse, twins
from serving.backends.detokenizer.writing import Written
from tests.serving.backends.detokenizer.quoting import BEGIN, END, PAD, START, Marked, mark, write

ROOT = Path(__file__).parents[4]
TOKENIZER = ROOT / "model_repository" / "bart_text" / "1" / "tokenizer.json"
WRITTEN = {
    "emoji and marks": "\U0001f469\u200d\U0001f692 Fire crews came at once.  Cafe\u0301 owner Zoe\u0308 Müller "
    "thanked them. “We\u2019re alive 😀,” she said. It cost €3.5m.",
    "line ends": "The bridge will close.\r\n\r\nThe city said so on Monday.\r\nFerries will cross each hour.\r\n",
    "blanks": "  \t The striker scored twice.\u00a0 The crowd left early.\n\n\n  It rained.",
    "beginnings": "He won. He won. He won again. She lost. He won again today. She lost.",
    "a list": "What they want:\n- more pay;\n- less work;\n- a holiday.\n\nNobody listens.",
}
ARTICLES = {
    **WRITTEN,
    **{path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests" / "articles").glob("*.txt"))},
}


@pytest.fixture(scope="module")
def detokenizer() -> Detokenizer:
    return Detokenizer(TOKENIZER, cut_unless_padded_with=PAD)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(TOKENIZER))


def answer(detokenizer: Detokenizer, row: Any, article: Marked) -> Written:
    (found,) = detokenizer([row], [article.beside()], check={0})
    if isinstance(found, Exception):
        raise found
    return found[0]


@pytest.mark.parametrize("name", ARTICLES)
def test_whatever_sentences_are_quoted_come_character_for_character(
    detokenizer: Detokenizer, tokenizer: Tokenizer, name: str
) -> None:
    """Every pair of sentences, and longer choices in any order."""
    text = ARTICLES[name]
    article = mark(tokenizer, text)
    count = len(article.runs) - (2**30 in article.sentence_ends)  # the last one may not have been read to its end
    assert count > 2
    chosen: list[tuple[int, ...]] = [*itertools.permutations(range(min(4, count)), 2)]
    chance = random.Random(3)
    chosen += [tuple(chance.sample(range(count), 3)) for _ in range(5)]
    for indices in chosen:
        runs = [article.runs[index] for index in indices]
        if len({tuple(run[1:]) for run in runs}) < len(runs):
            continue  # the graph never quotes the same words twice
        written = answer(detokenizer, write(tokenizer, runs, length=sum(map(len, runs)) + 6), article)
        quoted = [text[one["start"] : one["end"]] for one in written.sentences]
        assert written.text == " ".join(quoted)
        assert quoted == [text[slice(*article.sentences[index])] for index in indices]
        assert written.unsupported == ()


def test_of_equal_sentences_the_first_that_is_not_used_is_meant(detokenizer: Detokenizer, tokenizer: Tokenizer) -> None:
    article = mark(tokenizer, WRITTEN["beginnings"])
    runs = [article.runs[5], article.runs[4]]
    written = answer(detokenizer, write(tokenizer, runs), article)
    assert written.text == "She lost. He won again today."
    assert [one["index"] for one in written.sentences] == [3, 4]


def test_a_sentence_that_was_cut_ends_with_its_last_whole_word(detokenizer: Detokenizer, tokenizer: Tokenizer) -> None:
    text = ARTICLES["sports"]
    article = mark(tokenizer, text)
    whole = text[slice(*article.sentences[0])]
    for length in range(4, len(article.runs[0]) + 1):
        written = answer(detokenizer, write(tokenizer, article.runs[:1], length=length), article)
        (quote,) = written.sentences
        assert quote["truncated"] is True
        words = text[quote["start"] : quote["end"]]
        assert written.text == f"{words}\u2026"
        assert whole.startswith(words)
        assert words[-1].isalnum()
        assert not whole[len(words) :][:1].isalnum() or " " not in words


def test_the_end_of_an_article_that_was_not_read_is_quoted_in_part_only(
    detokenizer: Detokenizer, tokenizer: Tokenizer
) -> None:
    article = mark(tokenizer, ARTICLES["politics"], limit=40)
    last = article.runs[-1]
    assert 2**30 in article.sentence_ends
    with pytest.raises(NoQuoteError):
        answer(detokenizer, write(tokenizer, [last], length=len(last) + 4), article)
    cut = answer(detokenizer, write(tokenizer, [last], length=len(last) + 2), article)
    assert cut.text.endswith("\u2026")


@pytest.mark.parametrize(
    "change",
    [
        lambda row: [*row[:4], *row[5:]],
        lambda row: [*row[:4], row[4] + 1, *row[5:]],
        lambda row: [START, BEGIN, *row[4:]],
        lambda row: [*row[:7], END, PAD, PAD],
    ],
    ids=["a word less", "another word", "a beginning less", "an end too early"],
)
def test_tokens_that_are_no_sentences_are_an_error_never_a_text(
    detokenizer: Detokenizer, tokenizer: Tokenizer, change: Any
) -> None:
    article = mark(tokenizer, ARTICLES["travel"])
    row = write(tokenizer, article.runs[:2], length=len(article.runs[0]) + len(article.runs[1]) + 6)
    wrong = np.array([change(row[0].tolist())], np.int32)
    good, bad = detokenizer([row, wrong], [article.beside()] * 2)
    assert not isinstance(good, Exception)
    assert isinstance(bad, NoQuoteError)


def test_one_sentence_may_be_the_beginning_of_another_one() -> None:
    sentences = [Sentence(tokens=tokens, whole=True) for tokens in ((7,), (7, 8), (8, 9), (7, 8, 8), (9, 9))]
    assert parse((7, 8, 9), sentences, {}, may_be_cut=False) == Parsed(indices=(0, 2))
    assert parse((7, 8, 8, 9), sentences, {}, may_be_cut=False) == Parsed(indices=(1, 2))
    assert parse((7, 7, 8), sentences, {}, may_be_cut=False) == Parsed(indices=(0, 1))
    assert parse((7, 9), sentences, {}, may_be_cut=True) == Parsed(indices=(0, 4), cut=1)
    assert parse((7, 9), sentences, {8: 9, 9: 8}, may_be_cut=True) == Parsed(indices=(0, 2), cut=1)
    with pytest.raises(NoQuoteError):
        parse((7, 9), sentences, {}, may_be_cut=False)


def test_long_sentences_come_before_short_ones_and_each_is_used_once() -> None:
    sentences = [Sentence(tokens=tokens, whole=True) for tokens in ((7,), (8,), (7,), (7, 8))]
    assert parse((7, 8), sentences, {}, may_be_cut=False) == Parsed(indices=(3,))
    assert parse((7, 8, 7, 8), sentences, {}, may_be_cut=False) == Parsed(indices=(3, 0, 1))
    assert parse((8, 7, 7), sentences, {}, may_be_cut=False) == Parsed(indices=(1, 0, 2))


def test_an_article_that_was_written_to_make_the_search_long_does_not() -> None:
    """Its sentences are the same word 2, 4, 6 ... times, and the summary has it 255 times: without an end in sight."""
    sentences = [Sentence(tokens=(5,) * length, whole=True) for length in range(2, 256, 2)]
    with pytest.raises(NoQuoteError):
        parse((5,) * 255, sentences, {}, may_be_cut=False)
    found = parse((5,) * 256, sentences, {}, may_be_cut=False)
    assert sum(len(sentences[index].tokens) for index in found.indices) == 256


def test_words_have_twins_with_and_without_their_blank() -> None:
    assert twins({"\u0120The": 1, "The": 2, "\u0120a": 3, "b": 4}) == {1: 2, 2: 1}


@pytest.mark.parametrize(
    ("sentence", "written", "words"),
    [
        ("The long debate ended.", "The long deb", "The long"),
        ("The long debate ended.", "The long debate", "The long debate"),
        ("It cost 1,200 dollars.", " It cost 1", "It cost"),
        ("It was late, he said.", "It was late,", "It was late"),
        ("It was late, he said.", "It was late", "It was late"),
        ("Donaudampfschiff fährt.", "Donaudampf", "Donaudampf"),
        ("One\r\n  two three.", "One\n two th", "One\r\n  two"),
        ("Soft\u00adly spoken words.", " Softly spoken", "Soft\u00adly spoken"),
        ("One 👩 two.", "One \ufffd", "One"),
        ("One two.", "\ufffd\ufffd", "O"),
        ("\u2013 One two.", "\u2013", "\u2013 O"),
    ],
)
def test_where_the_words_of_a_cut_sentence_end(sentence: str, written: str, words: str) -> None:
    text = f"Before. {sentence}"
    assert text[8 : end_of_written(text, 8, len(text), written)] == words


def test_the_splitter_is_the_one_that_the_tokenizer_uses() -> None:
    text = WRITTEN["a list"]
    assert [text[slice(*span)] for span in split(text)][-1] == "Nobody listens."
