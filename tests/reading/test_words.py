"""Which tokens are words, in vocabularies of three kinds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from reading.alignment import sentence_ends
from reading.sentences import split
from reading.windows import NEVER_ENDS
from reading.words import Vocabulary, Words

MODELS = Path(__file__).parents[2] / "model_repository"


def read(rows: Sequence[str], mark: str) -> Words:
    """The words of sentences whose tokens have blanks between them, in a vocabulary of these tokens and of a mark."""
    sentences = [row.split() for row in rows]
    tokens = ["<s>", mark, *(token for row in sentences for token in row)]
    lasts = np.cumsum([len(row) for row in sentences])
    ends = np.concatenate(([-1], *(np.full(len(row), last) for row, last in zip(sentences, lasts, strict=True))))
    ids = np.array([0, *range(2, len(tokens))])
    return Vocabulary(tokens).words(ids, ends)


@pytest.mark.parametrize(
    ("rows", "mark", "texts", "places"),
    [
        (["The \u0120br idge 's \u0120old .", "It \u0120cost s"], "\u0120", "the bridge old it costs", (1, 2, 5, 7, 8)),
        (["\u0120$ 3 . 5 m \u0120( US ) -A sia"], "\u0120", "3 5m us sia", (2, 4, 7, 10)),
        (["\u0120caf \u00c3\u00a9 s \u0120\u00c3\u012b \u0120the \u0120 y"], "\u0120", "caf\u00e9s \u00c9 the y", ()),
        (["Don \u00e2\u0122 \u013b t \u0120go ## ##"], "\u0120", "don t go", (1, 4, 5)),
        (["the bridge ' s 3 . 5 ##m un ##der ##pass"], "##x", "the bridge s 3 5m underpass", (1, 2, 4, 5, 7, 9)),
        (
            ['\u2581The \u2581 bridge s \u2581" U . S ,', "\u2581un der"],
            "\u2581",
            "the bridges u s under",
            (1, 3, 6, 8, 10),
        ),
        (["a goal in ! time"], "</s>", "a goal in time", (1, 2, 3, 5)),
    ],
    ids=["byte-level", "numbers", "not ASCII", "parts of a quotation mark", "WordPiece", "SentencePiece", "no marks"],
)
def test_where_words_begin_and_how_far_they_go(rows: list[str], mark: str, texts: str, places: tuple[int, ...]) -> None:
    words = read(rows, mark)
    assert words.texts == tuple(texts.lower().split())
    assert not places or tuple(words.tokens.tolist()) == places
    assert len(words.texts) == len(words.tokens) == len(words.sentences)


def test_the_first_word_of_a_sentence_needs_no_blank_before_it_and_no_word_goes_over_from_another() -> None:
    words = read(["\u0120end", "Start ing \u0120now"], "\u0120")
    assert words.texts == ("end", "starting", "now")
    assert words.sentences.tolist() == [0, 1, 1]
    assert words.paired.tolist() == [2]
    assert words.sizes.tolist() == [1, 3]


def test_tokens_of_no_sentence_have_no_words_and_a_sentence_that_was_cut_has_no_size() -> None:
    vocabulary = Vocabulary(["<s>", "\u0120one", "\u0120two"])
    ends = np.array([-1, 2, 2, -1, NEVER_ENDS, NEVER_ENDS, -1, -1], np.int32)
    words = vocabulary.words(np.array([0, 1, 2, 1, 2, 1, 2, 0], np.int32), ends)
    assert words.texts == ("one", "two", "two", "one")
    assert (words.sentences.tolist(), words.sizes.tolist()) == ([0, 0, 1, 1], [2, 0])
    empty = vocabulary.words(np.zeros(0, np.int32), np.zeros(0, np.int32))
    assert (empty.texts, empty.sizes.tolist()) == ((), [])
    with pytest.raises(IndexError):
        vocabulary.words(np.array([7]), np.array([0]))


@pytest.mark.parametrize("name", ["bart_tokenizer", "distilbert_tokenizer", "xlnet_tokenizer"])
def test_the_words_of_an_english_article_are_those_between_blanks_and_signs(name: str) -> None:
    text = (
        'THE Old Bridge (built in 1934) costs $3.5 million a year, "too much", officials said: re-opening isn\'t near.'
    )
    tokenizer = Tokenizer.from_file(str(MODELS / name / "1" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encoding = tokenizer.encode(text, add_special_tokens=False)
    vocabulary = {number: token for token, number in tokenizer.get_vocab().items()}
    ends, _ = sentence_ends(np.array(encoding.offsets, np.int32), split(text))
    tokens = [vocabulary.get(number, "") for number in range(1 + max(vocabulary))]
    words = Vocabulary(tokens).words(np.array(encoding.ids), ends)
    found = re.findall(r"[a-z0-9]+", " ".join(words.texts))  # "3.5" is a token of some vocabularies
    expected = re.findall(r"[a-z0-9]+", text.lower())
    assert found == expected or [*found[:-1], "t", found[-1]] == expected  # and "'t" of others, which opens no word
    firsts = [text[encoding.offsets[place][0] :].strip(" \"'($").lower() for place in words.tokens.tolist()]
    assert all(rest.startswith(word) for rest, word in zip(firsts, words.texts, strict=True))
