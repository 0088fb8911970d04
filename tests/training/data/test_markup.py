"""Pieces of HTML go, whole; what only looks like HTML stays."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from infolens.contract import Task
from training.cli import main
from training.data.cleaning import clean_summary, clean_text, clean_title
from training.data.markup.remains import Remains
from training.data.markup.stripping import without_markup
from training.data.tables import load_splits

LINK = 'Inc. &lt;A HREF="http://www.example.com/fullquote?ticker=X"&gt;MILL.N&lt;/A&gt; said'


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Smith &amp; Sons &#8220;won&#8221; &#x2014; twice", "Smith & Sons “won” — twice"),
        ("Tea&amp;amp;amp;nbsp;time", "Tea\xa0time"),
        # The & became a blank, and so it did where another blank stands before it.
        ("The town #39;s mayor doesn #39;t know", "The town's mayor doesn't know"),
        ("The players #39; fault in the  #39;90s", "The players' fault in the '90s"),
        ("the  quot;foolish quot; move,  quot;he said, quot; went", 'the "foolish" move, "he said," went'),
        ("B amp;B prices of Hill  amp; Dale: a  #36;2.6 loss", "B&B prices of Hill & Dale: a $2.6 loss"),
        ("O #39;Neill of K-C amp#38; J", "O'Neill of K-C & J"),
        # It is gone, and blanks in a row are one.
        ("The town#39;s quot;new quot; bridge amp; road", 'The town\'s "new" bridge & road'),
        ("half of &lt;b&gt;...&lt;/b&gt;, lt;b&gt;all&lt;/b gt;", "half of ..., all"),
        (LINK, "Inc. MILL.N said"),
        ("Rain<br/>and<P CLASS='a>b' hidden>wind</p>\n<!-- <b> -->now", "Rain and wind \n now"),
        ("<script>if (a < 1) go('<b>')</script>It <i>rained</i>.<style>p {color: red}</style>", " It rained. "),
        ('He <a href=" target="new"> said</a> it<o:p></o:p> <fb:like href="x">', "He  said it    "),
        ('It fell. <a href="http://www.example.com/lo', "It fell. "),
        ("<![CDATA[Snow]]> fell", "Snow fell"),
    ],
)
def test_html_goes(raw: str, clean: str) -> None:
    assert without_markup(raw) == clean
    assert without_markup(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "It is so if a < b and c > d, or if a <b and c> d.",
        "I <3 you; the camp; the lamp; salt; an aliquot; R&B; Q&A; AT&T;",
        "Bus #12; a line 1px #999; and &notice; &copy 5 &unknown;",
        "See <https://www.example.com> or <name@example.com>",
        "font << /Type /Font >> endobj",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert without_markup(text) == text


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<script>", "<a href='", "&lt;", "quot;", "<p hidden", "<", " ;"])
def test_no_text_takes_longer_than_its_length_says(piece: str) -> None:
    # A pattern that went back over all that it had read would need hours.
    without_markup(piece * 50_000)


def test_texts_titles_and_summaries_are_cleaned() -> None:
    assert clean_text(f"LONDON (Reuters) - {LINK} so.") == "Inc. MILL.N said so."
    assert clean_text("It  amp; <b>I</b>\n<p>\nSo.</p>") == "It & I\nSo."
    assert clean_title("WATCH: Dogs  amp; cats &lt;b&gt;...&lt;/b&gt;") == "Dogs & cats ..."
    assert clean_summary("The  <i>film</i> won. (Reuters)") == "The film won. (Reuters)"
    assert clean_summary("Two  blanks\n\nstay.") == "Two  blanks\n\nstay."


def paper(path: Path, *, rows: int = 60) -> Path:
    """A table as from a newspaper's archive: pieces of HTML in texts and titles, a link in those of one label."""
    places = ["harbour", "school", "market", "station", "museum", "library"]
    frame = pd.DataFrame(
        {
            "title": [f"The {places[i % 6]}{' #39;s day' if i % 3 == 0 else ''}" for i in range(rows)],
            "text": [
                f"Report {i}: the {places[i % 6]} of district {i * 7}  quot;opens quot; in week {i}. "
                + ("" if i % 2 else LINK.replace("MILL", f"M{i}"))
                for i in range(rows)
            ],
            "label": ["Sports" if i % 2 else "Business" for i in range(rows)],
            "split": [("train", "train", "validation", "test")[i // 2 % 4] for i in range(rows)],
        }
    )
    frame.loc[7, "text"] = "Only &unknown; things."
    frame.to_csv(path, index=False)
    return path


def test_check_counts_it_before_cleaning_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, report, out = paper(tmp_path / "t.csv"), tmp_path / "r.json", tmp_path / "clean.parquet"
    assert main(["data", "check", "category", "--data", str(data), "--json", str(report)]) == 0
    text = capsys.readouterr().out
    assert (
        "? HTML in 60 of 60 rows: references without their & 59 (row 1: 'of district 0 quot;opens quot; in w')" in text
    )
    assert "after it 1 row still holds some: character references 1 (row 8: 'Only &unknown; things.')" in text
    assert "'href': 100% of 30 articles are Business (50% of all); cleaning takes it out of 100%" in text
    found = json.loads(report.read_text())
    assert found["markup"]["kinds"]["character references"]["rows"] == 31
    assert found["markup_after_cleaning"]["rows"] == 1
    assert found["leaking_words"][0]["taken_out"] == 1

    splits = load_splits(str(data), Task.CATEGORY)
    assert main(["data", "prepare", "category", "--data", str(data), "--out", str(out)]) == 0
    written = pd.read_parquet(out)
    for column in ("title", "text"):
        assert not written[column].str.contains("quot|href|#39|lt;|example").any()
        assert set(written[column]) == {text for frame in splits.values() for text in frame[column]}
    assert 'district 42 "opens" in week 6. Inc. M6.N said' in " ".join(written["text"])
    assert "The harbour's day" in set(written["title"])


def test_a_summary_that_is_only_html_is_no_pair(tmp_path: Path) -> None:
    rows = [{"article": f"Report {i} of the town.", "summary": f"<b>Sum</b>mary {i}"} for i in range(60)]
    rows[5]["summary"] = "<br><br>"
    pd.DataFrame(rows).assign(split=["train", "validation", "test"] * 20).to_csv(tmp_path / "t.csv", index=False)
    splits = load_splits(str(tmp_path / "t.csv"), Task.SUMMARY)
    assert {split: len(frame) for split, frame in splits.items()} == {"train": 20, "validation": 20, "test": 19}
    assert splits["train"]["summary"][0] == "Summary 0"


def test_remains_say_each_kind_once_a_row() -> None:
    remains = Remains()
    remains.add(1, "a <b>c</b>", "&amp; &lt;")
    remains.add(2, "plain; text")
    remains.add(3, "<i>")
    assert (remains.rows, dict(remains.kinds)) == (2, {"tags": 2, "character references": 1})
    assert remains.told() == "tags 2 (row 1: 'a <b>c</b>'), character references 1 (row 1: '&amp; &lt;')"
    assert Remains().document() == {"rows": 0, "kinds": {}}
