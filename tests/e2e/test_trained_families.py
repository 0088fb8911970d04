"""From a base of another family and a table with labels of its own to answers: trained, exported, served, read."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from export.cli import main as export
from infolens import Client, Labelled, Task
from serving.launcher import ServerOptions, TritonServer
from tests import families
from training.cli import main as training

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("one_torch_thread")]

DESKS = {
    "Crime & Courts": "The judge heard the case of the stolen paintings",
    "Local": "The council voted on the budget for the harbour",
    "Sports": "The striker scored a goal and the team won the match",
    "Weather": "Rain and wind are expected on the coast tonight",
}
LABELS = {
    Task.CATEGORY: ("Sports", "Crime & Courts", "Local", "Weather"),  # The one that the starter has comes first.
    Task.VERACITY: ("Crime & Courts", "Local", "Sports", "Weather"),
}


def write_table(path: Path) -> Path:
    """16 articles of each label, in three splits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "split"))
        for number in range(64):
            label = list(DESKS)[number % 4]
            split = ("train", "train", "validation", "test")[number // 4 % 4]
            writer.writerow((f"{DESKS[label]}, part {number}.", label, split))
    return path


def train(task: Task, family: str, folder: Path) -> Path:
    """Train a small base of a family for two steps; returns the checkpoint."""
    base = families.checkpoint(folder / "base", family, ("LABEL_0", "LABEL_1"), list(DESKS.values()))
    table, trained = write_table(folder / "news.csv"), folder / "trained"
    settings = {"max_steps": 2, "workers": 0, "max_tokens": 64, "train_tokens": 64, "save_steps": 1}
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words = ["fit", task.value, "--data", str(table), "--base", str(base), "--out", str(trained)]
    assert training([*words, *sets, "--tracking-uri", "none"]) == 0
    return trained


def expected(checkpoint: Path, text: str) -> list[float]:
    """The probabilities of a checkpoint in ``transformers``."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    with torch.inference_mode():
        logits = model(**tokenizer(text, return_tensors="pt")).logits
    return [float(value) for value in logits.softmax(-1)[0]]


@pytest.mark.long
@pytest.mark.parametrize(
    ("chosen", "options"),
    [
        ({Task.CATEGORY: "bert", Task.VERACITY: "roberta"}, ()),
        # Once, optimum gets an environment of its own.
        pytest.param({Task.CATEGORY: "deberta-v2"}, ("--exporter", "optimum"), marks=pytest.mark.slow),
    ],
    ids=["own exporter", "optimum"],
)
def test_a_base_becomes_answers(tmp_path: Path, chosen: dict[Task, str], options: tuple[str, ...]) -> None:
    repository = tmp_path / "model_repository"
    trained: dict[Task, Path] = {}
    for task, family in chosen.items():
        (tmp_path / family).mkdir()
        trained[task] = train(task, family, tmp_path / family)
        words = [task.value, "--checkpoint", str(trained[task]), "--repository", str(repository), *options]
        assert export(words) == 0

    log = tmp_path / "triton.log"
    server_options = ServerOptions(http_port=0, grpc_port=0, metrics_port=0, repository=repository, log_file=log)
    with TritonServer(server_options) as server, Client(server.grpc_url) as client:
        assert {f"{task}_{family.replace('-', '_')}" for task, family in chosen.items()} <= {*server.models}
        reports = {text: client.analyze(text, tasks=chosen) for text in DESKS.values()}
    for text, report in reports.items():
        for task, checkpoint in trained.items():
            answer = report.answers[task]
            assert isinstance(answer, Labelled)
            assert tuple(answer.probabilities) == LABELS[task]
            assert list(answer.probabilities.values()) == pytest.approx(expected(checkpoint, text), abs=0.1)
