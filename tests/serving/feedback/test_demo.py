"""A store that is filled with made-up feedback: the same each time, never beside what people said."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.feedback.commands.main import main
from serving.feedback.demo import MODELS, made_up
from serving.feedback.records import Prediction, Submission, is_id

DAY_US = 86_400_000_000
NOW_US = 20_000 * DAY_US


def test_it_is_the_same_each_time_and_in_the_order_of_time() -> None:
    first, second = (list(made_up(predictions=300, ratings=60, days=10, now_us=NOW_US)) for _ in range(2))
    assert first == second
    predictions = [one for one in first if isinstance(one, Prediction)]
    submissions = [one for one in first if isinstance(one, Submission)]
    assert (len(predictions), len(submissions)) == (300, 60)
    assert len({one.id for one in first if isinstance(one, Prediction | Submission)}) == 360
    assert all(is_id(one.id) for one in predictions)
    assert sorted(one.made_us for one in predictions) == [one.made_us for one in predictions]
    assert NOW_US - 10 * DAY_US <= predictions[0].made_us <= predictions[-1].made_us < NOW_US
    assert {answer.task for one in predictions for answer in one.answers} == {one.task for one in MODELS}


def test_the_command_fills_an_empty_store_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["demo", "--feedback-url", f"sqlite:///{tmp_path / 'demo.sqlite3'}", "--predictions", "200"]
    command += ["--ratings", "40"]
    assert main(command) == 0
    assert "200 made-up predictions and 40 made-up ratings" in capsys.readouterr().err
    assert main(command) == 1
    assert "holds ratings already" in capsys.readouterr().err


@pytest.mark.parametrize("server", ["127.0.0.1:8000", "http://127.0.0.1:1"])
def test_a_server_that_cannot_be_asked_is_told(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "demo.sqlite3"
    assert main(["demo", "--feedback-url", f"sqlite:///{store}", "--server", server]) == 1
    assert server in capsys.readouterr().err
    assert not store.exists()
