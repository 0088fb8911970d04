"""Three answers out of the real server with the committed models, by every way in: gRPC, HTTP, raw curl, the CLI."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infolens import Article, AsyncClient, Client, InfoLensError, Report, SummaryOptions, Task
from infolens.contract import CATEGORIES, VERACITIES
from serving.launcher import TritonServer

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
def client(request: pytest.FixtureRequest, triton: TritonServer) -> Any:
    with Client(triton.grpc_url if request.param == "grpc" else triton.http_url) as client:
        yield client


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
    two = client.analyze(article, tasks=[Task.CATEGORY, Task.VERACITY])
    assert two.summary is None
    assert two.veracity is not None


def test_the_summary_says_what_the_article_says(client: Client) -> None:
    for path in sorted(ARTICLES.glob("*.txt")):
        article = read(path.stem)
        known = {word.strip(".,;:!?\"'“”()").lower() for word in f"{article.title} {article.text}".split()}
        words = [word.strip(".,;:!?\"'“”()").lower() for word in client.summarize(article).text.split()]
        strange = [word for word in words if word and word not in known]
        assert len(strange) <= 0.1 * len(words), f"{path.stem}: {strange}"


def test_most_articles_get_their_category(client: Client) -> None:
    wanted = {
        label.lower().replace(" & ", "_and_").replace(" ", "_"): label
        for label in CATEGORIES
        if (ARTICLES / f"{label.lower().replace(' & ', '_and_').replace(' ', '_')}.txt").exists()
    }
    right = [client.classify(read(name)).label == label for name, label in wanted.items()]
    assert sum(right) >= 0.7 * len(right)


async def test_the_async_client_gives_the_same_answers(triton: TritonServer) -> None:
    article = read("travel")
    with Client(triton.grpc_url) as blocking:
        expected = blocking.analyze(article)
    for url in (triton.grpc_url, triton.http_url):
        async with AsyncClient(url) as client:
            assert same(await client.analyze(article), expected)


def test_curl_needs_no_sdk(triton: TritonServer) -> None:
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


def test_the_cli_prints_three_answers(triton: TritonServer) -> None:
    result = run_cli("analyze", str(ARTICLES / "sports.txt"), "--server", triton.grpc_url)
    assert result.returncode == 0, result.stderr
    assert "Sports" in result.stdout
    assert "%" in result.stdout


def test_the_cli_speaks_json_lines_and_goes_on_after_a_bad_file(triton: TritonServer, tmp_path: Path) -> None:
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


def test_the_cli_shows_a_ready_server(triton: TritonServer) -> None:
    result = run_cli("status", "--server", triton.grpc_url)
    assert result.returncode == 0, result.stderr
    assert "info_lens" in result.stdout


def test_analyze_many_keeps_the_order_and_loses_nothing(client: Client) -> None:
    names = ["sports", "travel", "politics"]
    expected = {name: client.analyze(read(name)) for name in names}
    items: list[Article | str] = []
    for turn in range(8):
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
