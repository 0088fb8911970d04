"""What a summary says that its article does not hold: a table of what is found, and one of what must not be."""

from __future__ import annotations

import pytest

from serving.backends.detokenizer import numerals
from serving.backends.detokenizer.unsupported import find

ARTICLE = """\
Profits at Norbank rose 5 per cent to £1,200 in 2004, said Mr. Tom O'Hara, head of the European Commission's bank unit.
“It is good for us, and for the people of Leeds,” he said. Between 3 and 5 million people, twenty-one firms and three
towns are touched by it; the cost is $2.50, or six eggs. Fire crews came at 10:30. In May the U.S. Army left.
A hundred homes were lost. It was the third time. The path is 100m long and cost €3.5bn. He called it 'a dark, dark
day'. The pilot of flight BA 2069 may leave on Monday. An Oscar was won by the North Sea team.
"""


@pytest.mark.parametrize(
    ("summary", "found"),
    [
        ("Profits rose 9 per cent.", [("9 per cent", "number")]),
        ("Profits rose to £1,201.", [("£1,201", "number")]),
        ("It cost $4 million.", [("$4 million", "number")]),
        ("It cost €3.5m.", [("€3.5m", "number")]),  # it was billions
        ("It was in 2005.", [("2005", "number")]),
        ("Some 20 homes were lost.", [("20", "number")]),
        ("Four towns are touched.", [("Four", "number")]),
        ("Two million people are touched.", [("Two million", "number")]),
        ("It cost $2.5001.", [("$2.5001", "number")]),
        ("It was 12 of 1,200.", [("12", "number")]),
        ("Profits rose, said Jane O'Hara.", [("Jane O'Hara", "name")]),
        ("It is good for Bradford.", [("Bradford", "name")]),
        ("Thisower profits rose.", [("Thisower", "name")]),
        ("The Asian Commission said so.", [("Asian Commission", "name")]),
        ("He said: Berlin is next.", [("Berlin", "name")]),
        ("The EU agreed.", [("EU", "name")]),
        ("“It is bad for us, and for Leeds,” he said.", [("“It is bad for us, and for Leeds,”", "quotation")]),
        ("He called it 'a bright, bright day'.", [("'a bright, bright day'", "quotation")]),
        (
            "Norbank of Hull made £7 in 2004, and Paris 8%.",
            [("Hull", "name"), ("£7", "number"), ("Paris", "name"), ("8%", "number")],
        ),
        ('He said "we lost 7 homes in Hull".', [('"we lost 7 homes in Hull"', "quotation")]),
    ],
)
def test_what_the_article_does_not_hold_is_found(summary: str, found: list[tuple[str, str]]) -> None:
    spans = find(summary, ARTICLE)
    assert [(span["text"], span["kind"]) for span in spans] == found
    assert all(summary[span["start"] : span["end"]] == span["text"] for span in spans)


@pytest.mark.parametrize(
    "summary",
    [
        "Profits rose 5% to 1200 pounds.",
        "Profits rose five percent in 2004.",
        "Some 21 firms and 3 towns are touched.",
        "Between 3 million and 5m people are touched.",
        "It cost $2.5, or 6 eggs.",
        "Some 100 homes were lost for the 3rd time.",
        "The path is 100 metres long.",
        "The cost was €3.5 billion.",
        "Crews came at 10:30.",
        "Mr Tom O\u2019Hara\u2019s profits rose.",
        "TOM O'HARA OF THE EUROPEAN COMMISSION",
        "However, Norbank's profits rose. Meanwhile, it isn't over. I'm sure. Notably, he left.",
        "Crews came. Fire was seen: Homes were lost.",
        "The US Army left in May. The U.S. left.",
        "He may leave on Monday. May was late.",
        "The EC left.",
        "The Crew and the Oscars were in North Seas.",
        "The Oscar-winning team is from the North Sea.",
        '"it is good for us" he said.',
        "'It is good for us, and for the people of Leeds.'",
        "“It is good for us … the people of Leeds,” he said.",
        "“[It] is good for us, and for the people of [the city of] Leeds” he said.",
        "He called it “a dark,  dark day”.",
        "The boys' and the girls' \"big day\" is here.",
        "One of us left. Nobody won a second time.",
        "Police left.",
        "",
    ],
)
def test_what_has_a_right_to_differ_is_let_pass(summary: str) -> None:
    assert find(summary, ARTICLE, {"police"}) == []


def test_a_word_of_the_vocabulary_is_a_name_in_the_middle_of_a_sentence() -> None:
    assert find("Police left.", ARTICLE) != []
    assert find("He met Police there.", ARTICLE, {"police"}) != []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,200.50", {"1200.5"}),
        ("twenty-one", {"21"}),
        ("two hundred", {"200"}),
        ("US$1.2bn", {"1200000000"}),
        ("1.2m", {"1200000", "1.2"}),
        ("$1.2m", {"1200000"}),
        ("version 3.5.1", {"3.5.1"}),
        ("the 1980s", {"1980"}),
        ("5mph", {"5"}),
        ("A320 and B2", set()),
        ("3 to 5 million", {"3", "3000000", "5000000"}),
        ("a million", {"1000000"}),
        ("a dozen", {"12"}),
        ("007", {"7"}),
    ],
)
def test_what_numbers_mean(text: str, values: set[str]) -> None:
    assert numerals.values(text) == values


def test_a_long_text_of_one_word_takes_no_long_time() -> None:
    """What is looked up once must not be looked up at each place, which would take minutes here."""
    article = "Ab" * 120_000
    assert find("Ab" * 300 + " Ba 7 'Abc Abc Abc'", article) != []
