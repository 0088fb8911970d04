"""Triton's runtime environment: a virtual environment of its own, made from ``requirements/triton.txt``.

It is apart from the environment of the clients because Triton's Python backend needs numpy below 2. It is built beside
its final place and renamed, under a lock, so that it is either whole or not there.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import RuntimeSetupError

ROOT: Final = Path(__file__).resolve().parents[1]
REQUIREMENTS: Final = ROOT / "requirements" / "triton.txt"
CACHE: Final = ROOT / ".cache"
PYTHONS: Final = ((3, 11), (3, 12))
"""Versions of Python for which the wheel has a stub and numpy 1 has wheels."""
GLIBC: Final = (2, 35)
"""The oldest C library that Triton's wheel runs on."""

_LAYOUT = 1  # raised when this file changes what it builds
_CHECK = "import numpy, onnxruntime, tokenizers; raise SystemExit(int(numpy.__version__.split('.')[0]) >= 2)"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """An environment that Triton can run in."""

    folder: Path
    """The virtual environment."""
    libpython: Path
    """The shared library of this Python, which the backend's stub is linked to."""

    @property
    def python_version(self) -> str:
        """Version in the names of folders, such as ``3.11``."""
        return f"{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def site_packages(self) -> Path:
        """Where the packages are."""
        return self.folder / "lib" / f"python{self.python_version}" / "site-packages"

    @property
    def triton(self) -> Path:
        """The folder of the wheel that holds the server, its backends and the stubs."""
        return self.site_packages / "pytriton" / "tritonserver"

    @property
    def server(self) -> Path:
        """The server's executable."""
        return self.triton / "bin" / "tritonserver"

    @property
    def library_path(self) -> str:
        """The value of ``LD_LIBRARY_PATH``."""
        return os.pathsep.join(map(str, (self.site_packages / "nvidia_pytriton.libs", self.folder / "libpython")))


def ensure_runtime(cache: Path = CACHE, requirements: Path = REQUIREMENTS) -> Runtime:
    """The runtime environment in ``cache``, made when it is not there or no longer what ``requirements`` asks for.

    Raises:
        RuntimeSetupError: This machine cannot run Triton's wheel, or the packages cannot be installed.
    """
    runtime = Runtime(folder=cache / "triton", libpython=_check_machine())
    stamp = _stamp(requirements)
    if _stamp_of(runtime.folder) == stamp:
        return runtime
    if cache.is_dir() and not os.access(cache, os.W_OK):
        raise RuntimeSetupError(
            f"{cache} has no runtime environment for this Python and {requirements.name}, and cannot be written: make "
            "it with `python -m serving --set-up-only` as a user who may write there, as an image's build does, or "
            "name another folder with --cache"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / "triton.lock"):
        if _stamp_of(runtime.folder) != stamp:  # another process may have made it while this one waited
            _build(runtime, requirements, stamp)
    return runtime


def _check_machine() -> Path:
    version = sys.version_info[:2]
    if version not in PYTHONS:
        wanted = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        raise RuntimeSetupError(
            f"Triton's runtime needs Python {wanted}, this is {version[0]}.{version[1]} ({sys.executable}): "
            f"run this with python{PYTHONS[0][0]}.{PYTHONS[0][1]}"
        )
    libc, number = platform.libc_ver()
    glibc = tuple(int(part) for part in number.split(".")) if libc == "glibc" else ()
    if (sys.platform, platform.machine()) != ("linux", "x86_64") or glibc < GLIBC:
        raise RuntimeSetupError(
            "Triton's wheel needs Linux on x86-64 with glibc 2.35 or newer (such as Ubuntu 22.04 or Debian 12), "
            f"this is {platform.system()} on {platform.machine()} with {libc or 'another C library'} {number}"
        )
    return _find_libpython()


def _find_libpython() -> Path:
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    library = str(sysconfig.get_config_var("LIBDIR") or "")
    multiarch = str(sysconfig.get_config_var("MULTIARCH") or "")
    for folder in (Path(library), Path(library, multiarch), Path(sys.base_prefix, "lib")):
        if (folder / name).is_file():
            return folder / name
    try:
        ctypes.CDLL(name)
    except OSError:
        raise RuntimeSetupError(
            f"{name} is not to be found for {sys.executable}: Triton's Python backend is linked to it. Install it "
            f"(Debian and Ubuntu: apt install libpython{name[9:13]}), or use a Python built with --enable-shared"
        ) from None
    return Path(name)  # the dynamic linker finds it by itself


def _stamp(requirements: Path) -> str:
    try:
        wanted = requirements.read_bytes()
    except FileNotFoundError:
        raise RuntimeSetupError(f"{requirements} is missing: it pins what Triton runs on") from None
    return hashlib.sha256(json.dumps([_LAYOUT, sys.version, sys.base_prefix]).encode() + wanted).hexdigest()


def _stamp_of(folder: Path) -> str | None:
    try:
        return (folder / "stamp").read_text()
    except FileNotFoundError:
        return None


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that makes Triton's runtime environment")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(runtime: Runtime, requirements: Path, stamp: str) -> None:
    begin = time.monotonic()
    log.info("making Triton's runtime environment in %s (about 300 MB, once)", runtime.folder)
    partial = runtime.folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    own_pip = importlib.util.find_spec("pip") is None
    venv.create(partial, symlinks=True, with_pip=own_pip)
    python = partial / "bin" / "python"
    # This Python's own pip saves setting one up; either reads the machine's pip settings.
    pip = [str(python), "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", str(python)]
    command = [*pip, "--disable-pip-version-check", "install", "--quiet", "--no-deps", "-r", str(requirements)]
    log.info("installing %s", ", ".join(_packages(requirements)))
    installed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    if installed.returncode:
        lines = [line for line in installed.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no reason"]
        raise RuntimeSetupError(f"pip could not install {requirements}: {' '.join(lines[-2:])}")
    if subprocess.run([str(python), "-c", _CHECK], check=False).returncode:  # noqa: S603 (our own words)
        raise RuntimeSetupError(f"the packages of {requirements} do not work together: numpy must stay below 2")
    (partial / "libpython").mkdir()
    if runtime.libpython.is_absolute():
        (partial / "libpython" / runtime.libpython.name).symlink_to(runtime.libpython)
    (partial / "stamp").write_text(stamp)
    shutil.rmtree(runtime.folder, ignore_errors=True)
    partial.rename(runtime.folder)
    log.info("made it in %.0f s", time.monotonic() - begin)


def _packages(requirements: Path) -> list[str]:
    lines = (line.strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
