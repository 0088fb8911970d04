"""The gate of promotions: worse as served is kept out, the same and better are let in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infolens.contract import Task
from training.errors import SettingError, TrackingError
from training.runs.evaluation import labelled, texts
from training.runs.evaluation.gate import judge
from training.runs.evaluation.report import KIND, SCHEMA_VERSION, read_report, write_scores
from training.runs.registry import promote
from training.tracking.client import Tracking, open_client

ROWS = 400


def labels_report(folder: Path, right: float, *, revision: str, rows: int = ROWS, **changes: Any) -> Path:
    """An evaluation of a classifier that is right on a share of its rows; which ones, is always the same draw."""
    label = np.where(np.arange(rows) % 2 == 0, "real", "fake")
    hit = np.random.default_rng(0).random(rows) < right
    scores = pd.DataFrame(
        {
            "row": [f"{index:016x}" for index in range(rows)],
            "group": [str(index) for index in range(rows)],
            "label": label,
            "predicted": np.where(hit, label, np.where(label == "real", "fake", "real")),
        }
    )
    statistics = labelled.gated(scores, ["real", "fake"])
    value = float(statistics["macro_f1"](np.ones((1, rows), dtype=np.float32))[0])
    figures = {"served": {"figures": {"macro_f1": {"value": value, "low": value, "high": value}}}}
    return write(
        folder, scores, task="veracity", revision=revision, labels=["real", "fake"], figures=figures, **changes
    )


def texts_report(folder: Path, rouge: float, foreign: float, *, revision: str) -> Path:
    random = np.random.default_rng(0)
    scores = pd.DataFrame(
        {
            "row": [f"{index:016x}" for index in range(ROWS)],
            "group": [str(index) for index in range(ROWS)],
            "rougeLsum": random.normal(rouge, 5, size=ROWS),
            "foreign": (random.random(ROWS) < foreign).astype(float),
        }
    )
    assert set(texts.gated(scores, [])) == {"rougeLsum", "faithful"}
    return write(folder, scores, task="summary", revision=revision, labels=[], figures={})


def write(folder: Path, scores: pd.DataFrame, *, revision: str, **document: Any) -> Path:
    folder.mkdir()
    write_scores(folder, scores)
    whole = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "served": {"model": "m", "revision": revision},
        "read": "article",
        "cleaned": False,
        "data": [{"name": "t.parquet", "sha256": "ab", "rows": len(scores)}],
        "rows": {"asked": len(scores)},
        **document,
    }
    (folder / "evaluation.json").write_text(json.dumps(whole), encoding="utf-8")
    return folder


def judged(newcomer: Path, champion: Path) -> Any:
    return judge(read_report(newcomer), read_report(champion))


def test_only_what_is_worse_beyond_chance_is_kept_out(tmp_path: Path) -> None:
    champion = labels_report(tmp_path / "old", 0.80, revision="a")
    worse = judged(labels_report(tmp_path / "worse", 0.70, revision="b"), champion)
    assert not worse.passed
    assert "worse than the champion in macro-F1, % on the 400 rows that both answered: macro-F1, % -" in worse.text
    assert judged(labels_report(tmp_path / "less", 0.797, revision="c"), champion).passed
    better = judged(labels_report(tmp_path / "better", 0.90, revision="d"), champion)
    assert better.passed
    assert "not worse than the champion on the 400 rows" in better.text


def test_a_summarizer_must_stay_faithful(tmp_path: Path) -> None:
    champion = texts_report(tmp_path / "old", 25, 0.0, revision="a")
    inventive = judged(texts_report(tmp_path / "inventive", 30, 0.1, revision="b"), champion)
    assert not inventive.passed
    assert "worse than the champion in summaries without a foreign sentence, %" in inventive.text
    assert judged(texts_report(tmp_path / "faithful", 30, 0.0, revision="c"), champion).passed


def test_only_common_rows_count(tmp_path: Path) -> None:
    champion = labels_report(tmp_path / "old", 0.8, revision="a", rows=200)
    found = judged(labels_report(tmp_path / "new", 0.9, revision="b"), champion)
    assert "on the 200 rows that both answered" in found.text
    few = labels_report(tmp_path / "few", 0.8, revision="c", rows=20)
    with pytest.raises(SettingError, match="have 20 rows in common, and 30 are needed"):
        judged(few, champion)


def test_without_the_scores_of_the_rows_the_figures_decide(tmp_path: Path) -> None:
    champion, less = (
        labels_report(tmp_path / name, share, revision=name) for name, share in (("old", 0.80), ("less", 0.797))
    )
    (champion / "scores.parquet").unlink()
    found = judged(less, champion)
    assert not found.passed
    assert "without the scores of the rows" in found.text
    other = labels_report(tmp_path / "other", 0.9, revision="c", data=[{"sha256": "cd"}])
    with pytest.raises(SettingError, match="are of other rows"):
        judged(other, champion)


def test_what_does_not_compare_is_refused(tmp_path: Path) -> None:
    champion = labels_report(tmp_path / "old", 0.8, revision="a")
    same = labels_report(tmp_path / "same", 0.9, revision="a")
    with pytest.raises(SettingError, match="both are of the served revision a"):
        judged(same, champion)
    summaries = labels_report(tmp_path / "summaries", 0.9, revision="b", read="summary")
    with pytest.raises(SettingError, match="differ in what the model was given"):
        judged(summaries, champion)
    with pytest.raises(SettingError, match="is an evaluation of summary, not of veracity"):
        judged(texts_report(tmp_path / "texts", 20, 0, revision="c"), champion)
    newer = write(tmp_path / "newer", pd.DataFrame({"row": []}), revision="d", task="veracity", schema_version=2)
    with pytest.raises(SettingError, match=r"of schema version 2.*evaluate again"):
        read_report(newer)
    with pytest.raises(SettingError, match="holds no evaluation"):
        read_report(tmp_path / "nothing")


@pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own
def test_promotions_keep_the_evaluation_for_the_next(tracking: Tracking, tmp_path: Path) -> None:
    client = open_client(tracking)
    client.create_registered_model("veracity")
    experiment = client.create_experiment("gate", artifact_location=(tmp_path / "store").as_uri())

    def challenge(version: int) -> None:
        """Register a version whose checkpoint is better than all before."""
        run_id = client.create_run(experiment).info.run_id
        tags = {"test_macro_f1": f"0.{80 + version}", "baseline_macro_f1": "0.8", "test_hash": "frozen"}
        made = client.create_model_version("veracity", "nowhere", run_id, tags=tags)
        assert int(made.version) == version
        client.set_registered_model_alias("veracity", "challenger", made.version)

    def champion() -> str:
        return str(client.get_model_version_by_alias("veracity", "champion").version)

    first, second, third = (
        labels_report(tmp_path / name, share, revision=name) for name, share in (("a", 0.8), ("b", 0.7), ("c", 0.85))
    )
    challenge(1)
    assert promote(Task.VERACITY, tracking).promoted
    challenge(2)
    with pytest.raises(TrackingError, match=r"no evaluation is kept with the champion, version 1.*--against DIR"):
        promote(Task.VERACITY, tracking, evaluation=second)
    refused = promote(Task.VERACITY, tracking, evaluation=second, against=first)
    assert not refused.promoted
    assert "as served it is worse than the champion in macro-F1" in refused.text
    assert champion() == "1"
    assert promote(Task.VERACITY, tracking, evaluation=third / "evaluation.json", against=first).promoted
    assert champion() == "2"
    assert client.get_model_version("veracity", "2").tags["served_revision"] == "c"
    challenge(3)
    assert not promote(Task.VERACITY, tracking, evaluation=second).promoted  # beside what version 2 was promoted with
    with pytest.raises(SettingError, match="is an evaluation of summary, not of veracity"):
        promote(Task.VERACITY, tracking, evaluation=texts_report(tmp_path / "texts", 20, 0, revision="d"))
    assert promote(Task.VERACITY, tracking).promoted  # without an evaluation as ever
    assert champion() == "3"
