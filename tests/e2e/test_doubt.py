"""Doubt in the real server: what is too little to judge by, and a calibration from a table to the served answer."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.server import Started
from export.cli import main
from export.repository.artefact import read_artefact
from export.repository.publish import publish
from infolens import Client, Task
from infolens.contract import CONTRACTS, UNCLEAR_REASONS
from serving.runtime import ROOT
from tests.e2e.test_answers import ARTICLES, read
from tests.export.repository.artefacts import exported
from tests.serving.gateway.http.running import ask

pytestmark = pytest.mark.server
SHORT = "Prices rose sharply."
TOPICS = {
    "business": "Business",
    "entertainment": "Entertainment",
    "food_and_drink": "Food & Drink",
    "parenting": "Parenting",
    "politics": "Politics",
    "sports": "Sports",
    "style_and_beauty": "Style & Beauty",
    "travel": "Travel",
    "wellness": "Wellness",
    "world_news": "World News",
}


def test_three_words_give_labels_and_no_signal(triton: Started) -> None:
    with Client(triton.grpc_url) as client:
        report = client.analyze(SHORT)
    assert report.veracity is not None
    assert report.category is not None
    assert (report.veracity.signal, report.veracity.doubt) == ("no clear signal", "text too short")
    assert (report.category.signal, report.category.doubt) == ("unsure", "text too short")
    assert report.veracity.label in report.veracity.probabilities
    document = ask(triton.http_url, "POST", "/v1/analyze", json.dumps({"text": SHORT})).json
    assert document["veracity"] == report.to_dict()["veracity"]
    assert document["category"]["doubt"] == "text too short"


def test_what_the_models_do_not_know_is_doubted(triton: Started) -> None:
    with Client(triton.http_url) as client:
        strange = client.verify("The news of the day is " + "\U0001f984 \U0001f9ff " * 60)
        assert (strange.signal, strange.doubt) == ("no clear signal", UNCLEAR_REASONS[3])


def test_a_whole_article_has_its_label_as_the_signal_or_a_probability_that_is_too_low(triton: Started) -> None:
    signals = []
    with Client(triton.grpc_url) as client:
        for name in TOPICS:
            answers: dict[Task, Any] = client.analyze(read(name), tasks=["category", "veracity"]).answers
            for task, answer in answers.items():
                if answer.doubt:
                    assert answer.signal == CONTRACTS[task].doubt_word
                    assert answer.doubt in UNCLEAR_REASONS.values() or answer.doubt.startswith("not sure enough: ")
                else:
                    assert answer.signal == answer.label
                    signals.append(answer.signal)
    assert signals


def write_table(path: Path) -> None:
    """Pieces of the articles of `ARTICLES`, as of two collections."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "source"))
        for name, label in TOPICS.items():
            words = (ARTICLES / f"{name}.txt").read_text(encoding="utf-8").split()
            for start in range(0, len(words) - 40, 20):
                writer.writerow((" ".join(words[start : start + 40]), label, f"collection {start // 20 % 2}"))


def test_a_model_is_calibrated_as_it_is_served(
    triton: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "model_repository"
    for model in ("classify", *CONTRACTS[Task.CATEGORY].served().chain):
        shutil.copytree(ROOT / "model_repository" / model, repository / model)
    before = read_artefact(repository / "distilbert" / "1" / "artefact.json")
    write_table(tmp_path / "unseen.csv")
    words = ["--repository", str(repository), "--risk", "0.1"]
    assert main(["calibrate", "category", str(tmp_path / "unseen.csv"), *words]) == 0
    after = read_artefact(repository / "distilbert" / "1" / "artefact.json")
    assert [figures["collection"] for figures in after.calibration["figures"]][:2] == ["collection 0", "collection 1"]
    assert after.calibration["refused"] == 0
    assert after.temperature != before.temperature
    assert f"sure from {after.threshold:g} on" in capsys.readouterr().out


def test_a_model_that_cannot_be_served_is_not_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository = tmp_path / "model_repository"
    publish(exported(Task.CATEGORY, tmp_path / "made", labels=tuple(TOPICS.values())), repository)
    write_table(tmp_path / "unseen.csv")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["calibrate", "category", str(tmp_path / "unseen.csv"), "--repository", str(repository)]) == 1
    assert "'classify' is not ready: it is not loaded" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
