"""``k8s/ray/cluster.yaml``: its schema is Ray's own, and its commands start a cluster on which a model is trained.

``ray up`` itself, which needs machines that it reaches by SSH, is not run.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infolens.contract import Task
from tests.k8s.training.manifests import ROOT, cluster_of
from tests.test_house import MAY_IMPORT
from tests.training.toys import SMALL, toy_file
from training.recipes.settings import to_toml

FILE = ROOT / "k8s" / "ray" / "cluster.yaml"
PATIENCE_S = 180.0


def cluster() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def test_ray_takes_the_file() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util")
    pytest.importorskip("jsonschema")
    with pytest.raises(Exception, match="not_a_field"):
        util.validate_config({**cluster(), "not_a_field": 1})
    prepared = util.prepare_config(cluster())
    util.validate_config(prepared)
    assert prepared["max_workers"] == len(cluster()["provider"]["worker_ips"])


def test_addresses_and_image_are_placeholders_and_ours() -> None:
    provider = cluster()["provider"]
    assert all(one.startswith("192.0.2.") for one in (provider["head_ip"], *provider["worker_ips"]))
    assert (
        cluster()["docker"]["image"]
        == cluster_of("cluster")["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
    )


def test_workers_are_sent_every_room_that_training_imports() -> None:
    from training.loop.ray_session import ROOMS

    assert {Path(room).name for room in ROOMS} == {"training", *MAY_IMPORT["training"]}
    assert all((ROOT / room / "__init__.py").is_file() for room in ROOMS)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def started(command: str, ports: dict[str, int], more: list[str]) -> list[str]:
    """A start command of the file: its options, with ports of this machine and nothing that needs machines."""
    words = shlex.split(command)
    while "=" in words[0]:  # the variables before it
        words.pop(0)
    program, *words = words
    assert program == "ray"
    kept = [word for word in words if not word.startswith(("--autoscaling-config=", "--min-worker", "--max-worker"))]
    named = [f"{name}={ports[name]}" if (name := word.partition("=")[0]) in ports else word for word in kept]
    beside = Path(sys.executable).parent / "ray"
    return [str(beside), *named, "--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--block", *more]


@contextmanager
def process(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{len(list(folder.iterdir()))}.log").open("wb") as output:
        one = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield one
    finally:
        one.send_signal(signal.SIGTERM)  # with --block it ends all that it has started
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.wait()


def answered(url: str, one: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < until, f"{url} never answered"
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.wait(0.2)
            pytest.fail("Ray ended")
        asking = contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError)
        with asking, urllib.request.urlopen(url, timeout=10) as answer:
            if b"success" in answer.read():
                return


@pytest.fixture
def folder() -> Iterator[Path]:
    """Ray's sockets have long names: pytest's own folder is too deep."""
    made = Path(tempfile.mkdtemp(prefix="infolens-ray-"))
    yield made
    shutil.rmtree(made)


@pytest.mark.slow
def test_a_model_is_trained_on_the_cluster_that_the_commands_start(folder: Path, tmp_path: Path) -> None:
    """Head, worker, a job that is submitted as KubeRay does it; the probes of k8s/training ask what is there."""
    toy_file(Task.CATEGORY, tmp_path / "toy.csv", train=64)
    recipe = replace(SMALL, teacher=0.0, num_train_epochs=1.0, workers=2, strategy="ddp", average=0.0)
    (tmp_path / "recipe.toml").write_text(to_toml(recipe, Task.CATEGORY), encoding="utf-8")
    (folder / "token").write_text(secrets.token_hex(32), encoding="ascii")
    (folder / "logs").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "HOME": str(folder),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'clients'}",
        "NO_COLOR": "1",
    }
    gcs, client, *free = free_ports(11)
    names = ["--dashboard-port", "--object-manager-port", "--node-manager-port", "--dashboard-agent-listen-port"]
    names.append("--metrics-export-port")
    head_ports = {"--port": gcs} | dict(zip(names, free, strict=False))
    worker_ports = dict(zip(names[1:], free[5:], strict=True)) | {"--address": 0}
    stop, head_command = cluster()["head_start_ray_commands"]
    stop_too, worker_command = cluster()["worker_start_ray_commands"]
    assert stop == stop_too == "ray stop"  # not here, where it would end the Ray of others
    assert "RAY_AUTH_MODE=token" in head_command
    assert "RAY_AUTH_MODE=token" in worker_command
    head = started(head_command, head_ports, [f"--temp-dir={folder}/r", f"--ray-client-server-port={client}"])
    worker = [
        word if not word.startswith("--address=") else f"--address=127.0.0.1:{gcs}"
        for word in started(worker_command, worker_ports, ["--num-cpus=2"])
    ]
    dashboard = f"http://127.0.0.1:{head_ports['--dashboard-port']}"
    probes = [
        part["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["path"]
        for part in (cluster_of("cluster")["headGroupSpec"], *cluster_of("cluster")["workerGroupSpecs"])
    ]
    with process(head, environment, folder / "logs") as leading:
        answered(f"{dashboard}{probes[0]}", leading)
        with process(worker, environment, folder / "logs") as following:
            answered(f"http://127.0.0.1:{worker_ports['--dashboard-agent-listen-port']}{probes[1]}", following)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{dashboard}/api/jobs/", timeout=60)
            assert refused.value.code == 401, "without the token nobody submits"
            refused.value.close()
            fit = [sys.executable, "-m", "training", "fit", "category", "--config", tmp_path / "recipe.toml"]
            fit += ["--data", tmp_path / "toy.csv", "--out", tmp_path / "out", "--tracking-uri", "none"]
            submit = [Path(sys.executable).parent / "ray", "job", "submit", "--", *fit]
            done = subprocess.run(
                list(map(str, submit)), env=environment | {"RAY_ADDRESS": dashboard}, cwd=folder, capture_output=True,
                text=True, timeout=500, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-4000:]
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert len(metrics["workers"]) == 2
