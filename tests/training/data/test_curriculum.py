"""What the small summarizer learns from: sentences that stand in the article, chosen against a summary or the rest."""

from training.data.curriculum import (
    SelectionConfig,
    candidates,
    collapse,
    copied_bigrams,
    coverage,
    faithful_pairs,
    gap_sentences,
    leading_words,
    oracle,
    oracle_pairs,
)

ARTICLE = (
    "The harbour town woke to clear skies on Monday. "
    "The council voted to rebuild the old stone bridge over the river next spring. "
    "Ducks swam below it as they always do in that season. "
    "Rebuilding the stone bridge will cost four million, the council said after the vote. "
    "A bakery nearby sold out of bread before noon."
)
CONFIG = SelectionConfig(min_words=4)


def test_oracle_takes_the_sentences_nearest_to_the_summary_in_the_articles_order() -> None:
    found = oracle(
        ARTICLE,
        "The council voted to rebuild the bridge next spring; that will cost four million, the council said",
        CONFIG,
    )
    assert found is not None
    assert found.startswith("The council voted to rebuild")
    assert found.endswith("the council said after the vote.")
    assert "Ducks" not in found


def test_oracle_is_none_without_a_shared_bigram() -> None:
    assert oracle(ARTICLE, "Elephants rarely climb mountains", CONFIG) is None


def test_oracle_respects_the_most_words() -> None:
    found = oracle(ARTICLE, ARTICLE, SelectionConfig(min_words=4, max_words=20))
    assert found is not None
    assert len(found.split()) <= 20


def test_gap_sentences_prefer_what_the_rest_and_the_title_speak_of() -> None:
    found = gap_sentences(ARTICLE, "Stone bridge to be rebuilt", SelectionConfig(max_sentences=1, min_words=4))
    assert found is not None
    assert "stone bridge" in found
    assert found in ARTICLE


def test_gap_sentences_need_three_candidates() -> None:
    assert gap_sentences("One short sentence stands here alone. Another one stands beside it.", "", CONFIG) is None


def test_candidates_leave_out_fragments_and_repetitions() -> None:
    whole = "A whole sentence of six words here."
    text = f"ADVERTISEMENT\n{whole}\n{whole}\nand then a fragment goes on."
    assert candidates(text, CONFIG) == [(1, whole)]


def test_measures_of_faithfulness() -> None:
    assert coverage("The council voted.", ARTICLE) == 1.0
    assert copied_bigrams("The council voted", ARTICLE) == 1.0
    assert copied_bigrams("voted council the", ARTICLE) == 0.0
    assert coverage("", ARTICLE) == copied_bigrams("", ARTICLE) == 0.0


def test_faithful_pairs_drop_what_the_article_does_not_say() -> None:
    said, invented = "The council voted to rebuild the old stone bridge.", "The mayor resigned after a scandal in Peru."
    pairs = faithful_pairs([(ARTICLE, said), (ARTICLE, invented)], read_words=100, min_coverage=0.9, min_bigrams=0.5)
    assert [summary for _, summary in pairs] == [said]


def test_targets_come_from_the_words_that_are_read() -> None:
    assert leading_words("one  two\nthree four", 3) == "one  two\nthree"
    assert leading_words("one", 3) == "one"
    pairs = oracle_pairs([(ARTICLE, "A bakery nearby sold out of bread")], read_words=25, config=CONFIG)
    assert all("bakery" not in target for _, target in pairs)


def test_collapse_makes_one_blank_of_white_space_and_control_characters() -> None:
    assert collapse(" a\n\tb\x00c ") == "a b c"
