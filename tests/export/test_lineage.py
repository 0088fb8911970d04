"""Where an exported model comes from: in artefact and card, all the way back, nothing of another model."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Final

import huggingface_hub
import pytest

from export.cli import main
from export.exporter import export
from export.lineage import Lineage, Source, of_folder
from export.options import ExportOptions
from export.repository.artefact import Artefact, read_artefact
from export.repository.contents import require_artefacts
from export.repository.generated_files import check_generated
from infolens.contract import Task
from tests.export.conftest import RANDOM
from tests.training.toys import small, toy_splits
from training.runs.fitting import Data, fit
from training.runs.registry import promote
from training.tracking.client import Tracking

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own
ROOT: Final = Path(__file__).parents[2]
CLAIMS: Final = ("HuffPost", "0.857", "MiniLM", "AG News", "A starter model", "0.475", "calibration.png", "The teacher")
"""What the starter's card says of the starter."""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tracking]:
    """A small model that was trained, recorded in a real MLflow and promoted."""
    folder = tmp_path_factory.mktemp("fitted")
    tracking = Tracking(uri=f"sqlite:///{folder}/mlflow.db", experiment="test")
    recipe = small(num_train_epochs=1.0, teacher=0.0, logging_steps=10, data="some/toy.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        data = Data(splits=toy_splits(Task.CATEGORY, train=96))
        fit(Task.CATEGORY, recipe, folder / "checkpoint", data=data, tracking=tracking)
        promote(Task.CATEGORY, tracking, at_least=0)
    return folder / "checkpoint", tracking


def exported(repository: Path, checkpoint: str, uri: str = "") -> tuple[Artefact, Lineage, str]:
    """Export a category model; its artefact, its lineage and its card."""
    made = export(
        ExportOptions(
            task=Task.CATEGORY, checkpoint=checkpoint, tracking_uri=uri, repository=repository, tolerances=RANDOM
        )
    )
    found = read_artefact(repository / made.name / str(made.version) / "artefact.json")
    assert found.lineage is not None
    return found, found.lineage, (repository / made.name / "README.md").read_text(encoding="utf-8")


def figures(metrics: dict[str, Any], name: str) -> tuple[float, float]:
    return metrics["test"][name], metrics["baseline"]["test"][name]


def test_a_registered_model_says_all_of_it(
    fitted: tuple[Path, Tracking], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, tracking = fitted
    monkeypatch.delenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", raising=False)
    repository = tmp_path / "model_repository"
    artefact, lineage, card = exported(repository, "models:/category@champion", tracking.uri)
    assert "Downloading artifacts" not in capfd.readouterr().err
    metrics = json.loads((folder / "metrics.json").read_text())
    run_id = json.loads((folder / "mlflow.json").read_text())["run_id"]
    assert artefact.checkpoint == "models:/category@champion"
    assert (lineage.source, lineage.registered_model, lineage.registered_version) == (Source.REGISTRY, "category", "1")
    assert (lineage.run_id, lineage.base, lineage.data) == (run_id, "starter", "toy.csv")
    assert lineage.data_hash == metrics["data_hash"]
    assert lineage.recipe_hash == hashlib.sha256((folder / "recipe.toml").read_bytes()).hexdigest()
    assert lineage.git_revision == metrics["git_revision"]
    assert (lineage.test["macro_f1"], lineage.baseline["macro_f1"]) == figures(metrics, "macro_f1")
    assert (lineage.tested_on, lineage.articles["train"]) == (32, 96)
    model, baseline = figures(metrics, "macro_f1")
    assert f"| macro_f1 | {model:.4g} | {baseline:.4g} |" in card
    for words in (
        run_id,
        lineage.recipe_hash,
        lineage.git_revision,
        lineage.data_hash["test"][:16],
        "never calibrated",
    ):
        assert words in card
    assert "version **1** of `category`" in card
    counted = (repository / "distilbert" / "1" / "reference.json").read_bytes()
    assert counted == (folder / "reference.json").read_bytes()
    assert json.loads(counted)["label"] == {"Sports": 0.5, "Travel": 0.5}
    assert "commonest words of 96 training articles" in card
    assert "one of Travel, Sports, with 2 probabilities" in card
    assert check_generated(repository) == []


def test_what_the_run_lost_the_tags_of_the_version_still_tell(
    fitted: tuple[Path, Tracking], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, tracking = fitted
    for metrics in folder.parent.rglob("artifacts/metrics.json"):
        metrics.rename(metrics.with_suffix(".away"))
    try:
        words = ["category", "--checkpoint", "models:/category/1", "--tracking-uri", tracking.uri]
        assert main([*words, "--repository", str(tmp_path / "models"), "--precision", "fp32"]) == 0
    finally:
        for away in folder.parent.rglob("artifacts/metrics.away"):
            away.rename(away.with_suffix(".json"))
    told = capsys.readouterr().out
    assert "from: version 1 of category, run " in told
    assert "macro_f1" in told
    lineage = require_artefacts(tmp_path / "models")["distilbert"].lineage
    known = of_folder(folder)
    assert lineage is not None
    assert lineage.test["macro_f1"] == pytest.approx(known.test["macro_f1"], abs=1e-6)
    assert lineage.data_hash == {split: known.data_hash[split] for split in ("train", "test")}
    assert (lineage.recipe_hash, lineage.git_revision) == (known.recipe_hash, known.git_revision)


def test_over_a_calibrated_starter_no_claim_of_it_remains_and_it_comes_back(
    fitted: tuple[Path, Tracking], tmp_path: Path
) -> None:
    repository = tmp_path / "model_repository"
    shutil.copytree(ROOT / "model_repository", repository)
    before = (repository / "distilbert" / "README.md").read_bytes()
    assert all(claim in before.decode() for claim in CLAIMS)
    artefact, lineage, card = exported(repository, str(fitted[0]))
    assert (lineage.source, lineage.registered_version) == (Source.TRAINING, "1")
    assert (artefact.threshold, artefact.calibration) == (0, {})
    assert [claim for claim in CLAIMS if claim in card] == []
    assert not (repository / "distilbert" / "calibration.png").exists()
    assert check_generated(repository) == []
    assert main(["remove", "distilbert", "--repository", str(repository)]) == 0
    for path in sorted((ROOT / "model_repository" / "distilbert").rglob("*")):
        if path.is_file():
            assert (repository / path.relative_to(ROOT / "model_repository")).read_bytes() == path.read_bytes()
    assert not (repository / "distilbert" / "1" / "README.md").exists()


def test_a_folder_that_says_nothing_is_not_guessed_about(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    shutil.copytree(checkpoints[Task.CATEGORY], folder)
    (folder / "metrics.json").write_text('{"eval_accuracy": 0.99}')  # Of somebody else's making.
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Theirs: accuracy 0.99\n")
    _, lineage, card = exported(tmp_path / "model_repository", str(folder))
    assert lineage == Lineage(source=Source.FOLDER, licence="mit")
    assert "**No test figures are known**" in card
    assert "| Licence | mit |" in card
    assert "0.99" not in card


def test_a_checkpoint_of_the_hub_has_its_commit_and_licence(
    checkpoints: dict[Task, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, cache = "0123456789abcdef0123456789abcdef01234567", tmp_path / "models--their--desk"
    shutil.copytree(checkpoints[Task.CATEGORY], cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    (cache / "snapshots" / commit / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Theirs\n")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    _, lineage, card = exported(tmp_path / "model_repository", "their/desk")
    assert lineage == Lineage(source=Source.HUB, base="their/desk", base_revision=commit, licence="apache-2.0")
    assert f"`their/desk`, commit `{commit}`" in card
    assert "**No test figures are known**" in card


def test_a_summarizer_stands_beside_the_first_sentences_and_an_old_recipe_is_hashed(tmp_path: Path) -> None:
    metrics = {
        "task": "summary", "base": "/home/somebody/bart", "rows": 7, "test": {"rougeLsum": 25.3, "coverage": 0.9},
        "lead_1": {"rougeLsum": 20.0}, "lead_2": {"rougeLsum": 27.6}, "lead_3": {"rougeLsum": 26.0},
        "data_hash": {"train": "aa", "test": "bb"}, "articles": {"train": 3, "test": 9}, "git_revision": "abc-dirty",
        "config": {"data": "s3://bucket/pairs.parquet"},
    }  # fmt: skip
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "recipe.toml").write_text("epochs = 1\n")
    found = of_folder(tmp_path)
    assert (found.base, found.data, found.tested_on) == ("bart", "pairs.parquet", 7)
    assert found.baseline == {"rougeLsum": 27.6}
    assert found.baseline_is == "the article's first sentences, 2 of them"
    assert found.headline == "rougeLsum 25.3, baseline 27.6"
    assert found.recipe_hash == hashlib.sha256(b"epochs = 1\n").hexdigest()
    assert Lineage.of_document(json.loads(json.dumps(found.document()))) == found


@pytest.mark.parametrize(
    "broken", [{"source": "moon"}, {}, {"source": "hub", "test": {"f": "x"}}, {"source": "hub", "run_id": 3}, {"a": 1}]
)
def test_a_lineage_of_another_form_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"lineage|moon"):
        Lineage.of_document(broken)
