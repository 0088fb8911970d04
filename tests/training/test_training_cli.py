"""The command line of training, as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infolens.contract import Task
from tests.training.toys import small, toy_file
from training.cli import main
from training.recipes.settings import to_toml

ROOT = Path(__file__).parents[2]

# Mounts a small file system of its own and trains there.
_ON_A_SMALL_DISK = 'mount -t tmpfs -o "$1" tmpfs "$2" || exit 77; shift 2; "$@"'


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for command, words in {
        "fit": (
            "--base starter",
            "distilbert-base-uncased",
            "--columns text=body",
            "Food & Drink",
            "metrics.json",
            "--labels NAME",
            "0=real,1=fake",
        ),
        "tune": ("--samples", "best.toml", "ASHA"),
        "compare": ("--workers", "compare.md"),
        "plan": ("--bandwidth-gb-s", "step_ms"),
        "promote": ("--margin", "champion", "--evaluation", "--against", "--at-least", "--back", "--dry-run"),
        "report": ("--experiment", "index.html", "report.md"),
        "evaluate": ("--server", "--read", "--baseline", "answers.jsonl", "goes on with the same command"),
        "data": ("data check", "data prepare"),
    }.items():
        with pytest.raises(SystemExit) as leave:
            main([command, "--help"])
        assert leave.value.code == 0
        text = capsys.readouterr().out
        assert all(word in text for word in words), command


def test_errors_are_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    out = ["--tracking-uri", "none", "--out", str(tmp_path / "out")]
    assert main(["fit", "veracity", "--data", str(tmp_path / "no.csv"), *out]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/no.csv: no such file or folder\n"
    assert main(["fit", "veracity", "--data", "x", "--out", str(tmp_path)]) == 2
    assert "is there already; name another folder with --out" in capsys.readouterr().err
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "a", "label": "real"}\n{"text": "b", "lab\n')
    assert main(["fit", "veracity", "--data", str(broken), *out]) == 2
    assert "broken.jsonl: cannot be read as jsonl: line 2: " in capsys.readouterr().err
    assert main(["fit", "veracity", "--data", str(broken), "--tracking-uri", "http://127.0.0.1:9", *out[2:]]) == 2
    assert "no MLflow server answers there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_fit_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = toy_file(Task.VERACITY, tmp_path / "data.csv", train=64)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(to_toml(small(teacher=0.0, num_train_epochs=1.0), Task.VERACITY))
    out = tmp_path / "checkpoint"
    arguments = ["fit", "veracity", "--config", str(recipe), "--data", str(data), "--out", str(out)]
    assert main([*arguments, "--tracking-uri", "none", "--set", "seed=3"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["checkpoint"] == str(out)
    assert printed["test"]["articles"] == 32
    assert json.loads((out / "metrics.json").read_text())["config"]["seed"] == 3
    assert (out / "model.safetensors").is_file()
    assert "seed = 3" in (out / "recipe.toml").read_text()


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    data = toy_file(Task.VERACITY, tmp_path / "data.csv", train=64)
    recipe = tmp_path / "recipe.toml"
    wide = small(teacher=0.0, num_train_epochs=2.0, width=64, vocabulary=300, layers=3)
    recipe.write_text(to_toml(wide, Task.VERACITY))
    disk = tmp_path / "disk"
    disk.mkdir()
    fit = [sys.executable, "-m", "training", "fit", "veracity", "--config", str(recipe), "--data", str(data)]
    fit += ["--tracking-uri", "none", "--out", str(disk / "out")]
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c", _ON_A_SMALL_DISK, "sh", "size=3m", str(disk), *fit]
    done = subprocess.run(mount, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"this machine lets nobody mount a file system of their own: {done.stderr}")
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: the disk of {disk}/out.partial is full: free some space")


def test_a_reader_that_has_enough_costs_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "training", "settings", "category"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert (process.returncode, said) == (141, "")


def test_a_run_that_is_refused_makes_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("taken").mkdir()
    assert main(["fit", "category", "--data", "rows.csv", "--base", "starter", "--out", "taken"]) == 2
    assert "taken: is there already" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]
