"""Promotions in a real MLflow store: who becomes the champion, who does not, and what is said of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from infolens.contract import Task
from tests.training.toys import small, toy_file, toy_splits
from training.cli import main
from training.runs.fitting import Data, fit
from training.tracking.client import Tracking, open_client
from training.tracking.recording import record

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own


class Registry:
    """A store of its own, with versions that are recorded without the weight of a model."""

    def __init__(self, tracking: Tracking, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.tracking = tracking
        self.client = open_client(tracking)
        self.capsys = capsys
        self.experiment = self.client.create_experiment("promotion", artifact_location=(folder / "store").as_uri())

    def version(self, figure: float, *, task: str = "category", status: str = "FINISHED", **tags: str) -> int:
        """Register one more version, as `recording.record` tags it; it becomes the challenger."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_registered_model(task)
        except MlflowException:
            self.client.create_registered_model(task)
        run_id = self.client.create_run(self.experiment).info.run_id
        self.client.log_param(run_id, "base", "starter")
        self.client.set_terminated(run_id, status)
        name = {"summary": "rougeLsum"}.get(task, "macro_f1")
        whole = {f"test_{name}": f"{figure:.6f}", "test_hash": "frozen", "baseline_macro_f1": "0.467000"} | tags
        kept = {tag: value for tag, value in whole.items() if value}
        number = self.client.create_model_version(task, "nowhere", run_id, tags=kept).version
        self.client.set_registered_model_alias(task, "challenger", number)
        return int(number)

    def run_of(self, version: int, task: str = "category") -> str:
        return str(self.client.get_model_version(task, str(version)).run_id)

    def log_metrics(self, version: int, folder: Path, document: dict[str, Any], task: str = "category") -> None:
        """Give a version's run the file that 'fit' writes."""
        (folder / "metrics.json").write_text(json.dumps(document))
        self.client.log_artifact(self.run_of(version, task), str(folder / "metrics.json"))

    def aliases(self, task: str = "category") -> dict[str, int]:
        found = self.client.get_registered_model(task).aliases
        return {alias: int(version) for alias, version in found.items()}

    def promote(self, *words: str, task: str = "category") -> tuple[int, str]:
        """The exit code and what is printed, of the command as it is typed."""
        self.capsys.readouterr()
        code = main(["promote", task, "--tracking-uri", self.tracking.uri, *words])
        said = self.capsys.readouterr()
        return code, said.out or said.err

    def verdicts(self, *words: str, task: str = "category") -> tuple[int, dict[str, Any]]:
        code, text = self.promote("--json", *words, task=task)
        return code, json.loads(text)


@pytest.fixture
def registry(tracking: Tracking, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Registry:
    return Registry(tracking, tmp_path, capsys)


def by_version(document: dict[str, Any]) -> dict[int, str]:
    return {row["version"]: f"{row['verdict']}: {row['reason']}" for row in document["versions"]}


def test_a_model_below_its_baseline_is_not_the_first_champion(registry: Registry) -> None:
    """It had macro-F1 0.038 where TF-IDF had 0.467, an older version 0.413, and became the champion."""
    registry.version(0.413)
    registry.version(0.038)
    code, text = registry.promote()
    assert code == 1
    assert "it is below its baseline, 0.4670 (--at-least X states another bar)" in text
    assert "as recorded; all that are not left out were tested on the same articles; baseline: TF-IDF" in text
    assert "served is still" not in text
    assert "champion" not in registry.aliases()
    code, text = registry.promote("--at-least", "41.3")
    assert (code, text) == (2, "error: --at-least 41.3: macro_f1 of category goes from 0 to 1\n")
    code, text = registry.promote("--at-least", "0.4")
    assert code == 0
    lowered = "it reaches the bar, 0.4000, below its baseline, 0.4670"
    assert f"promoted. version 1 is the first champion (macro_f1 0.4130); {lowered}" in text
    assert text.splitlines()[-1] == (
        "served is still what was exported; next: python -m export category --checkpoint models:/category@champion "
        f"--tracking-uri {registry.tracking.uri}"
    )
    assert registry.aliases() == {"champion": 1, "challenger": 2}
    first, second = (registry.client.get_model_version("category", number).tags for number in "12")
    assert first["promoted_because"].endswith(lowered)
    assert "refused_because" not in first  # it was, at first
    assert second["refused_because"] == "it is below the bar, 0.4000"
    registry.version(0.60)
    registry.promote()
    registry.promote("--back")
    because = registry.client.get_model_version("category", "1").tags["promoted_because"]
    assert because.startswith("back to version 1 from version 3, without a comparison | 20")
    assert because.endswith(lowered)  # how it once got in is not forgotten


def test_the_best_becomes_the_champion_and_not_the_newest(registry: Registry) -> None:
    for figure in (0.50, 0.60, 0.55):
        registry.version(figure)
    code, dry = registry.verdicts("--dry-run")
    assert (code, dry["promoted"], dry["version"]) == (0, True, 2)
    assert "champion" not in registry.aliases()
    assert "refused_because" not in registry.client.get_model_version("category", "1").tags
    assert "would be promoted (a dry run changes nothing)." in dry["text"]
    code, found = registry.verdicts()
    assert (code, found["version"]) == (0, 2)
    assert "refused_because" not in registry.client.get_model_version("category", "2").tags
    assert by_version(found)[3].endswith("; version 2 is as good or better")
    assert registry.aliases() == {"champion": 2, "challenger": 3}

    registry.version(0.601)
    code, found = registry.verdicts()
    assert (code, found["version"]) == (1, None)
    said = by_version(found)
    assert said[4] == "refused: a gain of +0.0010, and 0.002 is asked for"
    assert said[3] == "refused: a gain of -0.0500, and 0.002 is asked for"
    assert said[2] == "champion: is the champion already"
    assert "version 4 has macro_f1 0.6010, the champion, version 2, 0.6000: a gain of +0.0010" in found["text"]
    assert found["text"].endswith(": a gain of +0.0010, and 0.002 is asked for (--margin M states another gain)")
    assert "served is still" not in registry.promote("--dry-run", "--margin", "0.0005")[1]
    assert registry.verdicts("--margin", "0.0005")[1]["version"] == 4
    registry.version(0.2)
    (text,) = [line for line in registry.promote("--version", "5")[1].splitlines() if "not promoted" in line]
    assert text.endswith("asked for (--at-least X states another bar; --margin M states another gain)")
    assert registry.aliases() == {"champion": 4, "challenger": 5, "previous": 2}
    tags = registry.client.get_model_version("category", "4").tags
    assert "a gain of +0.0010" in tags["promoted_because"]
    assert tags["promoted_at"] > "2026"
    assert tags["promoted_by"]


def test_versions_that_do_not_compare_are_left_out_with_a_reason(registry: Registry) -> None:
    registry.version(0.99, status="FAILED")
    registry.version(0.98, status="KILLED")
    registry.client.delete_run(registry.run_of(registry.version(0.97)))
    registry.version(0.96, test_hash="other")
    registry.version(0.50)
    registry.version(0.95, test_macro_f1="")
    registry.version(0.94, test_macro_f1="nan")
    code, found = registry.verdicts()
    assert (code, found["version"]) == (0, 5)
    said = by_version(found)
    assert said[1].startswith("left out: its run failed; ")
    assert said[2].startswith("left out: its run was stopped; ")
    assert said[3].startswith("left out: its run was deleted; 'mlflow runs restore --run-id ")
    assert said[4] == "left out: was tested on other articles than version 5"
    assert said[6].startswith("left out: it has no test figure (tag test_macro_f1)")
    assert said[7].startswith("left out: it has no test figure")


def test_one_version_is_judged_where_it_is_named(registry: Registry) -> None:
    for figure in (0.50, 0.60, 0.40):
        registry.version(figure)
    registry.version(0.70, test_hash="other")
    assert registry.verdicts("--version", "1")[1]["version"] == 1
    code, found = registry.verdicts("--version", "3")
    assert code == 1
    assert by_version(found)[3].startswith("refused: it is below its baseline")
    assert by_version(found)[2] == "left out: version 3 alone is judged"
    code, text = registry.promote("--version", "4")
    assert code == 2
    assert "versions 4 and 1 were tested on different articles" in text
    assert "--data PATH" in text
    code, text = registry.promote("--version", "9")
    assert (code, text) == (2, "error: category: there is no version 9; the registry has 4, 3, 2, 1\n")
    assert registry.aliases()["champion"] == 1
    assert registry.promote("--version", "1")[0] == 1


def test_going_back_is_said_and_needs_no_comparison(registry: Registry) -> None:
    registry.version(0.50)
    code, text = registry.promote("--back")
    assert (code, "no version has the alias 'previous'" in text) == (2, True)
    registry.promote()
    registry.version(0.60)
    registry.promote()
    assert registry.verdicts("--back", "--dry-run")[1]["version"] == 1
    assert registry.aliases()["champion"] == 2
    code, text = registry.promote("--back")
    assert code == 0
    assert "category: promoted. Back to version 1 from version 2, without a comparison" in text
    assert "same articles" not in text
    assert "served is still what was exported; next: python -m export category --checkpoint models:/" in text
    assert registry.aliases() == {"champion": 1, "challenger": 2, "previous": 2}
    assert "back to version 1" in registry.client.get_model_version("category", "1").tags["promoted_because"]
    assert registry.promote("--back", "--version", "1")[0] == 1
    code, text = registry.promote("--back", "--margin", "0.1")
    assert (code, text) == (2, "error: --back compares nothing: leave --margin out, or --back\n")


def test_a_baseline_that_no_tag_has_is_read_from_the_run(registry: Registry, tmp_path: Path) -> None:
    registry.version(0.40, baseline_macro_f1="")
    code, text = registry.promote()
    assert code == 1
    assert "no baseline was recorded with it (TF-IDF with logistic regression)" in text
    assert "--at-least X" in text
    figures = {"base": "starter", "architecture": "distilbert", "baseline": {"test": {"macro_f1": 0.39}}}
    registry.log_metrics(1, tmp_path, figures)
    code, text = registry.promote()
    assert code == 0
    assert "starter (distilbert)" in text
    assert "it reaches its baseline, 0.3900" in text

    registry.version(20.0, task="summary", baseline_macro_f1="")
    registry.log_metrics(1, tmp_path, {"lead_1": {"rougeLsum": 21.0}}, task="summary")
    code, text = registry.promote(task="summary")
    assert code == 1
    assert "version 1 has rougeLsum 20.00: it is below its baseline, 21.00" in text


def test_a_champion_that_changed_meanwhile_is_not_overwritten(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.runs import registry as module
    from training.runs.promotion.verdicts import judge_all

    for figure in (0.50, 0.60, 0.55):
        registry.version(figure)

    def meanwhile(*given: Any, **named: Any) -> Any:
        registry.client.set_registered_model_alias("category", "champion", "3")
        return judge_all(*given, **named)

    monkeypatch.setattr(module, "judge_all", meanwhile)
    code, text = registry.promote()
    assert (code, "version 3 became the champion meanwhile; start again" in text) == (2, True)
    assert registry.aliases() == {"champion": 3, "challenger": 3}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a model that has learned nothing."""
    folder = tmp_path_factory.mktemp("fitted") / "checkpoint"
    recipe = small(num_train_epochs=0.1, teacher=0.0, learning_rate=1e-9, data="toy.csv")
    fit(Task.VERACITY, recipe, folder, data=Data(splits=toy_splits(Task.VERACITY, train=64)))
    return folder


def test_on_other_data_model_champion_and_baseline_are_measured_anew(
    fitted: Path, registry: Registry, tmp_path: Path
) -> None:
    judged: Callable[..., Any] = lambda *words: registry.verdicts(*words, task="veracity")  # noqa: E731
    record(fitted, registry.tracking)
    data = toy_file(Task.VERACITY, tmp_path / "frozen.parquet")
    code, found = judged("--data", str(data))
    assert code == 1
    (row,) = found["versions"]
    assert row["baseline"] == 1.0  # TF-IDF of the data's own training rows tells the toy labels
    assert row["figure"] < 0.9
    assert "it is below its baseline" in row["reason"]

    frame = pd.read_parquet(data)
    frame[frame["split"] == "test"].to_parquet(tmp_path / "only_tests.parquet")
    code, found = judged("--data", str(tmp_path / "only_tests.parquet"))
    assert (code, found["version"]) == (0, 1)
    assert "not compared with a baseline: TF-IDF learns from training rows of the data" in found["text"]
    copy = shutil.copytree(fitted, tmp_path / "copy")
    (copy / "mlflow.json").unlink()
    document = json.loads((copy / "metrics.json").read_text())
    document["test"]["macro_f1"], document["data_hash"]["test"] = 1.0, "other"
    (copy / "metrics.json").write_text(json.dumps(document))
    record(copy, registry.tracking)
    code, found = judged("--data", str(data), "--at-least", "0.0")
    assert code == 1
    assert by_version(found)[2] == "refused: a gain of +0.0000, and 0.002 is asked for"  # the same weights
    assert found["measured_on"] == str(data)
