"""``export all``: checkpoints of several tasks, none of which is exported before all can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from export import exporter
from export.cli import main
from export.errors import RepositoryError
from export.exporter import ExportResult
from export.options import ExportOptions
from infolens.contract import Task

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")


def test_nothing_is_exported_where_a_later_checkpoint_is_wrong(
    checkpoints: dict[Task, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "models"
    words = ["all", "--repository", str(repository), "--category", str(checkpoints[Task.CATEGORY])]
    words += ["--summary", str(checkpoints[Task.CATEGORY]), "--veracity", str(tmp_path / "none")]
    assert main(words) == 1
    errors = capsys.readouterr().err
    assert "export failed: summary: " in errors
    assert "veracity: there is no checkpoint folder" in errors
    assert "nothing was exported" in errors
    assert not repository.exists()


def test_nothing_is_exported_where_the_disk_has_no_room_for_all(
    checkpoints: dict[Task, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.repository.workspace._free_bytes", lambda _: 0)
    asked: list[int] = []
    for tasks in ([Task.CATEGORY], [Task.VERACITY], [Task.CATEGORY, Task.VERACITY]):
        words = [word for task in tasks for word in (f"--{task}", str(checkpoints[task]))]
        assert main(["all", "--repository", str(tmp_path / "models"), *words]) == 1
        asked.append(int(capsys.readouterr().err.partition(" bytes) of disk")[0].rpartition("(")[2]))
    assert asked[2] > max(asked[:2])
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (RepositoryError("the disk took no more"), 1, "export failed: veracity: the disk took no more\n"),
        (KeyboardInterrupt(), 130, "stopped: veracity was not finished\n"),
    ],
)
def test_what_was_published_before_a_failure_is_told_with_the_way_back(
    checkpoints: dict[Task, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
    code: int,
    words: str,
) -> None:
    whole = exporter.export

    def failing(options: ExportOptions) -> ExportResult:
        if options.task is Task.VERACITY:
            raise fault
        return whole(options)

    monkeypatch.setattr(exporter, "export", failing)
    arguments = ["all", "--repository", str(tmp_path / "models"), "--precision", "fp32"]
    arguments += [word for task in (Task.CATEGORY, Task.VERACITY) for word in (f"--{task}", str(checkpoints[task]))]
    for version, way_back in enumerate(("its first, which can be", "to take it back: python -m export remove"), 1):
        assert main(arguments) == code
        told = f"{words}published before that, and still there: distilbert version {version} ({way_back}"
        assert told in capsys.readouterr().err
    assert main([*arguments, "--replace"]) == code
    assert "distilbert version 2 (in place of the former one, which is gone" in capsys.readouterr().err
    assert main(["remove", "distilbert", "--repository", str(tmp_path / "models")]) == 0
