"""Going back: the newest version of a model is taken out of a repository, and the one before answers again."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.cli import main
from export.errors import RepositoryError
from export.repository.configs import from_text
from export.repository.contents import newest_version
from export.repository.generated_files import check_generated
from export.repository.publish import publish
from export.repository.removal import remove
from infolens.contract import Task
from serving.repository import check_repository
from tests.export.repository.artefacts import exported


def contents(repository: Path) -> dict[str, bytes]:
    return {str(path.relative_to(repository)): path.read_bytes() for path in repository.rglob("*") if path.is_file()}


def asked(repository: Path) -> str:
    config = from_text((repository / "classify" / "config.pbtxt").read_text(encoding="utf-8"))
    return str(config.ensemble_scheduling.step[1].model_name)


def test_the_repository_is_as_it_was_before_the_export(repository: Path, tmp_path: Path) -> None:
    before = contents(repository)
    publish(exported(Task.CATEGORY, tmp_path / "made", b"new", max_tokens=77, labels=("A", "B")), repository)
    assert contents(repository) != before
    done = remove(repository, "distilbert")
    assert (done.version, done.now) == (2, 1)
    assert contents(repository) == before
    assert check_generated(repository) == []
    assert "distilbert" in check_repository(repository)


def test_a_model_beside_another_goes_whole_once_it_does_not_answer(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(repository)
    publish(exported(Task.CATEGORY, tmp_path / "made", model_type="roberta", labels=("A", "B")), repository)
    to = ("--repository", str(repository))
    assert main(["remove", "category_roberta", *to]) == 1
    told = capsys.readouterr().err
    assert "version 1 is the only one of category_roberta, and category_roberta answers category" in told
    assert "python -m export serve category MODEL" in told
    assert asked(repository) == "category_roberta"
    assert main(["serve", "category", "distilbert", *to]) == 0
    capsys.readouterr()
    assert main(["remove", "category_roberta", *to]) == 0
    assert capsys.readouterr().out == "deleted version 1 of category_roberta; it was the only one\n"
    after = contents(repository)
    assert after.pop("deployment.toml")
    assert after == before
    assert not (repository / "category_roberta").exists()
    assert check_generated(repository) == []


def test_the_last_model_of_a_task_stays(repository: Path) -> None:
    with pytest.raises(RepositoryError, match="version 1 is the only one of xlnet, and xlnet answers veracity"):
        remove(repository, "xlnet")
    with pytest.raises(RepositoryError, match="has no model 'nope'; it has: bart, distilbert, xlnet"):
        remove(repository, "nope")


def test_a_removal_that_fails_moves_everything_back(repository: Path, tmp_path: Path) -> None:
    publish(exported(Task.CATEGORY, tmp_path / "made", b"new"), repository)
    (repository / "distilbert_labels" / "1" / "labels.txt").unlink()  # so version 1 cannot take over
    before = contents(repository)
    with pytest.raises(RepositoryError, match=r"labels\.txt does not hold the labels"):
        remove(repository, "distilbert")
    assert contents(repository) == before
    assert newest_version(repository / "distilbert") == 2
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".partial")] == []


def test_a_named_deployment_that_needs_the_model_bars_its_removal(repository: Path, tmp_path: Path) -> None:
    publish(exported(Task.CATEGORY, tmp_path / "made", model_type="roberta"), repository, serve=False)
    (repository / "deployment-big.toml").write_text('[serves]\ncategory = "category_roberta"\n')
    before = contents(repository)
    with pytest.raises(RepositoryError, match=r"deployment-big\.toml: \[serves\] lets category_roberta answer"):
        remove(repository, "category_roberta")
    assert contents(repository) == before
