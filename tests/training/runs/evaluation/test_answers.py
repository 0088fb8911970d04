"""Answers are kept as they come, by the revision that gave them; figures know a signal where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from infolens import Article, AuthenticationError, Client, InferenceFailedError, RequestRejectedError, ServedTask
from infolens.contract import Task
from infolens.errors import InfoLensError
from infolens.testing import FakeTransport, fake_report
from infolens.types import Report, ServerStatus
from training.errors import RunError
from training.runs.evaluation import labelled
from training.runs.evaluation.answers import IN_FLIGHT, Answered, Answers

ARTICLES = {f"key{index}": Article(text=f"article {index}") for index in range(40)}


def status(revision: str) -> ServerStatus:
    served = ServedTask(task="category", model="distilbert", version="1", revision=revision)
    return ServerStatus(live=True, server_ready=True, version="test", tasks={"category": served} if revision else {})


def ask(folder: Path, revision: str, broken: str = "", error: InfoLensError | None = None) -> tuple[int, list[str]]:
    """How many articles the server was asked about, and why it refused some."""

    def answer(article: Article) -> Report | InfoLensError:
        return error if error and article.text == broken else fake_report()

    transport = FakeTransport(answer)
    with Client(transport=transport) as client:
        answers = Answers(folder, client, status(revision), None)
        try:
            found = answers.of(Task.CATEGORY, ARTICLES)
        finally:
            asked = len(transport.requests)
    assert set(found) == set(ARTICLES)
    return asked, [one.refused for one in found.values() if one.refused]


def test_what_was_answered_before_the_end_is_not_asked_again(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"it broke\. 30 answers are kept in .*: the same command goes on"):
        ask(tmp_path, "a", "article 30", InferenceFailedError("it broke"))
    assert len((tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()) == 30
    assert ask(tmp_path, "a") == (10, [])
    assert ask(tmp_path, "a") == (0, [])
    assert IN_FLIGHT == 16


def test_another_revision_is_asked_anew_and_an_unknown_one_always(tmp_path: Path) -> None:
    assert ask(tmp_path, "a") == (40, [])
    assert ask(tmp_path, "b") == (40, [])
    assert ask(tmp_path, "a") == (0, [])
    assert ask(tmp_path, "") == (40, [])
    assert ask(tmp_path, "") == (40, [])


def test_a_refusal_is_an_answer_and_a_wrong_key_is_not(tmp_path: Path) -> None:
    refused = (40, ["the models read English"])
    assert ask(tmp_path, "a", "article 3", RequestRejectedError("the models read English")) == refused
    assert ask(tmp_path, "a") == (0, refused[1])
    with pytest.raises(RunError, match="no such key"):
        ask(tmp_path, "b", "article 3", AuthenticationError("no such key"))


def test_no_text_of_an_article_is_kept(tmp_path: Path) -> None:
    ask(tmp_path, "a")
    entries = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["key"] for entry in entries] == list(ARTICLES)
    assert not any("article 1" in json.dumps(entry) for entry in entries)


def test_a_signal_has_its_own_coverage_and_accuracy() -> None:
    signals = ["real", "no clear signal", "fake", "fake"] * 10
    frame = pd.DataFrame(
        {
            "row": [f"{index}" for index in range(40)],
            "group": [f"{index}" for index in range(40)],
            "source": "s",
            "label": ["real", "real", "real", "fake"] * 10,
        }
    )
    answers = [
        Answered(
            answer={
                "label": "real" if signal == "real" else "fake",
                "probability": 0.75,
                "probabilities": {
                    "real": 0.75 if signal == "real" else 0.25,
                    "fake": 0.25 if signal == "real" else 0.75,
                },
                "signal": signal,
                "doubt": "too close to call" if signal == "no clear signal" else "",
            },
            tokens=100,
        )
        for signal in signals
    ]
    scores = labelled.scores_of(frame, answers, ["real", "fake"])
    figures = labelled.figures_of(scores, ["real", "fake"], (), 20)
    signal = figures["signal"]
    assert signal["figures"]["coverage"]["value"] == pytest.approx(0.75)
    assert signal["figures"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert signal["doubts"] == {"too close to call": 10}
    assert figures["served"]["figures"]["accuracy"]["value"] == pytest.approx(0.5)
    assert figures["served"]["figures"]["calibration_error"]["value"] == pytest.approx(0.25)
    assert figures["served"]["confusion"] == [[10, 20], [0, 10]]
    assert figures["served"]["per_label"]["real"] == {
        "rows": 30, "precision": 1.0, "recall": pytest.approx(1 / 3), "f1": pytest.approx(0.5)
    }  # fmt: skip
    group = next(one for one in figures["groups"] if (one["by"], one["name"]) == ("label", "fake"))
    assert group["figures"]["signal_coverage"]["value"] == 1.0
    assert "macro_f1" not in group["figures"]
