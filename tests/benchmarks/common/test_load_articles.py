"""The articles that a load test sends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.common.articles import LENGTHS_WORDS, Articles, Mix, read_articles
from benchmarks.common.server import BenchmarkError
from infolens import Article


def test_articles_are_as_long_as_real_ones_and_new_each_time() -> None:
    stream = Articles(seed=3)
    articles = [next(stream) for _ in range(2000)]
    words = sorted(len(article.text.split()) for article in articles)
    assert words[1000] == pytest.approx(LENGTHS_WORDS[10], rel=0.1)
    assert LENGTHS_WORDS[0] <= words[0]
    assert words[-1] <= LENGTHS_WORDS[-1]
    assert len({article.text for article in articles}) == len(articles)
    again = Articles(seed=3)
    assert [next(again) for _ in range(20)] == articles[:20]
    assert len(next(Articles(words=77)).text.split()) == 77


def test_popular_articles_come_again_and_are_the_same_for_everyone() -> None:
    first, second = Articles(mix=Mix.POPULAR, seed=1), Articles(mix=Mix.POPULAR, seed=2)
    mine, theirs = [next(first).text for _ in range(500)], [next(second).text for _ in range(500)]
    assert len(set(mine)) < 200
    assert max(mine.count(text) for text in set(mine)) > 40
    assert len(set(mine) & set(theirs)) > 50


def test_own_articles_are_read_or_refused_with_a_reason(tmp_path: Path) -> None:
    lines = [{"title": "T", "text": "one"}, {"article": "two"}, {"text": "  "}]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert read_articles(path) == [Article(title="T", text="one"), Article(text="two")]
    table = tmp_path / "mine.csv"
    table.write_text("title,text\nT,one\n,two\n")
    assert read_articles(table) == [Article(title="T", text="one"), Article(text="two")]
    (tmp_path / "M.CSV").write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"one", b"1"))
    assert read_articles(tmp_path / "M.CSV") == [Article(title="T", text="1"), Article(text="two")]
    path.write_text('\ufeff{"text": "one\u2028and"}\n', "utf-8")
    assert read_articles(path) == [Article(text="one\u2028and")]
    path.write_bytes(b'{"text": "caf\xe9"}')
    with pytest.raises(BenchmarkError, match="give them in UTF-8 with --articles"):
        read_articles(path)
    for name, content, message in (
        ("x.txt", "", "come as .jsonl, .csv, .parquet"),
        ("x.jsonl", "{", "cannot read the articles"),
        ("y.jsonl", '{"body": "x"}', "holds no article"),
        ("z.jsonl", '{"text": "x"}\n["y"]', "row 2 is no object; each line is one"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(BenchmarkError, match=message):
            read_articles(tmp_path / name)
    with pytest.raises(BenchmarkError, match="cannot read the articles"):
        read_articles(tmp_path / "missing.csv")
