"""Where sentences are: a table of cases, and what holds for any text."""
# ruff: noqa: RUF001 - quotation marks of all kinds

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reading.sentences import split

CASES = """
It rained. |It snowed.
Really? |Yes! |No.
It rained.  |It snowed.\\t|It froze.
Mr. Smith met Dr. Lee. |They spoke.
Prof. Anna Berg and Gen. Ray Ode agreed.
Gov. Hill met Sen. Dale (R-Texas). |Both left.
She met Mrs. Jones vs. Ms. Lee in St. Paul.
Smith Jr. won. |He was glad.
The firm, Acme Inc. of Ohio, closed.
He works at Acme Corp. |The firm closed.
Acme Co. Ltd. closed on Jan. 5 and reopened on Sept. 12.
They came in Feb. |It was cold.
See No. 5 and Fig. 3 on p. 12.
The answer was no. |He left.
It costs approx. 5 pounds, etc. |They paid.
Fort Worth, Tex., and Miami, Fla., were hit.
Apples, pears, i.e. fruit, e.g. Cox, are cheap.
The U.S. Senate voted.
He lives in the U.S. |The rest left.
The U.N. Security Council met in Washington, D.C. |It adjourned.
George W. Bush paid $3.5 million.
J. K. Rowling met J.R.R. Tolkien.
J.K. Rowling wrote it. |She won.
Plan B. |It worked.
It was him and I. |They left.
Take vitamin C. |Eat well.
He got his Ph.D. |Then he left.
He joined the F.B.I. |In May he left.
It opened at 9 a.m. Monday.
It opened at 9 a.m. |The crowd came.
By 10 p.m. EST it was over.
It cost $3.5 million. |It was 0.5 percent.
In 2020. |50 people came.
He paid. |$5 million was lost.
Version 2.0.1 is out.
"Really?" |He nodded. |"Yes." |12 left.
"I am here," he said. |"Go away."
"It is over. |We won," he said.
“It is over.” |She left.
He said: “Go!” |Then he left.
"Who is it?" she asked.
"Who is it?" Anna Berg asked.
"Stop!" he cried. |They stopped.
(It rained.) |It snowed.
He left (it rained). |She stayed.
It rained [sic]. |“It snowed.”
‘No,’ he said. |‘Never.’
He waited... and left.
He waited... |Then he left.
He waited… |Then he left.
Wait. . . what?
What?! |No!!! |Yes.
A headline\\n\\n|A first line. a lower one.
A headline\\n|It rained today in the north.
First.\\r\\n\\r\\n|Second.\\u2029|Third
It rained all day\\nand all night.
It rained all day.\\n|It snowed.\\n|It rained all day.\\n|it snowed.
- apples\\n|- pears\\n|- plums
1. Wash it.\\n|2. Dry it.\\n|3. Wear it.
• One thing\\n|• Another thing
Go to www.example.com. |It is free.
See https://www.example.com/a.html?b=1. |Then write.
Write to a.b@example.com today.
Yahoo! Inc. bought it.
Amazon.com Inc. rose.
The .NET tool is free.
He left.\\xa0|She stayed.
It was over.|The crowd left.
It was “over.”|“The crowd left,” she said.
He saw it.[1] |She left.
It rose 5%. |“We won.” |— Reuters
iPhone sales fell. |eBay rose.
it rained. |it snowed in the u.s. senate. |mr. lee left.
the rain fell all day and nobody went out and the river rose and rose
"""
WRAPPED = (
    "The council voted on Monday to close the bridge over the river, which\nhad been open since 1901, and to build a "
    "new one. |The mayor of the\nCity of London said that the work would begin in the spring of next\nyear.\n"
    "|It will cost two million pounds, of which the county has agreed to\npay one."
)


def expected(case: str) -> tuple[str, list[str]]:
    return case.replace("|", ""), [sentence.strip() for sentence in case.split("|")]


@pytest.mark.parametrize("case", [*CASES.strip().splitlines(), WRAPPED])
def test_sentences_begin_where_a_bar_stands(case: str) -> None:
    case = re.sub(r"\\(n|r|t|x..|u....)", lambda match: match.group().encode().decode("unicode_escape"), case)
    text, sentences = expected(case)
    assert [text[start:end] for start, end in split(text)] == sentences


@pytest.mark.parametrize("text", ["", " \n ", "...", ". . .", "“", "***\n—"])
def test_what_has_no_letter_is_no_sentence(text: str) -> None:
    assert split(text) == []


MARKS = "aZ5.!?…\"”“'’)([•- \n\r\t\xa0—$é"
WORDS = ("\r\n", "\n\n", "Mr", "U.S", "e.g", " It ", "said", "1. ", ". ", "\u2029", "iPad")
PIECES = st.sampled_from([*MARKS, *WORDS])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_sentences_ascend_and_hold_all_letters_and_nothing_blank_at_their_ends(text: str) -> None:
    spans = split(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    for start, end in spans:
        assert text[start:end] == text[start:end].strip()
        assert any(map(str.isalnum, text[start:end]))
    inside = {place for start, end in spans for place in range(start, end)}
    assert all(place in inside for place, char in enumerate(text) if char.isalnum())


def test_sentences_of_an_article_stand_the_same_after_another_paragraph() -> None:
    text = next(Path(__file__).parents[1].glob("articles/politics.txt")).read_text(encoding="utf-8")
    moved = [(start + 8, end + 8) for start, end in split(text)]
    assert split(f"Before\n\n{text}")[1:] == moved


@pytest.mark.parametrize("unit", [".", " ", "\n", "! ", "a. ", "-", "“", ".\n-", "A.", "[1]", "\u2028 "])
def test_no_text_takes_long(unit: str) -> None:
    """A rule that tried a place twice would take hours: the time-out of the test would end it."""
    text = "It rained" + unit * (1_000_000 // len(unit))
    assert split(text)[0][0] == 0
