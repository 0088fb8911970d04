"""The Dockerfiles: linted, in step with the version and with each other, and blind to what is no part of an image."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted(ROOT.glob("images/*/Dockerfile"))
SCRIPT = ROOT / "images" / "build"


def instructions(file: Path) -> list[str]:
    return re.sub(r"\\\n", " ", file.read_text(encoding="utf-8")).splitlines()


def test_there_is_one_for_each_room() -> None:
    assert [file.parent.name for file in DOCKERFILES] == ["models", "serving", "serving-gpu", "training"]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_hadolint_has_nothing_to_say(file: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_the_last_stage_runs_as_nobody_of_the_machine_and_says_what_it_is(file: Path) -> None:
    lines = instructions(file)
    assert "USER 10001:10001" in lines
    assert not [line for line in lines if line.startswith("USER") and line != "USER 10001:10001"]
    text = " ".join(lines)
    assert 'image.version="${VERSION}"' in text
    assert 'image.revision="${REVISION}"' in text
    assert all(re.match(r"FROM (\$\{BASE\}|build|training)( AS \w+)?$", line) for line in lines if line[:4] == "FROM")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_what_is_copied_is_let_through_and_is_there(file: Path) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in instructions(file):
        if line.startswith("COPY ") and "--from=" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert [name for name in allowed if Path(source) in (Path(name), *Path(name).parents)] or [
                    name for name in allowed if Path(name) in Path(source).parents
                ], f".dockerignore does not let {source} through"


def test_nothing_but_what_images_need_is_let_through() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*", "what is not named stays out"
    names = {line[1:].partition("/")[0] for line in lines if line[0] == "!"}
    assert not names & {".git", ".cache", ".venv", ".env", "tests", "benchmarks", "docs", "k8s", "*", "**"}


def test_extras_that_images_install_are_pinned() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "requirements/dev.txt").read_text().splitlines()
    }
    used = 0
    for file in DOCKERFILES:
        for extras in re.findall(r"packages\.py pyproject\.toml ([a-z ]+) >", " ".join(instructions(file))):
            command = [sys.executable, ROOT / "images/packages.py", ROOT / "pyproject.toml", *extras.split()]
            found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
            assert set(table["dependencies"]) <= set(found)
            for name in found:
                assert re.split(r"[\[<>=]", name)[0].lower().replace("_", "-") in pinned, name
            used += 1
    assert used == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name an image"),
        (["door"], "no image and no option door"),
        (["serving", "--tag"], "--tag wants a value"),
        (["serving", "--with", "kaniko"], "no builder kaniko"),
    ],
)
def test_wrong_usage_is_refused_with_the_way_out(words: list[str], said: str) -> None:
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "--help" in done.stderr
