"""Extractive summaries and samples of the committed summarizer, as people get them from the real server."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.common.server import Started
from infolens import Article, Client, Summary, SummaryOptions

pytestmark = pytest.mark.server

ARTICLES = Path(__file__).parents[2] / "articles"
EXTRACTIVE = SummaryOptions(style="extractive")
SAMPLE = SummaryOptions(style="free", temperature=0.9, top_p=0.95, seed=7)
BODY = (ARTICLES / "travel.txt").read_text(encoding="utf-8")
TEXTS = {
    **{path.stem: path.read_text(encoding="utf-8") for path in sorted(ARTICLES.glob("*.txt"))},
    "emoji and combining marks": "\U0001f469\u200d\U0001f692 Fire crews came at once to the cafe\u0301 in Leeds.  "
    f"The owner, Zoe\u0308 Müller 😀, thanked them on Monday. {BODY}",
    "line ends of Windows": BODY.replace("\n", "\r\n"),
    "blanks before and between": f"\n\t  \u00a0 {BODY.replace('. ', '.   ')}  ",
    "control characters": BODY.replace(" the ", "\x0bthe\x00", 3),
    "a list": "What the unions want:\n- more pay for nurses;\n- fewer hours at night;\n- a holiday in May.\n\n"
    "The city said no.",
    "no full stops": re.sub(r"[.!?]", "", BODY),
    "the same again and again": "The home side won the final on Sunday. " * 20 + "The crowd left early.",
}


@pytest.fixture(scope="module")
def client(triton: Started) -> Iterator[Client]:
    with Client(triton.grpc_url) as client:
        yield client


def check(text: str, summary: Summary) -> None:
    """Every character of the summary is the article's, at the places that the answer names."""
    as_served = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]", " ", text)
    quoted = [as_served[one.start : one.end] + "\u2026" * one.truncated for one in summary.sentences]
    assert summary.text == " ".join(quoted)
    assert quoted
    assert len({one.index for one in summary.sentences}) == len(quoted)
    assert not any(one.truncated for one in summary.sentences[:-1])
    assert all(sentence == sentence.strip() for sentence in quoted)
    assert summary.unsupported == ()


@pytest.mark.parametrize("name", TEXTS)
def test_an_extractive_summary_is_the_articles_own_sentences(client: Client, name: str) -> None:
    check(TEXTS[name], client.summarize(TEXTS[name], options=EXTRACTIVE))


@pytest.mark.parametrize(
    "options", [{"max_length": 8}, {"max_length": 24}, {"min_length": 60, "num_beams": 4}, {"num_beams": 1}]
)
def test_so_it_is_under_every_setting(client: Client, options: dict[str, int]) -> None:
    for name in ("sports", "emoji and combining marks", "a list"):
        check(TEXTS[name], client.summarize(TEXTS[name], options=SummaryOptions(style="extractive", **options)))


def test_a_first_sentence_that_has_no_room_is_cut_and_says_so(client: Client) -> None:
    text = TEXTS["no full stops"]
    summary = client.summarize(text, options=SummaryOptions(style="extractive", max_length=12))
    check(text, summary)
    assert [one.truncated for one in summary.sentences] == [True]
    assert summary.text.endswith("\u2026")


def test_a_short_article_is_its_own_summary(client: Client) -> None:
    text = "  It rained.\r\nHe won.  "
    summary = client.summarize(text, options=EXTRACTIVE)
    check(text, summary)
    assert summary.text == "It rained. He won."
    free = client.summarize(text, options=SummaryOptions(style="free"))
    assert free.text == "It rained. He won."


def test_a_free_summary_names_the_sentences_that_it_quotes(client: Client) -> None:
    for text in (TEXTS["sports"], TEXTS["politics"]):
        summary = client.summarize(text, options=SummaryOptions(style="free"))
        words = " ".join(summary.text.split())
        assert all(" ".join(text[one.start : one.end].split()) in words for one in summary.sentences)
        assert all(summary.text[one.start : one.end] == one.text for one in summary.unsupported)


def test_a_sample_is_the_same_for_the_same_seed_whoever_stands_beside_it(client: Client) -> None:
    articles = [Article(text=TEXTS[name]) for name in ("sports", "travel", "politics", "business")]
    alone = [client.summarize(article, options=SAMPLE).text for article in articles]
    together = [
        report.summary.text
        for report in client.analyze_many(articles * 3, tasks="summary", options=SAMPLE, in_flight=8)
        if not isinstance(report, Exception) and report.summary is not None
    ]
    assert together == alone * 3
    others = {
        client.summarize(articles[0], options=SummaryOptions(style="free", temperature=1.5, seed=seed)).text
        for seed in range(6)
    }
    assert len(others) > 1


def test_without_a_seed_each_request_draws_anew(client: Client) -> None:
    options = SummaryOptions(style="free", temperature=1.5)
    assert len({client.summarize(TEXTS["sports"], options=options).text for _ in range(6)}) > 1


def test_a_sample_may_quote_only(client: Client) -> None:
    for seed in range(5):
        options = SummaryOptions(style="extractive", temperature=1.0, seed=seed)
        check(TEXTS["politics"], client.summarize(TEXTS["politics"], options=options))


def test_plain_json_says_the_same(client: Client, triton: Started) -> None:
    text = TEXTS["emoji and combining marks"]
    body = json.dumps({"text": text, "tasks": ["summary"], "summary": {"style": "extractive"}}).encode()
    request = urllib.request.Request(
        f"{triton.http_url}/v1/analyze", body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        document = json.load(answer)
    assert document["summary"] == client.summarize(text, options=EXTRACTIVE).to_dict()


def test_what_cannot_be_is_refused_by_the_server_too(triton: Started) -> None:
    def ask(**settings: object) -> None:
        inputs = [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [BODY]}]
        kinds = {"num_beams": "INT32", "seed": "INT32", "temperature": "FP32", "top_p": "FP32", "style": "BYTES"}
        inputs += [{"name": n, "shape": [1, 1], "datatype": kinds[n], "data": [v]} for n, v in settings.items()]
        request = urllib.request.Request(
            f"{triton.http_url}/v2/models/summarize/infer", json.dumps({"inputs": inputs}).encode()
        )
        urllib.request.urlopen(request, timeout=60).close()

    for settings, words in (
        ({"style": "loose"}, "extractive"),
        ({"temperature": 0.5, "num_beams": 2}, "num_beams"),
        ({"temperature": 3}, "temperature"),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(**settings)
        assert refused.value.code == 400
        assert words in refused.value.read().decode()
