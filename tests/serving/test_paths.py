"""Folders with names that Triton's Python backend cannot bear."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from serving import repository
from serving.errors import RepositoryError
from serving.launcher import TritonServer
from serving.repository import plain
from serving.runtime import CACHE
from tests.serving.conftest import free_ports
from tests.serving.test_launcher import one_model


def test_a_repository_and_a_cache_may_have_any_name(tmp_path: Path) -> None:
    """Triton's Python backend takes the words of a path apart, and its processes know ASCII alone."""
    one_model(tmp_path / "meine Läufe" / "models")
    cache = tmp_path / "Größe 'x'"
    cache.mkdir()
    for name in ("triton", "operators"):
        if (CACHE / name).exists():
            (cache / name).symlink_to(CACHE / name)
    options = replace(free_ports(tmp_path / "meine Läufe" / "models", tmp_path / "log"), cache=cache)
    with TritonServer(options) as server:
        assert server.models == ["vote"]


def test_a_link_stands_for_a_folder_whose_name_is_not_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    plainly, other = tmp_path / "models", tmp_path / "Läufe 1"
    plainly.mkdir()
    other.mkdir()
    assert plain(plainly) == plainly
    link = plain(other)
    assert link.resolve() == other
    assert link.parent.stat().st_mode & 0o777 == 0o700
    assert plain(other) == link
    link.unlink()
    link.symlink_to(plainly)  # whatever it stood for before
    assert plain(other).resolve() == other
    link.parent.chmod(0o777)  # somebody else could put a link of theirs there
    monkeypatch.setattr(repository, "_BASES", (str(tmp_path),))
    with pytest.raises(RepositoryError, match="move or rename"):
        plain(other)
