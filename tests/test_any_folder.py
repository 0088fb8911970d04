"""``python -m training`` and the other rooms start in any folder, in the environment that ``make`` sets up."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import hatchling.build
import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("training", "export", "benchmarks", "serving", "k8s")
RUN = (
    "import runpy, site, sys; site.addsitedir(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``pip install --editable .`` puts into an environment: the paths that Python is to look in."""
    folder, before = tmp_path_factory.mktemp("installed"), Path.cwd()
    os.chdir(ROOT)
    try:
        wheel = hatchling.build.build_editable(str(folder))
    finally:
        os.chdir(before)
    with zipfile.ZipFile(folder / wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, folder: Path, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-P", "-c", RUN, str(installed), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_starts_in_any_folder(room: str, installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, room, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: python -m {room} ")
    assert list(tmp_path.iterdir()) == []


def test_paths_are_those_of_the_folder_and_the_repository_is_the_checkouts(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "training", "data", "check", "category", "--data", "no.csv")
    assert (done.returncode, done.stderr) == (2, "error: no.csv: no such file or folder\n")
    done = run(installed, tmp_path, "export", "configs", "--help")
    assert str(ROOT / "model_repository") in "".join(done.stdout.split())


def test_a_checkout_that_is_named_goes_first(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").touch()
    (tmp_path / "training" / "__main__.py").write_text("print('another checkout')")
    assert run(installed, tmp_path, "training", path=str(tmp_path)).stdout == "another checkout\n"


def test_a_wheel_holds_the_client_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    wheel = hatchling.build.build_wheel(str(tmp_path))
    with zipfile.ZipFile(tmp_path / wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert names == {"infolens", "infolens-0.1.0.dist-info"}
