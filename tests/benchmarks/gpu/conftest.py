"""One dry run of the whole command, which several tests look at."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serving.runtime import ROOT


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What it left behind."""

    exit_code: int
    told: str
    """All that it said on the way."""
    files: list[str]
    document: dict[str, Any]
    page: str

    def part(self, name: str) -> dict[str, Any]:
        return next(part for part in self.document["parts"] if part["name"] == name)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [row for part in self.document["parts"] for row in part["tables"].get(table, [])]

    def skipped(self, name: str) -> dict[str, str]:
        return {one["what"]: one["reason"] for one in self.part(name)["skipped"]}


@pytest.fixture(scope="session")
def dry_run(tmp_path_factory: pytest.TempPathFactory) -> DryRun:
    folder = tmp_path_factory.mktemp("dry_run")
    command = [sys.executable, "-m", "benchmarks", "gpu", "--dry-run", "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)
    (document,), (page,) = (list(folder.glob(f"*.{kind}")) for kind in ("json", "md"))
    return DryRun(
        exit_code=done.returncode,
        told=done.stderr + done.stdout,
        files=sorted(Path(file).suffix for file in folder.iterdir()),
        document=json.loads(document.read_text("utf-8")),
        page=page.read_text("utf-8"),
    )
