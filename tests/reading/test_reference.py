"""Counting what articles are like, and reading it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reading.reference import EDGES, OTHER, WORDS, Counts, length_bucket, parse, words_of


def test_words_are_runs_of_letters_of_any_alphabet() -> None:
    assert list(words_of("The CAFÉ's 2nd prix_fixe", "Ελλάδα—3.5")) == [
        "the", "café", "s", "nd", "prix", "fixe", "ελλάδα",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "bucket"), [(0, 0), (24, 0), (25, 25), (49, 25), (50, 50), (1599, 800), (1600, 1600), (9999, 1600)]
)
def test_a_bucket_begins_at_its_edge(words: int, bucket: int) -> None:
    assert length_bucket(" ".join(["w"] * words)) == bucket
    assert bucket in EDGES


def test_shares_of_words_add_up_with_those_that_are_not_named() -> None:
    counts = Counts()
    for number in range(WORDS + 50):
        word = "".join(chr(97 + int(digit)) for digit in f"{number:03}")
        counts.add(" ".join([word, "common"] + [OTHER] * 2), label="a" if number % 4 else "b")
    document = parse(counts.to_json())
    assert document == counts.document()
    named = document["vocabulary"]["words"]
    assert len(named) == WORDS
    assert next(iter(named)) == "common"
    assert named["common"] == 0.25
    assert OTHER not in named, "its bucket would be that of all others"
    assert sum(named.values()) + document["vocabulary"][OTHER] == pytest.approx(1)
    assert list(document["label"]) == ["a", "b"]
    with pytest.raises(ValueError, match="no article was counted"):
        Counts().document()


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"schema": 2}, "no reference of schema 1"),
        ({"articles": True}, "articles is a whole number above 0"),
        ({"words": {"edges": [0, 25], "shares": [1]}}, "as many shares as edges"),
        ({"words": {"edges": [25, 0], "shares": [1, 0]}}, "numbers that rise"),
        ({"vocabulary": {"words": {"the": 2}, "other": 0}}, "a share is a number from 0 to 1"),
        ({"vocabulary": {"words": {"the": 1}}}, "vocabulary.other"),
        ({"label": ["a"]}, "label: a share"),
    ],
)
def test_another_document_is_refused(broken: dict[str, Any], words: str) -> None:
    counts = Counts()
    counts.add("The text.", label="a")
    with pytest.raises(ValueError, match=words):
        parse(json.dumps(counts.document() | broken))
