"""Three answers out of the real server with the committed models, by every way in: gRPC, HTTP, raw curl, the CLI."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tritonclient import grpc

from benchmarks.common.server import Started
from infolens import Article, AsyncClient, Client, InfoLensError, Labelled, Report, SummaryOptions, Task
from infolens.contract import CATEGORIES, VERACITIES

pytestmark = pytest.mark.server

ARTICLES = Path(__file__).parents[1] / "articles"
INFOLENS = Path(sys.executable).with_name("infolens")


def read(name: str) -> Article:
    title, _, text = (ARTICLES / f"{name}.txt").read_text(encoding="utf-8").partition("\n\n")
    return Article(title=title, text=text)


def check(report: Report) -> None:
    assert report.summary is not None
    assert report.category is not None
    assert report.veracity is not None
    assert 4 <= len(report.summary.text.split()) <= 100
    assert sum(report.category.probabilities.values()) == pytest.approx(1, abs=1e-3)
    assert tuple(report.category.probabilities) == CATEGORIES
    assert tuple(report.veracity.probabilities) == VERACITIES
    assert report.category.label == max(report.category.probabilities, key=report.category.probabilities.__getitem__)


@pytest.fixture(params=["grpc", "http"])
def client(request: pytest.FixtureRequest, triton: Started) -> Any:
    with Client(triton.grpc_url if request.param == "grpc" else triton.http_url) as client:
        yield client


def requests(triton: Started, model: str) -> int:
    """How many requests a model has answered."""
    with grpc.InferenceServerClient(triton.triton_grpc_url.removeprefix("grpc://")) as client:
        stats = client.get_inference_statistics(model).model_stats[0]
    return int(stats.inference_stats.success.count)


def same(one: Report, other: Report) -> bool:
    """Whether two reports give the same answers; probabilities may differ in their last digits."""
    assert one.summary and other.summary and one.category and other.category and one.veracity and other.veracity  # noqa: PT018
    return (
        one.summary.text == other.summary.text
        and one.category.label == other.category.label
        and one.veracity.label == other.veracity.label
        and one.category.probability == pytest.approx(other.category.probability, abs=0.02)
        and one.veracity.probability == pytest.approx(other.veracity.probability, abs=0.02)
    )


def test_all_three_answers(client: Client) -> None:
    report = client.analyze(read("sports"))
    check(report)
    assert report.category is not None
    assert report.category.label == "Sports"


def test_each_task_alone_agrees_with_all_at_once(client: Client) -> None:
    article = read("politics")
    report = client.analyze(article)
    assert report.category is not None
    assert report.veracity is not None
    assert client.summarize(article) == report.summary
    assert client.classify(article).probability == pytest.approx(report.category.probability, abs=0.02)
    assert client.verify(article).probability == pytest.approx(report.veracity.probability, abs=0.02)


def test_several_tasks_are_one_request_that_asks_no_other_model(client: Client, triton: Started) -> None:
    article = read("politics")
    whole = client.analyze(article)
    before = {model: requests(triton, model) for model in ("info_lens", "classify", "verify", "summarize")}
    two = client.analyze(article, tasks=[Task.CATEGORY, Task.VERACITY])
    assert list(two.answers) == [Task.CATEGORY, Task.VERACITY]
    for task, answer in two.answers.items():
        assert isinstance(answer, Labelled)
        assert answer.label == whole.answers[task].to_dict()["label"]
    asked = {model: requests(triton, model) - count for model, count in before.items()}
    assert asked == {"info_lens": 1, "classify": 1, "verify": 1, "summarize": 0}


def test_nothing_fails_here(client: Client) -> None:
    report = client.analyze(read("politics"), partial=True)
    check(report)
    assert report.failed == {}


def words(text: str) -> list[str]:
    return [word for raw in text.split() if (word := raw.strip(".,;:!?\"'“”()").lower())]


def test_the_summary_says_what_its_own_article_says(triton: Started) -> None:
    """Its words stand in the article in this order, two by two, and not in any other article."""
    articles = {path.stem: read(path.stem) for path in sorted(ARTICLES.glob("*.txt"))}
    pairs = {name: {*itertools.pairwise(words(f"{one.title} {one.text}"))} for name, one in articles.items()}
    with Client(triton.grpc_url) as client:
        summaries = {name: words(client.summarize(article).text) for name, article in articles.items()}
    assert len(summaries) > len(CATEGORIES)
    for name, summary in summaries.items():
        assert len(summary) >= 10, name
        told = [*itertools.pairwise(summary)]
        shares = {other: sum(pair in pairs[other] for pair in told) / len(told) for other in articles}
        assert shares.pop(name) >= 0.8, name
        assert max(shares.values()) <= 0.5, name


def test_most_articles_get_their_category(triton: Started) -> None:
    with Client(triton.grpc_url) as client:
        right = [
            client.classify(read(label.lower().replace(" & ", "_and_").replace(" ", "_"))).label == label
            for label in CATEGORIES
        ]
    assert sum(right) >= 0.7 * len(right)


async def test_the_async_client_gives_the_same_answers(triton: Started) -> None:
    article = read("travel")
    with Client(triton.grpc_url) as blocking:
        expected = blocking.analyze(article)
    for url in (triton.grpc_url, triton.http_url):
        async with AsyncClient(url) as client:
            assert same(await client.analyze(article), expected)


def test_curl_needs_no_sdk(triton: Started) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    body = {
        "inputs": [
            {"name": "title", "shape": [1, 1], "datatype": "BYTES", "data": [read("business").title]},
            {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [read("business").text]},
            {"name": "max_length", "shape": [1, 1], "datatype": "INT32", "data": [32]},
        ]
    }
    answer = subprocess.run(
        ["curl", "-sS", f"{triton.http_url}/v2/models/info_lens/infer", "-d", json.dumps(body)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    outputs = {output["name"]: output["data"] for output in json.loads(answer.stdout)["outputs"]}
    assert outputs["category"][0] in CATEGORIES
    assert outputs["veracity"][0] in VERACITIES
    assert len(outputs["category_probabilities"]) == len(CATEGORIES)
    assert outputs["category_probability"][0] == pytest.approx(max(outputs["category_probabilities"]))
    assert outputs["summary"][0]
    assert outputs["summary_truncated_tokens"] == [0]
    assert outputs["summary_tokens"][0] > 100


def run_cli(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([INFOLENS, *arguments], input=text, capture_output=True, text=True, timeout=120, check=False)


def test_the_cli_prints_three_answers(triton: Started) -> None:
    result = run_cli("analyze", str(ARTICLES / "sports.txt"), "--server", triton.grpc_url)
    assert result.returncode == 0, result.stderr
    assert "Sports" in result.stdout
    assert "%" in result.stdout


def test_the_cli_speaks_json_lines_and_goes_on_after_a_bad_file(triton: Started, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"\xff\xfe not UTF-8")
    files = [str(ARTICLES / "sports.txt"), str(bad), str(ARTICLES / "travel.txt")]
    result = run_cli("analyze", *files, "--json", "--server", triton.http_url)
    assert result.returncode == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["file"] for line in lines] == files
    assert lines[0]["category"]["label"] == "Sports"
    assert lines[2]["summary"]["text"]
    assert set(lines[0]["veracity"]["probabilities"]) == set(VERACITIES)


def test_the_cli_shows_a_ready_server(triton: Started) -> None:
    result = run_cli("status", "--server", triton.grpc_url)
    assert result.returncode == 0, result.stderr
    assert "info_lens" in result.stdout


def test_analyze_many_keeps_the_order_and_loses_nothing(client: Client) -> None:
    names = ["sports", "travel", "politics"]
    expected = {name: client.analyze(read(name)) for name in names}
    items: list[Article | str] = []
    for turn in range(4):
        items += [read(name) for name in names]
        items.insert(turn * 4, "   ")
    results = list(client.analyze_many(items))
    assert len(results) == len(items)
    for item, result in zip(items, results, strict=True):
        if isinstance(item, str):
            assert isinstance(result, InfoLensError)
            continue
        assert isinstance(result, Report)
        name = next(name for name in names if read(name) == item)
        assert same(result, expected[name])


def test_per_request_settings_do_what_they_say(client: Client) -> None:
    article = read("world_news")
    short = client.summarize(article, options=SummaryOptions(max_length=12))
    default = client.summarize(article)
    long = client.summarize(article, options=SummaryOptions(min_length=90, max_length=120))
    greedy = client.summarize(article, options=SummaryOptions(num_beams=1))
    assert len(short.text.split()) <= 11
    assert len(long.text.split()) > 45 > len(short.text.split())
    assert len(long.text) > len(default.text) > len(short.text)
    assert greedy.text
