"""What the starters answer on the test articles stays as it is, whatever writes, stores and serves their graphs.

A starter that is trained anew gets new answers: write them to ``starter_answers.json`` when its graph is committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.server import Started
from infolens import Article, Client
from infolens.contract import CATEGORIES, VERACITIES

pytestmark = pytest.mark.server

ARTICLES = Path(__file__).parents[1] / "articles"
KNOWN: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("starter_answers.json").read_text("utf-8"))
NEAR = 0.02
"""Native operators and the graphs' own functions differ by up to 0.009 in a probability, and in no summary."""


def test_every_article_has_its_answers() -> None:
    assert sorted(KNOWN) == sorted(path.stem for path in ARTICLES.glob("*.txt"))


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_the_starters_answer_as_they_did(triton: Started, name: str) -> None:
    title, _, text = (ARTICLES / f"{name}.txt").read_text(encoding="utf-8").partition("\n\n")
    with Client(triton.grpc_url) as client:
        report = client.analyze(Article(title=title, text=text))
    known = KNOWN[name]
    assert report.summary is not None
    assert report.summary.text == known["summary"]
    for task in ("category", "veracity"):
        answer = getattr(report, task)
        assert answer.label == known[task]
        assert answer.probability == pytest.approx(known[f"{task}_probability"], abs=NEAR)
    assert {task.value: reading.tokens for task, reading in report.readings.items()} == known["tokens"]


def test_a_server_tells_its_models_and_labels(triton: Started) -> None:
    for url in (triton.grpc_url, triton.http_url):
        with Client(url) as client:
            status = client.status()
        assert status.ready
        assert status.labels == {"category": CATEGORIES, "veracity": VERACITIES}
        assert list(status.models)[:4] == ["bart_tokenizer", "bart", "bart_text", "summarize"]
        assert list(status.models)[-1] == "info_lens"
