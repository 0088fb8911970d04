"""Overlays as they are built, and one with every component."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from k8s.check.confinement import ROOT
from k8s.check.objects import build

OVERLAYS = sorted(path.parent.name for path in (ROOT / "k8s" / "overlays").glob("*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in (ROOT / "k8s" / "components").glob("*/kustomization.yaml"))
SCHEMAS = ROOT.parent / "shared" / "schemas"


@cache
def overlay(name: str) -> tuple[dict[str, Any], ...]:
    """The objects of an overlay of the repository."""
    return tuple(build(ROOT / "k8s" / "overlays" / name))


def with_components(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """The objects of an overlay of one's own, as the README tells to make it."""
    here = os.path.relpath(ROOT / "k8s", folder)
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "namespace: mine"]
    lines += ["resources:", f"  - {here}/base", "components:", *(f"  - {here}/components/{name}" for name in names)]
    (folder / "kustomization.yaml").write_text("\n".join(lines) + "\n")
    return build(folder)
