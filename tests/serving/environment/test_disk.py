"""A disk without room is told with the rule, the value and the way out, and nothing half-made is left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from serving.assembly import assemble
from serving.errors import RuntimeSetupError
from serving.runtime import ensure_runtime


class Usage(NamedTuple):
    free: int


def test_nothing_is_installed_on_a_disk_without_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text("")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free=2_900_000_000))
    with pytest.raises(RuntimeSetupError, match=r"\(pins\.txt\) takes about 7\.0 GB, and 2\.9 GB are free .*--cache"):
        ensure_runtime(tmp_path / "cache", pins, name="gpu", about_bytes=7_000_000_000)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["gpu.lock"]


def test_backends_that_do_not_fit_are_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(source: object, target: object, **settings: Any) -> None:
        raise shutil.Error([(str(source), str(target), "[Errno 28] No space left on device: 'a'")] * 2)

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(RuntimeSetupError) as caught:
        assemble(ensure_runtime(), tmp_path)
    folder = tmp_path / "backends"
    assert str(caught.value).startswith(
        f"the backends cannot be written into {folder}: [Errno 28] No space left on device: 'a'. Make room there"
    )
    assert not list(folder.iterdir())
