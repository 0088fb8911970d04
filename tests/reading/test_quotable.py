"""Which sentences may stand in a summary by themselves."""

from __future__ import annotations

import pytest

from reading.quotable import dateline, is_apart, leans


@pytest.mark.parametrize(
    "sentence",
    [
        "Click here to see the full list of winners and losers of the night.",
        "READ MORE: Ten things that you did not know about the harbour bridge.",
        "Scroll down for video of the moment when the bridge was closed.",
        "For more news on the bridge, sign up for our daily newsletter.",
        "Sign up to the morning briefing and never miss a story again.",
        "Follow us on Facebook, on Twitter @BBCNewsEnts, or on Instagram.",
        "Follow the newsroom on Twitter for everything about the bridge.",
        "Subscribe now to get all of the stories as they happen.",
        "Watch: the moment when the harbour bridge was blown up by the army.",
        "Watch the video above to see how the city lives without its bridge.",
        "Listen to the full interview in the player at the top of the page.",
        "Fans can see the whole list of dates in the gallery below.",
        "The ferry leaves the harbour every ten minutes (Photo by Jim Spellman/WireImage).",
        "Photo: the harbour bridge on the day before it was closed for good.",
        "Image caption The bridge had been closed to lorries for the past ten years.",
        "FILE - In this Aug. 3, 2016, file photo, cars cross the harbour bridge.",
        "Cars cross the old bridge on its last day on Friday. REUTERS/Jim Young",
        "The bridge on the last day that it was open to cars, via Getty Images.",
        "Reporting by Jane Doe in London and John Smith in Paris; Editing by Al Roe.",
        "The Associated Press contributed to this report.",
        "This story was originally published by the harbour gazette.",
        "All rights reserved.",
        "What happens next",
        "Midnight in Paris (2011)",
        "12 - 4 | 13 : 5 | 19/20 (3) won 7.",
        "=====================",
    ],
)
def test_what_is_no_part_of_the_story(sentence: str) -> None:
    assert is_apart(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Watching the bridge go was hard for those who had built it.",
        "Watchdogs said on Monday that the bridge would have to close.",
        "Clicks on the page rose by a third within a week.",
        "Subscribers to the service will pay a third more from June.",
        "Followers of the band slept outside the hall for two nights.",
        "Reading the letter aloud, the mayor said that the bridge would close.",
        "See-through bags will be required at the stadium from June.",
        "For more than ten years people here have asked the city for a new bridge.",
        "For the latest quarter the firm reported a loss of $3.5m (£2.7m; 3.1m euros).",
        "Facebook has changed its privacy policy for the third time in a year.",
        "Sources said that the bridge would be closed for a month.",
        "Photographs of the bridge were shown in the town hall.",
        "The city said that the bridge, which thousands of people use each day, would close in June",
        'He said: "The bridge will close."',
        "Images of the bridge went around the world within hours.",
        "The shop in Main Street was closed.",
        "She won.",
    ],
)
def test_what_is_the_story(sentence: str) -> None:
    assert not is_apart(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "He denied it.",
        "“They will come back,” the mayor said.",
        "But the mayor said that the bridge would close.",
        "And so it went.",
        "So they closed the bridge.",
        "However, the mayor disagreed.",
        "It will close in June.",
        "It's the second one this year.",
        "It said that the bridge would close.",
        "This was the second time in a year.",
        "That\u2019s why the bridge closed.",
        "These bridges were built in 1934.",
        "Those bridges were built in 1934.",
        "Her mother came from Lagos.",
        "Its towers were built in 1934.",
        "Or else the bridge will close.",
        "In return, the mayor closed the bridge.",
    ],
)
def test_what_leans_on_the_sentence_before_it(sentence: str) -> None:
    assert leans(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "It is clear that the bridge will close.",
        "It was the mayor who closed the bridge.",
        "It\u2019s not known whether the bridge will open again.",
        "It is time to close the bridge.",
        "It took ten years to build the bridge.",
        "This week the bridge will close.",
        "This past year, the bridge was closed twice.",
        "These days few people use the bridge.",
        "That said, the bridge will close.",
        "Those who use the bridge will have to wait.",
        "Her Majesty the Queen opened the bridge.",
        "IT workers use the bridge.",
        "Butter is dearer than it was.",
        "Italy and Hercules have bridges.",
        "Anderson, who built it, said so.",
        "So far the bridge has held.",
        "In response to the mayor, the army closed the bridge.",
        "The bridge will close, but he denied it.",
    ],
)
def test_what_stands_by_itself(sentence: str) -> None:
    assert not leans(sentence)


@pytest.mark.parametrize(
    ("place", "rest"),
    [
        ("LONDON (Reuters) - ", "The bridge will close."),
        ("WASHINGTON, Aug 3 (AP) \u2014 ", "The bridge will close."),
        ("(CNN) -- ", "The bridge will close."),
        ("(CNN)", "The bridge will close."),
        ("NEW YORK \u2014 ", "The bridge will close."),
        ("NEW YORK - ", "The bridge will close."),
        ("WEST PALM BEACH, Fla. (AP) \u2013 ", "President Trump crossed the bridge."),
        ("Lagos, Nigeria (CNN) -- ", "The bridge will close."),
        ("LONDON, England (CNN)  -- ", "\u201cThe bridge will close,\u201d the mayor said."),
        ("Mumbai, Feb 27 (PTI) ", "The bridge will close."),
        ("July 5 (UPI) -- ", "The bridge will close."),
        ("KABUL (Pajhwok): ", ""),
        ("SEOUL, Aug. 3 (Yonhap) -- ", "The bridge will close."),
        ("", "The Associated Press (AP) President said so."),
        ("", "NATO said that the bridge would close."),
        ("", "CNN (the network) - not the bridge - will close."),
        ("", "The UN \u2014 as it said \u2014 will close the bridge."),
        ("", "LONDON (Reuters) - "),
        ("", "\u201cLONDON IS CALLING\u201d"),
    ],
)
def test_a_dateline_is_told_from_the_sentence(place: str, rest: str) -> None:
    sentence = place + rest
    assert dateline(sentence) == (len(place) if rest else 0)


@pytest.mark.parametrize(
    "piece", ["A" * 50_000, "A " * 50_000, "A, " * 30_000, "see the " * 20_000, " " * 100_000 + "A"]
)
def test_no_sentence_takes_long_for_its_length(piece: str) -> None:
    """Each would take hours with a pattern that tries everything at each place."""
    for sentence in (piece, f"LONDON {piece}", f"click {piece}", f"It is {piece}", f"{piece} (AP"):
        assert {is_apart(sentence), leans(sentence)} <= {True, False}
        assert dateline(sentence) < len(sentence)
