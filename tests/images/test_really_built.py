"""The images, really built on a base made here, and run as their user on a read-only root until an article is answered.

It wants root, Debian 12 with `buildah` and `debootstrap`, and where packages come from: apt's and pip's settings of
this machine, which are read here and end up in no image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = "localhost/infolens-test-base:1"
TAG = "test-of-images"
ENVIRONMENT = {
    "PATH": "/opt/infolens/.venv/bin:/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": "/opt/infolens:/opt/infolens/clients",
    "HOME": "/tmp",
}
DEADLINE_S = 180
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def buildah(*words: str, env: Mapping[str, str]) -> str:
    done = subprocess.run(["buildah", *words], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def apt_mirror() -> str | None:
    for file in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        if file.is_file() and (
            found := re.search(r"^(?:URIs: *|deb (?:\[.*\] )?)(\S+)", file.read_text(), re.MULTILINE)
        ):
            return found[1]
    return None


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of builders, with a store of images of its own, which is removed at the end."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("buildah", "debootstrap", "unshare", "setpriv"))):
        pytest.skip("needs root, and Debian's buildah and debootstrap")
    if "VERSION_CODENAME=bookworm" not in Path("/etc/os-release").read_text() or not (mirror := apt_mirror()):
        pytest.skip("needs Debian 12 with its mirror in /etc/apt, whose Python is 3.11")
    folder = tmp_path_factory.mktemp("images")
    store = folder / "storage.conf"
    store.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    env = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs", "CONTAINERS_STORAGE_CONF": str(store)}
    packages = "ca-certificates,python3,python3-venv,python3-pip,libpython3.11"
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(folder / "base"), mirror]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    made = buildah("from", "scratch", env=env)
    buildah("add", "--quiet", made, str(folder / "base"), "/", env=env)
    buildah("commit", "--quiet", "--rm", made, BASE, env=env)
    shutil.rmtree(folder / "base")
    try:
        yield env
    finally:
        buildah("rm", "--all", env=env)
        buildah("rmi", "--all", "--force", env=env)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def settings(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that hand pip's settings of this machine to a build, with the folders that they name."""
    folder = tmp_path_factory.mktemp("pip")
    lines, volumes = ["[global]"], []
    listed = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        name, value = name.rpartition(".")[2], value.strip("'")
        if name in {"index-url", "extra-index-url", "find-links", "trusted-host", "cert"}:
            if name == "cert":
                shutil.copyfile(value, folder / "ca.crt")
                volumes += ["--volume", f"{folder}:/run/machine:ro"]
                value = "/run/machine/ca.crt"
            lines.append(f"{name} = {value}")
            volumes += [
                option
                for path in re.findall(r"(?:file://|(?<!\S))(/[^\s']+)", value)
                if Path(path).is_dir()
                # The pages of an index point at files beside it.
                for place in [Path(path).parent if Path(path).name == "simple" else Path(path)]
                for option in ("--volume", f"{place}:{place}:ro")
            ]
    (folder / "pip.conf").write_text("\n".join(["# THE-MACHINES-OWN", *dict.fromkeys(lines)]) + "\n")
    return ["--pip-conf", str(folder / "pip.conf"), "--", "--layers=false", *volumes]


@contextmanager
def built(name: str, env: dict[str, str], settings: list[str]) -> Iterator[Path]:
    """The files of an image that is built now."""
    command = [str(ROOT / "images/build"), name, "--with", "buildah", "--base", BASE, "--tag", TAG, *settings]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    container = buildah("from", f"localhost/infolens/{name}:{TAG}", env=env)
    try:
        yield Path(buildah("mount", container, env=env))
    finally:
        buildah("rm", container, env=env)


def command_in(root: Path, *options: str, words: list[str]) -> list[str]:
    variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    return [str(ROOT / "images/run"), str(root), *options, "--", "env", *variables, *words]


def run(root: Path, *options: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command_in(root, *options, words=words), capture_output=True, text=True, check=False)


def assert_clean(root: Path) -> None:
    """Nothing of the checkout's history, data and tests is in it, and nothing of this machine's settings."""
    code = root / "opt/infolens"
    for name in (".git", "tests", "benchmarks", "docs", ".env", ".cache/keys", "packages.py"):
        assert not (code / name).exists(), name
    assert not (root / "run/machine").exists() or not list((root / "run/machine").iterdir())
    found = subprocess.run(
        ["grep", "-rlIF", "THE-MACHINES-OWN", "--exclude-dir=proc", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


def test_the_models_are_put_and_checked(env: dict[str, str], settings: list[str], tmp_path: Path) -> None:
    with built("models", env, settings) as root:
        assert_clean(root)
        (root / "models").mkdir(exist_ok=True)
        into = tmp_path / "models"
        into.mkdir()
        os.chown(into, 10001, 10001)
        bind = ("--bind", f"{into}:/models")
        assert run(root, *bind, words=["/usr/local/bin/put", "/models"]).returncode == 0
        assert {path.name for path in into.iterdir()} >= {"SHA256SUMS", "bart", "distilbert", "xlnet"}
        again = run(root, *bind, words=["/usr/local/bin/put", "/models"])
        assert again.returncode == 0, "a pod that starts again over the same folder"
        with (root / "opt/infolens/model_repository/bart/config.pbtxt").open("a") as file:
            file.write("# changed on the way\n")
        broken = run(root, *bind, words=["/usr/local/bin/put", "/models"])
        assert broken.returncode != 0
        assert "bart/config.pbtxt: FAILED" in broken.stdout


def test_serving_answers_an_article(env: dict[str, str], settings: list[str], tmp_path: Path) -> None:
    with built("serving", env, settings) as root:
        assert_clean(root)
        assert {path.name for path in (root / "opt/infolens/sbom").iterdir()} == {"server.cdx.json", "triton.cdx.json"}
        assert run(root, words=["sh", "-c", "touch /opt/infolens/x /x"]).returncode != 0
        run_dir, article = tmp_path / "run", (ROOT / "tests/articles/sports.txt").read_text()
        run_dir.mkdir()
        os.chown(run_dir, 10001, 10001)
        bind = ("--bind", f"{run_dir}:/run/infolens")
        door = [
            "--no-keys",
            "--http-port",
            "0",
            "--grpc-port",
            "0",
            "--metrics-port",
            "0",
            "--ready-file",
            "/run/infolens/ready.json",
        ]
        start = "python -m serving {} --run /run/infolens".format
        with (tmp_path / "log").open("wb") as log:
            parts = [
                subprocess.Popen(
                    command_in(root, *bind, words=["tini", "-s", "--", *start(name).split(), *more]),
                    stdout=log,
                    stderr=log,
                )
                for name, more in (("triton", []), ("door", door))
            ]
            try:
                deadline = time.monotonic() + DEADLINE_S
                while not (run_dir / "ready.json").exists():
                    assert all(part.poll() is None for part in parts), (tmp_path / "log").read_text()[-3000:]
                    assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-3000:]
                    parts[0].poll()
                url = json.loads((run_dir / "ready.json").read_text())["http_url"]
                asked = subprocess.run(
                    command_in(
                        root, *bind, words=["python", "-m", "infolens", "analyze", "--server", url, "--text", article]
                    ),
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert asked.returncode == 0, asked.stderr
                assert "Sports" in asked.stdout
            finally:
                for part in reversed(parts):
                    part.terminate()
                    part.wait(60)


def test_training_and_batch_say_what_they_do(env: dict[str, str], settings: list[str]) -> None:
    with built("batch", env, settings) as root:
        assert_clean(root)
        for words in (
            ["training", "--help"],
            ["training", "fit", "--help"],
            ["training", "evaluate", "--help"],
            ["export", "--help"],
        ):
            done = run(root, words=["python", "-m", *words])
            assert done.returncode == 0, done.stderr
            assert "usage: python -m" in done.stdout
        assert "usage" in run(root, words=["mlflow", "server", "--help"]).stdout.lower()
