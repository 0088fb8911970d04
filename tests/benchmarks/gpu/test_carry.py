"""What is carried to a machine with a GPU is small, whole, and never takes the place of something else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.server import ROOT

SCRIPT = ROOT / "scripts" / "gpu-carry"


def carry(*arguments: str | Path, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run([script, *arguments], env=environment, capture_output=True, text=True, check=False)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with the script, all of whose other files are untracked."""
    root = tmp_path / "checkout"
    contents = {
        "benchmarks/__init__.py": "",
        "benchmarks/__main__.py": "import sys\nsys.exit(sys.argv[1:] != ['gpu', '--help'])\n",
        "benchmarks/gpu/__init__.py": "",
        "benchmarks/gpu/plan.py": "import types\nPARTS = [types.SimpleNamespace(name='one')]\n",
        "benchmarks/gpu/parts/__init__.py": "",
        "benchmarks/gpu/parts/one.py": "import engine.search\n",
        "benchmarks/results/gpu/report.json": "{}",
        "engine/__init__.py": "",
        "engine/search.py": "",
        "engine/old.pt": "weights",
        "export/__init__.py": "",
        "export/cli.py": "import infolens\n",
        "export/graph/__init__.py": "",
        "export/graph/step/__init__.py": "",
        "export/graph/step/__main__.py": "import engine.search\n",
        "model_repository/bart/1/model.onnx": "weights",
        ".gitignore": "*.pt\n.cache/\n",
    }
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "scripts").mkdir()
    shutil.copy(SCRIPT, root / "scripts")
    subprocess.run(["git", "init", "--quiet", root], check=True)
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *author, "commit", "--quiet", "--allow-empty", "-m", "one"], cwd=root, check=True)
    return root


WHOLE = {
    ".gpu-carry",
    "benchmarks/__init__.py",
    "benchmarks/__main__.py",
    "benchmarks/gpu/__init__.py",
    "benchmarks/gpu/plan.py",
    "benchmarks/gpu/parts/__init__.py",
    "benchmarks/gpu/parts/one.py",
    "engine/__init__.py",
    "engine/search.py",
    "export/__init__.py",
    "export/graph/__init__.py",
    "export/graph/step/__init__.py",
    "export/graph/step/__main__.py",
}


def test_the_copy_is_small_and_runs_where_the_client_is_not_installed(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    done = carry(copy)
    assert done.returncode == 0, done.stderr
    found = files(copy)
    bytes_ = sum((copy / name).stat().st_size for name in found)
    assert f"{len(found)} files, {bytes_ >> 10} KiB" in done.stdout
    assert bytes_ < 4 << 20
    rooms = {".gpu-carry", "LICENSE", "benchmarks", "engine", "export", "operators", "pyproject.toml", "requirements"}
    assert {name.partition("/")[0] for name in found} == rooms
    assert not (copy / "benchmarks" / "results").exists()
    assert (copy / ".gpu-carry").read_text("utf-8").startswith("made by scripts/gpu-carry from ")
    command = [sys.executable, "-B", "-E", "-s", "-m", "benchmarks", "gpu", "--help"]
    shown = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True).stdout
    assert "--seconds" in shown
    assert list(tmp_path.iterdir()) == [copy]


def test_the_server_travels_where_it_is_wanted(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    done = carry(copy, "--server")
    assert done.returncode == 0, done.stderr
    found = files(copy)
    assert {"serving/__main__.py", "export/uncompared/__main__.py", "clients/infolens/__init__.py"} <= found
    assert {"requirements/triton-gpu.txt", "tests/articles/sports.txt", "reading/windows.py"} <= found
    assert not any(name.startswith(("model_repository/", "training/", "tests/serving/")) for name in found)
    assert sum((copy / name).stat().st_size for name in found) < 8 << 20


def test_a_copy_without_a_room_of_the_server_is_not_left(checkout: Path, tmp_path: Path) -> None:
    done = carry(tmp_path / "copy", "--server", script=checkout / "scripts" / "gpu-carry")
    assert done.returncode == 1
    assert "the copy is not whole: it has no server" in done.stderr
    assert not (tmp_path / "copy").exists()


def test_what_git_ignores_or_has_no_longer_stays_at_home(checkout: Path) -> None:
    subprocess.run(["git", "add", "engine"], cwd=checkout, check=True)
    (checkout / "engine" / "gone.py").touch()
    subprocess.run(["git", "add", "engine/gone.py"], cwd=checkout, check=True)
    (checkout / "engine" / "gone.py").unlink()
    done = carry(script=checkout / "scripts" / "gpu-carry")
    assert done.returncode == 0, done.stderr
    assert files(checkout / ".cache" / "gpu-carry") == WHOLE


def test_an_earlier_copy_is_replaced(checkout: Path, tmp_path: Path) -> None:
    copy, script = tmp_path / "copy", checkout / "scripts" / "gpu-carry"
    assert carry(copy, "--no-check", script=script).returncode == 0
    (copy / "engine" / "left.py").touch()
    (checkout / "engine" / "search.py").write_text("STEPS = 2\n", encoding="utf-8")
    assert carry(copy, "--no-check", script=script).returncode == 0
    assert files(copy) == WHOLE
    assert (copy / "engine" / "search.py").read_text("utf-8") == "STEPS = 2\n"
    assert {path.name for path in tmp_path.iterdir()} == {"checkout", "copy"}


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("engine/search.py", "import infolens\n", "the copy is not whole"),
        ("benchmarks/gpu/parts/one.py", "import training\n", "the copy is not whole"),
        ("benchmarks/gpu/plan.py", "import types\nPARTS = [types.SimpleNamespace(name='two')]\n", "gpu.parts.two"),
        ("benchmarks/__main__.py", "raise SystemExit('no help')\n", "no help"),
        ("export/graph/step/__main__.py", "import infolens\n", "it cannot write graphs"),
        ("export/graph/step/__main__.py", "import export.cli\n", "it cannot write graphs"),
    ],
)
def test_a_copy_that_is_not_whole_is_not_left(checkout: Path, tmp_path: Path, file: str, text: str, words: str) -> None:
    copy, script = tmp_path / "copy", checkout / "scripts" / "gpu-carry"
    assert carry(copy, script=script).returncode == 0
    before = (copy / file).read_text("utf-8")
    (checkout / file).write_text(text, encoding="utf-8")
    done = carry(copy, script=script)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert (copy / file).read_text("utf-8") == before
    assert {path.name for path in tmp_path.iterdir()} == {"checkout", "copy"}


def test_the_interpreter_may_be_named_from_the_folder_that_one_is_in(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    environment = {**os.environ, "PYTHON": "bin/python"}
    command = [checkout / "scripts" / "gpu-carry", "copy"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "copy") == WHOLE


def test_a_large_copy_is_refused_with_the_reason(checkout: Path, tmp_path: Path) -> None:
    with (checkout / "engine" / "weights.bin").open("wb") as sink:
        sink.truncate(65 << 20)
    done = carry(tmp_path / "copy", script=checkout / "scripts" / "gpu-carry")
    assert done.returncode == 1
    assert "may have 64 MiB and has 65: remove what is large, first engine/weights.bin" in done.stderr
    assert not (tmp_path / "copy").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    done = carry(tmp_path)
    assert done.returncode == 1
    assert "holds something that this script did not write" in done.stderr
    assert files(tmp_path) == {"thesis.txt"}


@pytest.mark.parametrize("arguments", [["--fast"], ["one", "two"], [""]])
def test_wrong_usage_is_told(arguments: list[str]) -> None:
    done = carry(*arguments)
    assert done.returncode == 2
    assert "scripts/gpu-carry takes" in done.stderr
