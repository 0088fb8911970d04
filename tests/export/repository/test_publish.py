"""Publishing: versions beside each other, in place on demand, all of a task's models or none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from export.errors import RepositoryError
from export.repository.contents import newest_version, read_artefacts
from export.repository.generated_files import check_generated
from export.repository.publish import publish
from infolens.contract import Task
from tests.export.repository.artefacts import exported


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_version_stands_beside_the_old(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    assert publish(exported(Task.VERACITY, tmp_path / "made", b"first"), repository) == 1
    assert publish(exported(Task.VERACITY, tmp_path / "made", b"second", max_tokens=200), repository) == 2
    files = contents(repository)
    assert (files["xlnet/1/model.onnx"], files["xlnet/2/model.onnx"]) == (b"first", b"second")
    assert {"xlnet_tokenizer/2/tokenizer.json", "xlnet_labels/2/labels.txt", "verify/1/.gitkeep"} <= set(files)
    assert b'"64,128,192,200"' in files["xlnet_tokenizer/config.pbtxt"]
    assert read_artefacts(repository)["xlnet"].max_tokens == 200


def test_replace_overwrites_the_newest_version(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    publish(exported(Task.SUMMARY, tmp_path / "made", b"first"), repository)
    assert publish(exported(Task.SUMMARY, tmp_path / "made", b"second"), repository, replace=True) == 1
    files = contents(repository)
    assert files["bart/1/model.onnx"] == b"second"
    assert not any("/2/" in path for path in files)


def test_replace_without_a_version_writes_the_first(tmp_path: Path) -> None:
    assert (
        publish(exported(Task.SUMMARY, tmp_path / "made", b"first"), tmp_path / "model_repository", replace=True) == 1
    )


@pytest.mark.parametrize(
    "fault", [OSError("the disk is full"), KeyboardInterrupt("the disk is full, as it was before")]
)
@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_half_way_moves_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool, moved: bool, fault: BaseException
) -> None:
    repository = tmp_path / "model_repository"
    publish(exported(Task.SUMMARY, tmp_path / "made", b"first"), repository)
    made = exported(Task.SUMMARY, tmp_path / "made", b"second")
    before = contents(repository)
    rename, moves = Path.rename, []

    def failing(self: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) != 5:
            return rename(self, target)
        if moved:  # Ctrl-C may come right after a move too.
            rename(self, target)
        raise fault

    monkeypatch.setattr(Path, "rename", failing)
    told = KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else RepositoryError
    with pytest.raises(told, match=r"disk is full.*as it was before"):
        publish(made, repository, replace=replace)
    assert contents(repository) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "model_repository"]


def test_nothing_is_left_beside_the_repository(tmp_path: Path) -> None:
    publish(exported(Task.SUMMARY, tmp_path / "made", b"first"), tmp_path / "model_repository")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "model_repository"]


class Killed(BaseException):
    """Takes the place of a kill: no code catches it."""


@pytest.mark.parametrize("replace", [False, True])
def test_whoever_is_killed_leaves_no_mixture_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    rename, moves = Path.rename, 0
    for last in range(1, 30):
        repository = tmp_path / str(last) / "model_repository"
        publish(exported(Task.CATEGORY, tmp_path / "made", b"old", labels=("old", "older")), repository)
        made = exported(Task.CATEGORY, tmp_path / "made", b"new", labels=("new", "newer"))
        moves = 0

        def killing(self: Path, target: Path, last: int = last) -> Path:
            nonlocal moves
            moves += 1
            if moves == last:
                raise Killed
            return rename(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", killing)
            try:
                publish(dataclasses.replace(made, tokenizer='{"new": 1}'), repository, replace=replace)
            except Killed:
                assert _told(repository) or _of_one_export(repository), f"killed at move {last}"
                continue
        assert last > 6, "a publication has more moves than that"
        assert _of_one_export(repository)
        break


def _told(repository: Path) -> bool:
    try:
        return bool(check_generated(repository))
    except RepositoryError:
        return True


def _of_one_export(repository: Path) -> bool:
    version = str(newest_version(repository / "distilbert"))
    new = {
        (repository / "distilbert" / version / "model.onnx").read_bytes() == b"new",
        (repository / "distilbert_tokenizer" / version / "tokenizer.json").read_text() == '{"new": 1}',
        (repository / "distilbert_labels" / version / "labels.txt").read_text().startswith("new"),
    }
    return len(new) == 1


def test_large_weights_come_and_go_with_their_graph(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    publish(exported(Task.SUMMARY, tmp_path / "made", b"large", data=b"weights"), repository)
    assert contents(repository)["bart/1/model.onnx.data"] == b"weights"
    publish(exported(Task.SUMMARY, tmp_path / "small", b"small"), repository, replace=True)
    files = contents(repository)
    assert files["bart/1/model.onnx"] == b"small"
    assert "bart/1/model.onnx.data" not in files
