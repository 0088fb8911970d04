"""The command line: what it needs, what it writes, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import COMMANDS, main
from benchmarks.common.server import ROOT, BenchmarkError
from benchmarks.gpu import command
from benchmarks.gpu.children.pool import Children
from benchmarks.gpu.plan import PARTS
from benchmarks.gpu.run import Run
from tests.benchmarks.gpu.fakes import Fake

BARE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {gone!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from benchmarks.cli import main
sys.exit(main({words!r}))
"""
GONE = (
    "infolens", "tritonclient", "locust", "prometheus_client", "hdrh", "pandas", "jinja2", "torch", "transformers",
    "onnx", "onnxruntime", "matplotlib", "numpy", "psutil", "tokenizers",
)  # fmt: skip


def bare(*words: str, gone: tuple[str, ...] = GONE) -> subprocess.CompletedProcess[str]:
    """Call the command where some packages are missing."""
    script = BARE.format(gone=gone, words=list(words))
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def dry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Calls a dry run of fakes."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(command, "Children", lambda: Children(preload=()))

    def call(*names: str) -> int:
        monkeypatch.setattr(command, "parts_of", lambda _: tuple(Fake(name=name) for name in names))
        return main(["gpu", "--dry-run", "--out", str(tmp_path)])

    return call


def test_the_list_of_commands_and_the_help_of_this_one_need_no_package():
    for words in (["--help"], ["gpu", "--help"]):
        done = bare(*words)
        assert (done.returncode, done.stderr) == (0, "")
    listed = " ".join(bare("--help").stdout.split())
    assert all(f"{name} {known.help}" in listed for name, known in COMMANDS.items())


def test_a_command_that_needs_what_is_missing_says_what_and_how_to_get_it():
    done = bare("load", "--find-max", gone=("infolens", "tritonclient"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: the command load needs infolens, which is not installed here; `make dev`")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "gpu"])
def test_every_command_has_its_own_help(name: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: python -m benchmarks {name} [-h]" in capsys.readouterr().out


def test_a_run_needs_no_client_of_triton(tmp_path: Path):
    words = ["gpu", "--dry-run", "--part", "preflight", "--out", str(tmp_path)]
    done = bare(*words, gone=("infolens", "tritonclient", "locust", "prometheus_client", "hdrh"))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    assert [(part["name"], part["status"]) for part in document["parts"]] == [("preflight", "done")]
    assert all(Path(file).exists() for file in document["files"])


def test_without_a_gpu_it_says_so_and_names_the_dry_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setattr(command, "Children", lambda: Children(preload=()))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["gpu", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: a run needs a GPU that PyTorch can use")
    assert "`--dry-run`" in told.err
    assert list(tmp_path.iterdir()) == []


def test_forked_children_that_cannot_use_the_device_are_started_afresh(monkeypatch: pytest.MonkeyPatch):
    children = Children(preload=())
    answers = {
        "forkserver": ("", "RuntimeError: Cannot re-initialize CUDA in forked subprocess."),
        "spawn": ("NVIDIA H100", ""),
    }
    monkeypatch.setattr(Children, "_look", lambda self: answers[self.method])
    assert (children.look(), children.method) == ("NVIDIA H100", "spawn")
    answers["spawn"] = "", "RuntimeError: no driver"
    with pytest.raises(BenchmarkError, match="no driver"):
        Children(preload=()).look()


def test_what_is_preloaded_does_not_touch_cuda():
    """A child that is forked from a process that has used CUDA cannot use it."""
    script = """
import sys, torch
class Touched(BaseException): pass
def touch(*_): raise Touched
torch.cuda.is_available = torch.cuda.device_count = torch.cuda._lazy_init = touch
import benchmarks.gpu.children.preload
print(torch.cuda.is_initialized(), "transformers.models.bart.modeling_bart" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_last_line_says_where_the_report_is_and_how_the_parts_ended(
    dry: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert dry("fine", "lacking") == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(part["name"], part["status"], part["rows"]) for part in document["parts"]] == [
        ("fine", "done", 1),
        ("lacking", "skipped", 0),
    ]
    assert sorted(map(Path, document["files"])) == sorted(tmp_path.iterdir())
    page = next(path for path in tmp_path.iterdir() if path.suffix == ".md").read_text(encoding="utf-8")
    assert "`python -m benchmarks gpu --dry-run`" in page
    assert str(tmp_path) not in page


def test_a_part_that_broke_is_an_exit_code(dry: Any):
    assert dry("raising", "fine") == 1


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit(143)])
def test_an_interrupted_run_leaves_its_report(
    interruption: Any, dry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    written = command.write

    def write(run: Run, *arguments: Any, pictures: bool) -> list[Path]:
        if not pictures:
            raise interruption
        return written(run, *arguments, pictures=pictures)

    monkeypatch.setattr(command, "write", write)
    with pytest.raises(type(interruption) if isinstance(interruption, SystemExit) else interruption):
        dry("fine", "raising")
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["cut_off"] is True
    page = next(path for path in tmp_path.iterdir() if path.suffix == ".md").read_text(encoding="utf-8")
    assert "**Cut off:**" in page
    assert "step ms" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--seconds", "5"], "--seconds is at least 10"), (["--part", "nothing"], "invalid choice: 'nothing'")],
)
def test_wrong_usage_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["gpu", *words])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_help_names_every_part(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["gpu", "--help"])
    listed = capsys.readouterr().out
    assert all(part.name in listed and part.title in listed for part in PARTS)


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("a report of somebody else")
    assert main(["gpu", "--dry-run", "--out", str(tmp_path / "file")]) == 1
    told = capsys.readouterr().err
    assert "cannot (File exists): name another one with --out" in told
    assert "==>" not in told


def test_a_full_disk_costs_no_measurement(
    dry: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write", full)
    assert dry("fine", "fine") == 1
    told = capsys.readouterr()
    assert told.err.count("the run goes on") == 2
    assert "cannot be written" in told.err
    assert [part["status"] for part in json.loads(told.out.splitlines()[-1])["parts"]] == ["done", "done"]
