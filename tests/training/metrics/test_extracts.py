"""How a summary takes from its article, against cases worked out by hand."""

from __future__ import annotations

import pytest

from training.metrics.extracts import cut_sentences, extraction, foreign_sentences, fragments, lead, sentences_of

ARTICLE = "The council voted on Tuesday.\nIt will repair the old bridge, Dr. Lee said. Work begins in spring!"


def foreign(summary: str) -> list[str]:
    return foreign_sentences(sentences_of(summary, ARTICLE), ARTICLE)


def test_sentences_of_the_article_are_not_foreign_whatever_the_white_space() -> None:
    assert foreign("It will  repair the old bridge, Dr. Lee said. Work begins\tin spring!") == []
    assert foreign("Work begins in spring! The council voted on Tuesday.") == []
    assert foreign("") == []


def test_a_changed_or_spliced_sentence_is_foreign() -> None:
    summary = (
        "The council voted on Monday. Work begins in spring! The council will repair the old bridge, Dr. Lee said."
    )
    assert foreign(summary) == [
        "The council voted on Monday.",
        "The council will repair the old bridge, Dr. Lee said.",
    ]


def test_a_piece_of_a_sentence_is_cut_and_not_foreign() -> None:
    sentences = ["repair the old bridge, Dr. Lee said.", "Work begins in spring!"]
    assert foreign_sentences(sentences, ARTICLE) == []
    assert cut_sentences(sentences, ARTICLE) == sentences[:1]


def test_spans_tell_sentences_apart_that_the_splitter_does_not() -> None:
    article = "A list without full stops\nThe first thing\nThe second thing\nThe third thing"
    summary = "The third thing The first thing"
    assert foreign_sentences(sentences_of(summary, article), article) == [summary]
    quotes = ("The third thing", "The first thing")
    spans = [(article.index(words), article.index(words) + len(words)) for words in quotes]
    assert sentences_of(summary, article, spans) == list(quotes)


@pytest.mark.parametrize("spans", [[(0, 28)], [(0, 28), (3, 3)], [(0, 0)], [(400, 500)]])
def test_spans_that_do_not_make_up_the_summary_are_not_believed(spans: list[tuple[int, int]]) -> None:
    assert sentences_of("The council voted on Monday.", ARTICLE, spans) == ["The council voted on Monday."]


def test_spans_that_tear_words_are_not_believed() -> None:
    spans = [(0, 9), (26, 29)]
    assert [ARTICLE[start:end] for start, end in spans] == ["The counc", "ay."]
    assert sentences_of("The councay.", ARTICLE, spans) == ["The councay."]


def test_fragments_are_the_longest_runs() -> None:
    article = ["a", "b", "c", "x", "a", "b", "d", "e"]
    assert fragments(["a", "b", "d", "z", "a", "b", "c"], article) == [
        3,
        3,
    ]  # "a b d" and not the "a b" that comes first
    assert fragments(["z", "y"], article) == []
    assert fragments([], article) == []


def test_extraction() -> None:
    found = extraction("The council will repair the old bridge!", ARTICLE)  # [the council] [will repair the old bridge]
    assert found["coverage"] == 1.0
    assert found["density"] == pytest.approx((2**2 + 5**2) / 7)
    assert found["compression"] == pytest.approx(18 / 7)
    assert found["novel_1"] == 0.0
    assert found["novel_2"] == pytest.approx(1 / 6)
    assert found["novel_3"] == pytest.approx(2 / 5)
    assert found["novel_4"] == pytest.approx(2 / 4)
    assert extraction("", ARTICLE)["density"] == 0.0


def test_the_lead_has_as_many_words() -> None:
    assert lead(ARTICLE, 6) == "The council voted on Tuesday.\nIt"
    assert lead(ARTICLE, 0) == ""
    assert lead("Short.", 9) == "Short."
