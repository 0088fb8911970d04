"""Summaries of the sentences whose words the model finds likely."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tokenizers import Tokenizer

from serving.backends.detokenizer.model import Detokenizer
from serving.backends.detokenizer.quotes import NEVER_ENDS, NoQuoteError
from serving.backends.detokenizer.writing import Written
from tests.serving.backends.detokenizer.quoting import BEGIN, END, PAD, START, Marked, mark

TOKENIZER = Path(__file__).parents[4] / "model_repository" / "bart_text" / "1" / "tokenizer.json"
ARTICLE = (
    "LONDON (Reuters) - The old bridge over the harbour will close in June for repairs. Click here for the full story. "
    "Ferries will cross the harbour every ten minutes until the winter comes, the mayor said on Monday. "
    "He called the bridge a disgrace to the whole city and its people. "
    "Heavy rain fell over the northern towns at night."
)
PADDING = 5


@pytest.fixture(scope="module")
def detokenizer() -> Detokenizer:
    return Detokenizer(TOKENIZER, cut_unless_padded_with=PAD)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def beside(marked: Marked, *, room: int = 77, **more: Any) -> dict[str, npt.NDArray[Any]]:
    """What comes with a row, padded as in a batch."""
    ends = marked.sentence_ends[0]
    tokens = [0 if ends.max() == NEVER_ENDS and run is marked.runs[-1] else len(run) for run in marked.runs]
    given = {"text": marked.text, "sentences": marked.sentences, "verbatim": False, "style": "extractive"}
    given |= {"tokens": tokens, "room": room, "choice": True, **more}
    ids = np.concatenate((marked.input_ids, np.full((1, PADDING), PAD, np.int32)), axis=1)
    return {
        "source": np.array([[json.dumps(given).encode()]], np.object_),
        "input_ids": ids,
        "sentence_ends": np.concatenate((marked.sentence_ends, np.full((1, PADDING), -1, np.int32)), axis=1),
    }


def judged(marked: Marked, likely: Sequence[int], *, expected: int = 40) -> npt.NDArray[np.int32]:
    """The row of a model to which the words of some sentences are likely."""
    length = marked.input_ids.shape[1] + PADDING
    words = np.zeros(length, np.int32)
    run, previous = -1, -1
    for place, end in enumerate(marked.sentence_ends[0].tolist()):
        run += end not in (-1, previous)
        previous = end
        words[place] = 900_000 * (end >= 0 and run in likely)
    return np.concatenate(([1000 * expected], words, np.zeros(length, np.int32)))[None].astype(np.int32)


def written(answer: Any) -> Written:
    assert not isinstance(answer, Exception), answer
    (row,) = answer
    assert isinstance(row, Written)
    return row


def test_the_likely_sentences_are_quoted_in_their_order_and_without_a_dateline(
    detokenizer: Detokenizer, tokenizer: Tokenizer
) -> None:
    marked = mark(tokenizer, ARTICLE)
    found = written(detokenizer([judged(marked, [0, 4])], [beside(marked)])[0])
    assert found.text == (
        "The old bridge over the harbour will close in June for repairs. "
        "Heavy rain fell over the northern towns at night."
    )
    assert [quote["index"] for quote in found.sentences] == [0, 4]
    assert found.sentences[0]["start"] == ARTICLE.index("The old")
    assert " ".join(ARTICLE[quote["start"] : quote["end"]] for quote in found.sentences) == found.text


def test_no_call_is_quoted_and_no_pronoun_without_the_sentence_before(
    detokenizer: Detokenizer, tokenizer: Tokenizer
) -> None:
    marked = mark(tokenizer, ARTICLE)
    found = written(detokenizer([judged(marked, [1, 3])], [beside(marked)])[0])
    assert {2, 3} <= {quote["index"] for quote in found.sentences} <= {0, 2, 3, 4}


@pytest.mark.parametrize("room", [1, 2, 5, 9, 14])
def test_where_no_sentence_fits_the_likeliest_is_cut(detokenizer: Detokenizer, tokenizer: Tokenizer, room: int) -> None:
    marked = mark(tokenizer, ARTICLE)
    found = written(detokenizer([judged(marked, [0])], [beside(marked, room=min(room, 9))])[0])
    (quote,) = found.sentences
    assert (quote["index"], quote["start"], quote["truncated"]) == (0, ARTICLE.index("The old"), True)
    words = ARTICLE[quote["start"] : quote["end"]]
    assert found.text == f"{words}\u2026"
    assert len(tokenizer.encode(words, add_special_tokens=False).ids) <= room


def test_a_sentence_that_fits_without_its_dateline_is_whole(detokenizer: Detokenizer, tokenizer: Tokenizer) -> None:
    article = ARTICLE[: ARTICLE.index(" Click")]
    marked = mark(tokenizer, article)
    words = article[article.index("The old") :]
    room = len(tokenizer.encode(words, add_special_tokens=False).ids)
    assert room < len(marked.runs[0])
    only = judged(marked, [0])
    for size, ending in ((room, ""), (room - 2, "\u2026")):
        found = written(detokenizer([only], [beside(marked, room=size)])[0])
        (quote,) = found.sentences
        assert (quote["index"], quote.get("truncated", False)) == (0, bool(ending))
        assert found.text == article[quote["start"] : quote["end"]] + ending
        assert (found.text == words) == (not ending)


def test_rows_of_other_kinds_beside_it_are_answered_as_ever(detokenizer: Detokenizer, tokenizer: Tokenizer) -> None:
    marked = mark(tokenizer, ARTICLE)
    ids = tokenizer.encode(" Ferries will cross.", add_special_tokens=False).ids
    row = np.array([[START, BEGIN, *ids, END, PAD]], np.int32)
    draft = beside(marked)
    draft["source"] = np.array([[draft["source"][0, 0].replace(b'"choice": true', b'"choice": false')]], np.object_)
    answers = detokenizer(
        [row, judged(marked, [4]), row, judged(marked, [4])],
        [beside(marked, style="free"), beside(marked), draft, beside(marked, verbatim=True)],
    )
    assert written(answers[0]).text == "Ferries will cross."
    assert {quote["index"] for quote in written(answers[1]).sentences} >= {4}
    assert [quote["index"] for quote in written(answers[2]).sentences] == [2]
    assert [quote["index"] for quote in written(answers[3]).sentences] == [0, 1, 2, 3, 4]


def test_rows_of_one_request_are_answered_one_by_one(detokenizer: Detokenizer, tokenizer: Tokenizer) -> None:
    marked = mark(tokenizer, f"{ARTICLE} {'The harbour is old and has many stones of other years. ' * 12}")
    one = beside(marked)
    two = {name: np.concatenate((array, array)) for name, array in one.items()}
    for row in (0, 1):
        document = json.loads(two["source"][row, 0]) | {"room": 24}
        two["source"][row, 0] = json.dumps(document).encode()
    (answer,) = detokenizer([np.concatenate((judged(marked, [0]), judged(marked, [4])))], [two])
    assert not isinstance(answer, Exception)
    assert [[quote["index"] for quote in row.sentences] for row in answer] == [[0], [4]]


@pytest.mark.parametrize("fault", ["short", "negative", "large", "token", "sentences", "alone"])
def test_a_broken_row_is_an_error_of_its_own(detokenizer: Detokenizer, tokenizer: Tokenizer, fault: str) -> None:
    marked = mark(tokenizer, ARTICLE)
    row, given = judged(marked, [0]), beside(marked)
    if fault == "short":
        row = row[:, :-1]
    elif fault in ("negative", "large"):
        row[0, 7] = {"negative": -1, "large": 1_000_001}[fault]
    elif fault == "token":
        given["input_ids"][0, 3] = tokenizer.get_vocab_size() + 7
    elif fault == "sentences":
        given = beside(marked, sentences=marked.sentences[:2])
    else:
        given = {"source": given["source"]}
    bad, good = detokenizer([row, judged(marked, [0])], [given, beside(marked)])
    assert isinstance(bad, NoQuoteError)
    assert written(good).sentences


ODD = {
    "nothing": "\u2014 \u2014",
    "a word": "Rain",
    "a sentence": "The bridge will close in June.",
    "calls": "Read more about it here. Click here! Sign up for our newsletter. Subscribe now.",
    "a list": "\n".join(f"- item {number}" for number in range(60)),
    "headings": "\n\n".join(["What happens next", "Who pays", "Why now"]),
    "no signs": "the bridge will close in june and nobody knows why " * 40,
    "one long sentence": "The bridge, " * 400 + "will close.",
    "one long word": "bridge" * 900,
    "again and again": "The bridge will close in June. " * 50,
    "pronouns": "He came. She saw it and said so to him. They won. It rained all day in the town. " * 8,
    "datelines": "LONDON (Reuters) - \n\nNEW YORK \u2014 \n\n(CNN) -- The bridge will close in June.",
    "control": "\u200b\ufeffThe\x00 bridge\u200d will\u2028close in \U0001f600.\x07 It\x1f will.\r\nSo",
    "special tokens": "</s> <s> The <mask> bridge </s> will close. <pad> It will.",
    "other letters": "\u6a4b\u306f\u516d\u6708\u306b. \u041c\u043e\u0441\u0442. \u0130STANBUL \u00e9t\u00e9.",
    "numbers": "1.2.3 4,5 6/7 8-9 10:11. " * 30,
    "half signs": "\u2026 " * 300 + "The bridge will close.",
    "signs first": "\u2014 " * 700 + "The bridge will close.",
    "signs on lines first": "\u2014\n" * 700 + "The bridge will close.",
    "quotes": "\u201cIt will close,\u201d he said. \u201cBut when?\u201d \u2018This week,\u2019 she said. " * 5,
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_of_any_article_something_is_quoted_character_for_character(
    detokenizer: Detokenizer, tokenizer: Tokenizer, text: str
) -> None:
    marked = mark(tokenizer, text)
    rng = np.random.default_rng(0)
    length = marked.input_ids.shape[1] + PADDING
    for room in (1, 3, 12, 40, 77, 253):
        row = np.concatenate(([rng.integers(0, 200_000)], rng.integers(0, 1_000_001, 2 * length)))[None]
        found = written(detokenizer([row.astype(np.int32)], [beside(marked, room=room)])[0])
        quoted = [text[quote["start"] : quote["end"]] for quote in found.sentences]
        cut = any("truncated" in quote for quote in found.sentences)
        assert found.text == " ".join(quoted) + "\u2026" * cut
        assert bool(quoted) == any(map(str.isalnum, text))
        assert all(words == words.strip() != "" for words in quoted)
        assert cut or all(any(map(str.isalnum, words)) for words in quoted)
        indices = [quote["index"] for quote in found.sentences]
        assert indices == sorted(set(indices))
        alone = len(tokenizer.encode(found.text, add_special_tokens=False).ids)
        assert cut or alone <= room or sum(len(marked.runs[index]) for index in indices) <= room
