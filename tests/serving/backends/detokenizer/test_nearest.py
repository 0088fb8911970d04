"""Summaries of the sentences that come nearest to a draft."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from reading.sentences import split
from serving.backends.detokenizer.model import Detokenizer
from serving.backends.detokenizer.nearest import choose
from serving.backends.detokenizer.quotes import Parsed, Source
from tests.serving.backends.detokenizer.quoting import BEGIN, END, PAD, START

TOKENIZER = Path(__file__).parents[4] / "model_repository" / "bart_text" / "1" / "tokenizer.json"
ARTICLE = (
    "The bridge will close in June. The city said so on Monday. The bridge will close in June! Ferries will cross."
)


def source(text: str, tokens: tuple[int, ...], room: int) -> Source:
    return Source(text=text, sentences=tuple(split(text)), extractive=True, verbatim=False, tokens=tokens, room=room)


@pytest.mark.parametrize(
    ("draft", "tokens", "room", "indices", "cut"),
    [
        ("Ferries cross. The bridge will close.", (7, 7, 7, 4), 40, (3, 0), 0),
        ("The bridge will close. The bridge will close in June!", (7, 0, 7), 40, (0,), 0),
        ("The city said so on Monday. Ferries will cross.", (7, 7, 7, 4), 8, (1,), 0),
        ("The city said so on Monday.", (7, 0), 40, (0,), 0),
        ("Zebras.", (7, 7, 7, 4), 5, (3,), 0),
        ("The city said so on Monday.", (7, 7, 7, 7), 5, (1,), 5),
        ("", (7, 7, 7, 7), 5, (0,), 5),
    ],
    ids=[
        "their order is the draft's",
        "no words twice",
        "room",
        "not read to its end",
        "nothing alike",
        "cut",
        "empty",
    ],
)
def test_which_sentences_are_quoted(
    draft: str, tokens: tuple[int, ...], room: int, indices: tuple[int, ...], cut: int
) -> None:
    assert choose(draft, source(ARTICLE, tokens, room)) == Parsed(indices=indices, cut=cut)


@pytest.mark.parametrize("beginning", ["</s> <s> ", "\U0001f600 ", "- ", "", "<p>"])
@pytest.mark.parametrize("room", [1, 2, 3, 8, 12])
def test_a_cut_sentence_has_as_many_tokens_as_there_is_room_for_and_something_of_the_article(
    beginning: str, room: int
) -> None:
    text = f"{beginning}Thousands of people use the old bridge over the harbour each day, the city said."
    detokenizer = Detokenizer(TOKENIZER, cut_unless_padded_with=PAD)
    document = {"text": text, "sentences": split(text), "verbatim": False, "style": "extractive"}
    given = json.dumps({**document, "tokens": [30], "room": room}).encode()
    row = np.array([[START, BEGIN, END, PAD]], np.int32)
    (found,) = detokenizer([row], [{"source": np.array([[given]], np.object_)}])
    assert not isinstance(found, Exception)
    (quote,) = found[0].sentences
    words = text[quote["start"] : quote["end"]]
    assert words.strip()
    assert quote["truncated"]
    assert found[0].text == f"{words}\u2026"
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.encode_special_tokens = True
    if room == 12:  # "</s>" takes its tokens of the room
        assert len(tokenizer.encode(words, add_special_tokens=False).ids) <= room


def test_a_word_counts_as_often_as_both_sentences_have_it() -> None:
    article = source("Rain, rain, rain, rain. Rain will fall on the city.", (4, 7), 40)
    assert choose("Heavy rain will come.", article).indices == (1,)
    assert choose("Rain and rain, heavy rain.", article).indices == (0,)
