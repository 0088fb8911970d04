"""Publishing: versions beside each other, in place on demand, all of a task's models or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.errors import RepositoryError
from export.repository import Export, publish, read_artefacts
from infolens.contract import Task
from tests.export.artefacts import artefact


def export_of(task: Task, content: bytes, max_tokens: int = 300) -> Export:
    return Export(task=task, artefact=artefact(task, max_tokens), model=content, tokenizer="{}")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_version_stands_beside_the_old(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    assert publish(export_of(Task.VERACITY, b"first"), repository) == 1
    assert publish(export_of(Task.VERACITY, b"second", max_tokens=200), repository) == 2
    files = contents(repository)
    assert (files["xlnet/1/model.onnx"], files["xlnet/2/model.onnx"]) == (b"first", b"second")
    assert {"xlnet_tokenizer/2/tokenizer.json", "xlnet_labels/2/.gitkeep", "verify/1/.gitkeep"} <= set(files)
    assert b'"64,128,200"' in files["xlnet_tokenizer/config.pbtxt"]
    assert read_artefacts(repository)[Task.VERACITY].max_tokens == 200


def test_replace_overwrites_the_newest_version(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    publish(export_of(Task.SUMMARY, b"first"), repository)
    assert publish(export_of(Task.SUMMARY, b"second"), repository, replace=True) == 1
    files = contents(repository)
    assert files["bart/1/model.onnx"] == b"second"
    assert not any("/2/" in path for path in files)


def test_replace_without_a_version_writes_the_first(tmp_path: Path) -> None:
    assert publish(export_of(Task.SUMMARY, b"first"), tmp_path / "model_repository", replace=True) == 1


@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_half_way_moves_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    repository = tmp_path / "model_repository"
    publish(export_of(Task.SUMMARY, b"first"), repository)
    before = contents(tmp_path)
    rename, moves = Path.rename, []

    def failing(self: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) == 5:
            raise OSError("the disk is full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(RepositoryError, match=r"disk is full.*as it was before"):
        publish(export_of(Task.SUMMARY, b"second"), repository, replace=replace)
    assert contents(tmp_path) == before


def test_nothing_is_left_beside_the_repository(tmp_path: Path) -> None:
    publish(export_of(Task.SUMMARY, b"first"), tmp_path / "model_repository")
    assert [path.name for path in tmp_path.iterdir()] == ["model_repository"]
