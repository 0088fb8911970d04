"""Anybody's classifier with anybody's labels: other families beside the starters, a task of one's own, one server.

To the committed repository come a RoBERTa with four categories of its own, a BERT that judges in words of its own, and
a fourth task, *sentiment*, with an ELECTRA: an architecture that the project does not have.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import tritonclient.http
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from export.cli import main
from infolens import Article, Client, Labelled
from infolens.cli import main as infolens
from infolens.contract import Task
from serving.launcher import ServerOptions, TritonServer
from tests import electra, families
from tests.conftest import REPOSITORY, own_task

pytestmark = pytest.mark.server

DESKS = ("Harbour & Coast", "Opera", "Football", "Kommunalpolitik")
VERDICTS = ("FAKE", "REAL")
MOODS = ("bad", "neutral", "good")
ARTICLES = [path.read_text(encoding="utf-8") for path in sorted(REPOSITORY.parent.glob("tests/articles/*.txt"))]


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server, and the checkpoints behind its new models."""

    server: TritonServer
    repository: Path
    category: Path
    veracity: Path
    sentiment: Path
    task: Task


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, one_torch_thread: None) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("families")
    repository = place / "model_repository"
    shutil.copytree(REPOSITORY, repository)
    torch.manual_seed(0)
    with electra.known(), own_task("electra") as task:
        category = families.checkpoint(place / "roberta", "roberta", DESKS, ARTICLES)
        veracity = families.checkpoint(place / "bert", "bert", ("LABEL_0", "LABEL_1"), ARTICLES)
        sentiment = electra.checkpoint(place / "electra", MOODS, ARTICLES)
        to = ("--repository", str(repository))
        assert main(["category", "--checkpoint", str(category), *to]) == 0
        assert main(["veracity", "--checkpoint", str(veracity), "--labels", "LABEL_0=FAKE,LABEL_1=REAL", *to]) == 0
        assert main([str(task), "--checkpoint", str(sentiment), "--precision", "fp32", *to]) == 0
        log = place / "triton.log"
        options = ServerOptions(http_port=0, grpc_port=0, metrics_port=0, repository=repository, log_file=log)
        with TritonServer(options) as server:
            yield Served(
                server=server, repository=repository, category=category, veracity=veracity, sentiment=sentiment,
                task=task,
            )  # fmt: skip


def expected(checkpoint: Path, text: str) -> list[float]:
    """The probabilities of a checkpoint in ``transformers``."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    with torch.inference_mode():
        logits = model(**tokenizer(text, truncation=True, max_length=64, return_tensors="pt")).logits
    return [float(value) for value in logits.softmax(-1)[0]]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_answers_carry_the_checkpoints_labels(served: Served, protocol: str) -> None:
    url = served.server.grpc_url if protocol == "grpc" else served.server.http_url
    text = "The striker scored twice and the goal decided the cup."
    with Client(url) as client:
        report = client.analyze(Article(text=text))
        mood = client.analyze(text, tasks="sentiment").answers[served.task]
        both = client.analyze(text, tasks=["category", "sentiment"])  # one request to the model of all tasks
    assert report.summary is not None
    assert report.category is not None
    assert report.veracity is not None
    assert isinstance(mood, Labelled)
    assert tuple(report.category.probabilities) == DESKS
    assert tuple(report.veracity.probabilities) == VERDICTS
    assert tuple(mood.probabilities) == MOODS
    assert both.answers == {Task.CATEGORY: report.category, served.task: mood}
    assert list(report.category.probabilities.values()) == pytest.approx(expected(served.category, text), abs=0.1)
    assert list(report.veracity.probabilities.values()) == pytest.approx(expected(served.veracity, text), abs=0.1)
    assert list(mood.probabilities.values()) == pytest.approx(expected(served.sentiment, text), abs=1e-3)


def test_many_articles_get_the_answers_that_each_gets_alone(served: Served) -> None:
    with Client(served.server.grpc_url) as client:
        alone = [client.classify(text) for text in ARTICLES]
        reports: list[Any] = list(client.analyze_many(ARTICLES, in_flight=8))
    assert [report.category.label for report in reports] == [answer.label for answer in alone]


def test_the_models_of_before_are_still_there_and_do_not_answer(served: Served) -> None:
    client = tritonclient.http.InferenceServerClient(served.server.http_url.removeprefix("http://"))
    assert client.is_model_ready("distilbert")
    steps = client.get_model_config("classify")["ensemble_scheduling"]["step"]
    assert [step["model_name"] for step in steps] == [
        "category_roberta_tokenizer",
        "category_roberta",
        "category_roberta_labels",
    ]
    client.close()


def test_the_server_shows_its_labels(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    with urllib.request.urlopen(f"{served.server.http_url}/v2/models/classify/config") as answer:
        parameters = json.load(answer)["parameters"]
    assert json.loads(parameters["labels"]["string_value"]) == list(DESKS)
    with Client(served.server.grpc_url) as client:
        status = client.status()
    assert status.ready
    assert status.labels == {"category": DESKS, "veracity": VERDICTS, "sentiment": MOODS}
    assert {"category_roberta", "veracity_bert", "sentiment", "feel"} <= set(status.models)
    assert "distilbert" not in status.models
    assert infolens(["status", "--server", served.server.http_url]) == 0
    assert "category: Harbour & Coast | Opera | Football | Kommunalpolitik" in capsys.readouterr().out


def test_any_client_reads_the_labels(served: Served) -> None:
    body = {
        "inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["A goal."]}],
        "outputs": [{"name": "category_labels"}, {"name": "category"}],
    }
    request = urllib.request.Request(
        f"{served.server.http_url}/v2/models/classify/infer", data=json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        outputs = {output["name"]: output["data"] for output in json.load(answer)["outputs"]}
    assert outputs["category_labels"] == list(DESKS)
    assert outputs["category"][0] in DESKS


def test_the_starter_answers_again_when_it_is_told_to(served: Served, tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    shutil.copytree(served.repository, repository)
    to = ("--repository", str(repository))
    assert main(["serve", "category", "distilbert", *to]) == 0
    assert main(["configs", "--check", *to]) == 0
    assert 'model_name: "distilbert"' in (repository / "classify" / "config.pbtxt").read_text()
    assert 'category = "distilbert"' in (repository / "deployment.toml").read_text()
    assert main(["serve", "category", "xlnet", *to]) == 1
