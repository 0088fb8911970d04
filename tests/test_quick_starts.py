"""Help and small commands of every room load no library that takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SLOW = {
    *("torch", "transformers", "datasets", "accelerate", "peft", "ray", "mlflow", "sklearn", "scipy", "pandas"),
    *("pyarrow", "matplotlib", "onnx", "onnxruntime", "sqlalchemy", "aiohttp", "pydantic"),
    *("locust", "prometheus_client", "hdrh", "psutil", "playwright", "tokenizers"),
}
"""What takes a tenth of a second and more to load."""
CLIENT = {"numpy", "tritonclient", "grpc", "google.protobuf", "ml_dtypes"}
"""What a question to a server needs."""
MODULES = ("training", "export", "export.graph.step", "infolens", "serving", "operators", "k8s", "benchmarks")
"""What has a command line for people."""
MAY_LOAD = {"export": {"numpy"}, "export.graph.step": {"numpy"}}
"""A room's exceptions."""
DEEPEST = {
    "training": "data check",
    "export": "calibrate",
    "infolens": "analyze",
    "serving": "models fetch",
    "k8s": "dashboards",
    "benchmarks": "training-start",
}
"""A command that must be among those that are found; the others have none."""
RUNNER = """
import argparse, contextlib, io, json, runpy, sys
module, starts, watched, below = json.loads(sys.argv[1])
found, before, parsers = {}, set(), []
parse = argparse.ArgumentParser.parse_known_args

def watched_parse(self, *rest, **named):
    parsers.append(self)
    return parse(self, *rest, **named)

argparse.ArgumentParser.parse_known_args = watched_parse

def run(start, way):
    global before
    words = [*start, *way, *(["--help"] if below else [])]
    sys.argv, text = [module, *words], io.StringIO()
    parsers.clear()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    loaded = {name for name in watched if name in sys.modules}
    found[" ".join([*start, *way])] = [len(text.getvalue()), sorted(loaded - before)]
    before = loaded
    if below:
        choices = {"": parsers[0]}
        for word in ["", *way]:
            nested = choices[word]._actions
            choices = {n: p for a in nested if isinstance(a, argparse._SubParsersAction) for n, p in a.choices.items()}
        for name in choices:
            run(start, [*way, name])

for start in starts:
    run(start, [])
print(json.dumps(found))
"""


def _loaded(module: str, starts: list[list[str]], *, helps: bool = False) -> dict[str, tuple[int, list[str]]]:
    """Run commands in one process, one after another.

    Args:
        module: What is run.
        starts: The words of each command.
        helps: Ask for the help of each, and of every command that the parser has below it.

    Returns:
        Command -> how many characters it printed, and which of the slow libraries it was the first to load.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "clients"), str(ROOT)])}
    question = json.dumps([module, starts, sorted(SLOW | CLIENT), helps])
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, question], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, tuple[int, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_help_loads_nothing_slow(module: str) -> None:
    starts: list[list[str]] = [[]]
    if module == "serving":  # which has parsers of their own for some of its commands
        from serving.cli import COMMANDS

        starts += [[name] for name in COMMANDS]
    found = _loaded(module, starts, helps=True)
    assert DEEPEST.get(module, "") in found
    for command, (printed, loaded) in found.items():
        assert printed > 100, f"{module} {command} said nothing"
        assert set(loaded) - MAY_LOAD.get(module, set()) == set(), f"{module} {command}"


def test_small_commands_load_nothing_slow() -> None:
    plan = ["plan", "--report", "training/results/compare.json", "--strategy", "fsdp", "--workers", "1,4"]
    found = _loaded("training", [["settings", "category"], [*plan, "--articles", "1000"]])
    for command, (printed, loaded) in found.items():
        assert printed > 100, command
        assert set(loaded) <= {"numpy"}, command
    ((printed, loaded),) = _loaded("export", [["configs", "--check"]]).values()
    assert printed > 10
    assert set(loaded) & SLOW == set()
