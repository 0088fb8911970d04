"""The virtual environment of optimum is made once, by one export at a time, and again if it is not complete."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from export.errors import ExportError
from export.optimum.environment import ensure_optimum


def test_the_environment_is_made_once_and_again_when_it_was_cut_short(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# nothing\n")
    folder = tmp_path / "environment"
    python = ensure_optimum(folder, tmp_path / "list.txt")
    assert python.is_file()
    (folder / "mark").touch()
    assert ensure_optimum(folder, tmp_path / "list.txt") == python
    assert (folder / "mark").exists(), "it was made again without a reason"
    (folder / "stamp").unlink()
    ensure_optimum(folder, tmp_path / "list.txt")
    assert not (folder / "mark").exists(), "an interrupted set-up was taken for a complete one"


def test_packages_that_cannot_be_installed_leave_no_stamp(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("./no-such-package-1.0-py3-none-any.whl\n")
    with pytest.raises(ExportError, match=r"(?s)cannot be made .*package index.*no-such-package"):
        ensure_optimum(tmp_path / "environment", tmp_path / "list.txt")
    assert not (tmp_path / "environment" / "stamp").exists()


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"list\.txt is missing"):
        ensure_optimum(tmp_path / "environment", tmp_path / "list.txt")


def test_an_export_waits_for_another_that_makes_the_environment(tmp_path: Path) -> None:
    waits = threading.Event()

    class Waiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting for another export" in record.getMessage():
                waits.set()

    log, handler = logging.getLogger("export.optimum.environment"), Waiting()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    (tmp_path / "list.txt").write_text("./no-such-package-1.0-py3-none-any.whl\n")
    folder = tmp_path / "environment"
    try:
        with ThreadPoolExecutor(1) as pool:
            with FileLock(tmp_path / "environment.lock"):
                made = pool.submit(ensure_optimum, folder, tmp_path / "list.txt")
                assert waits.wait(60)
                assert not folder.exists()
            with pytest.raises(ExportError, match="no-such-package"):
                made.result(60)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
