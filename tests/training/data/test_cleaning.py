import time
from collections.abc import Callable

import pytest

from training.data.cleaning import clean_text, clean_title, fingerprint, split_of


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("LONDON (Reuters) - Shares fell on Monday.", "Shares fell on Monday."),
        ("WASHINGTON (AP) — The Senate voted.", "The Senate voted."),
        ("WEST PALM BEACH, Fla. (Reuters) - He spoke.", "He spoke."),
        ("(Reuters) - Oil rose.", "Oil rose."),
        ("KABUL — Officials said two men were held.", "Officials said two men were held."),
        ("By Ann Smith and Bob O'Hara\nThe dog ran home.", "The dog ran home."),
        ("By Ann Smith | March 3, 2017\nThe dog ran home.", "The dog ran home."),
        ("It fell. Reporting by Ann Smith; Editing by Bob Lee", "It fell."),
        ("A minister told Reuters the talks failed.", "A minister the talks failed."),
        ("Gossip Cop has learned that it is not so.", "has learned that it is not so."),
        ("See https://example.org/a?b=c and pic.twitter.com/xYz now.", "See and now."),
        ("A tweet by @someone_1 said so.", "A tweet by said so."),
        ("He won. [VIDEO] She lost.", "He won. She lost."),
        ("One.\nFeatured image via Some Agency\nTwo.", "One.\nTwo."),
        ("tabs\tand\x00nulls \u200b here\n\n\nnext", "tabs and nulls here\nnext"),
    ],
)
def test_source_markers_go(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@pytest.mark.parametrize(
    "text",
    [
        "By Monday the river had risen by two metres, and nobody slept.",
        "The company reported (and denied) a loss of 3.5 million - its first.",
        "They watch the video every day.",
    ],
)
def test_plain_prose_stays_as_it_is(text: str) -> None:
    assert clean_text(text) == text


def test_boilerplate_in_one_long_line_does_not_take_the_article_with_it() -> None:
    article = "The council met on Tuesday. " * 30 + "Sign up for our newsletter."
    assert clean_text(article) == article


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("WATCH: Dog rescues cat", "Dog rescues cat"),
        ("VIDEO: Dog rescues cat", "Dog rescues cat"),
        ("Dog rescues cat [VIDEO]", "Dog rescues cat"),
        ("Dog rescues cat (VIDEO)", "Dog rescues cat"),
        ("Dog rescues cat from burning house | The Daily Example", "Dog rescues cat from burning house"),
        ("Dog rescues cat from burning house - CNN", "Dog rescues cat from burning house"),
        ("Berlin - Paris", "Berlin - Paris"),
    ],
)
def test_titles_lose_markers_and_publishers(raw: str, clean: str) -> None:
    assert clean_title(raw) == clean


def test_cleaning_twice_changes_nothing_more() -> None:
    once = clean_text("By Ann Smith\nPARIS (Reuters) - VIDEO: It rained.\nwww.example.com\nEnd.")
    assert clean_text(once) == once


def test_a_byline_of_one_endless_word_is_no_trap() -> None:
    text = "By " + "A" * 5000 + "!"
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("sign", "clean"),
    [("\n", clean_text), ("\n ", clean_text), ("-", clean_title), ("[", clean_title), ("<", clean_text)],
)
def test_a_run_of_one_sign_takes_twice_the_time_when_it_is_twice_as_long(
    sign: str, clean: Callable[[str], str]
) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        clean("It rained." + sign * count + "Then it did not.")
        return time.process_time() - began

    assert seconds(16_000) < 12 * max(seconds(4_000), 0.005)  # where each looks at all that follow, 16 times


def test_fingerprint_ignores_case_punctuation_and_white_space() -> None:
    assert fingerprint("Hello,  World!") == fingerprint("hello world")
    assert fingerprint("hello world") != fingerprint("hello worlds")


def test_split_of_is_stable_and_near_its_fractions() -> None:
    splits = [split_of(f"article number {i}", validation=0.2, test=0.1) for i in range(3000)]
    assert splits == [split_of(f"Article  number {i}.", validation=0.2, test=0.1) for i in range(3000)]
    assert 0.07 < splits.count("test") / 3000 < 0.13
    assert 0.17 < splits.count("validation") / 3000 < 0.23


def test_split_of_refuses_fractions_that_leave_nothing_to_train_on() -> None:
    with pytest.raises(ValueError, match=r"leave something to train on, not 0\.5 and 0\.5"):
        split_of("text", validation=0.5, test=0.5)
