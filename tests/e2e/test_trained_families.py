"""From a base of another family and a table with labels of its own to answers: trained, exported, served, read."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from export.cli import main as export
from infolens import Client
from serving.launcher import ServerOptions, TritonServer
from tests import families
from training.cli import main as training

pytestmark = pytest.mark.server

DESKS = {
    "Crime & Courts": "The judge heard the case of the stolen paintings",
    "Local": "The council voted on the budget for the harbour",
    "Sports": "The striker scored a goal and the team won the match",
    "Weather": "Rain and wind are expected on the coast tonight",
}
LABELS = ("Sports", "Crime & Courts", "Local", "Weather")
"""The one that the starter has comes first."""


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("bert", ()),
        ("roberta", ()),
        # Once, optimum gets an environment of its own.
        pytest.param("deberta-v2", ("--exporter", "optimum"), marks=pytest.mark.slow),
    ],
)
def test_a_base_becomes_answers(tmp_path: Path, family: str, options: tuple[str, ...]) -> None:
    base = families.checkpoint(tmp_path / "base", family, ("LABEL_0", "LABEL_1"), list(DESKS.values()))
    table, trained, repository = tmp_path / "news.csv", tmp_path / "trained", tmp_path / "model_repository"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "split"))
        for number in range(64):
            label = list(DESKS)[number % 4]
            split = ("train", "train", "validation", "test")[number // 4 % 4]
            writer.writerow((f"{DESKS[label]}, part {number}.", label, split))
    settings = {"max_steps": 2, "workers": 0, "max_tokens": 64, "train_tokens": 64, "save_steps": 1}
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words = ["fit", "category", "--data", str(table), "--base", str(base), "--out", str(trained)]
    assert training([*words, *sets, "--tracking-uri", "none"]) == 0
    assert export(["category", "--checkpoint", str(trained), "--repository", str(repository), *options]) == 0

    log = tmp_path / "triton.log"
    server_options = ServerOptions(http_port=0, grpc_port=0, metrics_port=0, repository=repository, log_file=log)
    with TritonServer(server_options) as server, Client(server.grpc_url) as client:
        assert f"category_{family.replace('-', '_')}" in server.models
        answers = {text: client.classify(text) for text in DESKS.values()}
    tokenizer = AutoTokenizer.from_pretrained(trained)
    model = AutoModelForSequenceClassification.from_pretrained(trained)
    for text, answer in answers.items():
        assert tuple(answer.probabilities) == LABELS
        with torch.inference_mode():
            expected = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0].tolist()
        assert list(answer.probabilities.values()) == pytest.approx(expected, abs=0.1)
