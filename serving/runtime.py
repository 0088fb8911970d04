"""Triton's runtime environment: a virtual environment of its own, made from the pins of its target.

Those are in ``requirements/triton.txt``, and for GPUs in ``requirements/triton-gpu.txt``. One that is installed
already, as on a machine without a network, is taken as it is (`installed_runtime`).

It is apart from the environment of the clients because Triton's Python backend needs numpy below 2. It is built beside
its final place and renamed, under a lock, so that it is either whole or not there.
"""

from __future__ import annotations

import ctypes
import dataclasses
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infolens.targets import Target

from .environment.disk import require_room
from .environment.packages import NEEDED, NEEDED_ON_GPU, TRITON, asked, folder_faults
from .errors import RuntimeSetupError

ROOT: Final = Path(__file__).resolve().parents[1]
REQUIREMENTS: Final = ROOT / "requirements" / "triton.txt"
CACHE: Final = ROOT / ".cache"
PYTHONS: Final = ((3, 11), (3, 12))
"""Versions of Python for which the wheel has a stub and numpy 1 has wheels."""
GLIBC: Final = (2, 35)
"""The oldest C library that Triton's wheel runs on."""

_LAYOUT = 1  # raised when this file changes what it builds
_CHECK = """\
numpy, _, _ = (bring(name) for name in sys.argv[1:])
if numpy and int(numpy.__version__.split(".")[0]) >= 2:
    faults.append(f"numpy must stay below 2, this is {numpy.__version__}")
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """An environment that Triton can run in."""

    folder: Path
    """The virtual environment."""
    libpython: Path
    """The shared library of this Python, which the backend's stub is linked to."""
    installed: tuple[Path, ...] = ()
    """Folders of packages that are installed elsewhere, in the order in which they are searched."""

    @property
    def python_version(self) -> str:
        """Version in the names of folders, such as ``3.11``."""
        return f"{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def site_packages(self) -> Path:
        """Where the packages are; of several folders the one with Triton."""
        for packages in self.installed:
            if (packages / TRITON).is_dir():
                return packages
        return self.folder / "lib" / f"python{self.python_version}" / "site-packages"

    @property
    def triton(self) -> Path:
        """The folder of the wheel that holds the server, its backends and the stubs."""
        return self.site_packages / TRITON

    @property
    def server(self) -> Path:
        """The server's executable."""
        return self.triton / "bin" / "tritonserver"

    @property
    def library_path(self) -> str:
        """The value of ``LD_LIBRARY_PATH``."""
        return os.pathsep.join(map(str, (self.site_packages / "nvidia_pytriton.libs", self.folder / "libpython")))

    @property
    def python(self) -> str:
        """The Python that has these packages."""
        return str(self.folder / "bin" / "python")

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which the server, and so its backends' processes, find all of it."""
        found = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        found["LD_LIBRARY_PATH"] = self.library_path
        found["PATH"] = f"{Path(self.python).parent}{os.pathsep}{found.get('PATH', os.defpath)}"
        # The backends' processes import nothing of the user's.
        found["PYTHONNOUSERSITE"] = "1"
        return found


def runtime_of(target: Target, cache: Path = CACHE, installed: Sequence[Path] = ()) -> Runtime:
    """The runtime environment of a target: the one that is installed already, else the one in ``cache``.

    Raises:
        RuntimeSetupError: As `ensure_runtime` and `installed_runtime`.
    """
    record = target.record
    if installed:
        return installed_runtime(cache, installed, NEEDED_ON_GPU if record.on_gpu else NEEDED)
    pins = [ROOT / "requirements" / file for file in record.requirements]
    return ensure_runtime(cache, *pins, name=record.runtime, about_bytes=record.runtime_bytes)


def installed_runtime(cache: Path, installed: Sequence[Path], packages: Sequence[str] = NEEDED) -> Runtime:
    """An environment whose packages are in folders already; nothing is installed.

    Args:
        cache: Gets a virtual environment that knows these folders, since the backends' Python reads no PYTHONPATH.
        installed: Folders as ``site-packages`` is one, the first of which counts where several have a package: Triton's
            wheel, numpy below 2, onnxruntime, tokenizers, and for summaries on a GPU torch. The packages must be for
            the Python that runs this, which runs the backends too.
        packages: What must be in them, beside Triton.

    Raises:
        RuntimeSetupError: This machine cannot run Triton's wheel, or a package is not there.
    """
    folders = tuple(path.resolve() for path in installed)
    facts = json.dumps([_LAYOUT, sys.version, sys.base_prefix, *map(str, folders)])
    stamp = hashlib.sha256(facts.encode()).hexdigest()
    folder = cache.resolve() / "triton-installed" / stamp[:16]
    runtime = Runtime(folder=folder, libpython=_check_machine(), installed=folders)
    if faults := folder_faults(folders, packages):
        raise RuntimeSetupError("; ".join(faults))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_suffix(".lock")):
        if _stamp_of(folder) != stamp:
            partial = _new_environment(runtime, with_pip=False)
            own = dataclasses.replace(runtime, folder=partial, installed=())
            (own.site_packages / "installed.pth").write_text("".join(f"{path}\n" for path in folders))
            _finish(runtime, partial, stamp)
    _check_packages(runtime, f"the packages in {', '.join(map(str, folders))}")
    return runtime


def ensure_runtime(
    cache: Path = CACHE, *requirements: Path, name: str = "triton", about_bytes: int = 300_000_000
) -> Runtime:
    """The runtime environment in ``cache``, made when it is not there or no longer what ``requirements`` ask for.

    Args:
        cache: Holds it.
        requirements: The files with its pins; by default `REQUIREMENTS`.
        name: The name of its folder.
        about_bytes: What it takes of the disk, for a message.

    Raises:
        RuntimeSetupError: This machine cannot run Triton's wheel, or the packages cannot be installed.
    """
    requirements = requirements or (REQUIREMENTS,)
    runtime = Runtime(folder=cache / name, libpython=_check_machine())
    stamp = _stamp(requirements)
    if _stamp_of(runtime.folder) == stamp:
        return runtime
    if cache.is_dir() and not os.access(cache, os.W_OK):
        raise RuntimeSetupError(
            f"{cache} has no runtime environment for this Python and {_names(requirements)}, and cannot be written: "
            "make it with `python -m serving --set-up-only` as a user who may write there, as an image's build does, "
            "or name another folder with --cache"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / f"{name}.lock"):
        if _stamp_of(runtime.folder) != stamp:  # another process may have made it while this one waited
            _build(runtime, requirements, stamp, about_bytes)
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


def _names(requirements: Sequence[Path]) -> str:
    return " and ".join(path.name for path in requirements)


def _stamp(requirements: Sequence[Path]) -> str:
    try:
        wanted = b"".join(path.read_bytes() for path in requirements)
    except FileNotFoundError as error:
        raise RuntimeSetupError(f"{error.filename} is missing: it pins what Triton runs on") from None
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


def _build(runtime: Runtime, requirements: Sequence[Path], stamp: str, about_bytes: int) -> None:
    begin = time.monotonic()
    log.info("making Triton's runtime environment in %s (about %d MB, once)", runtime.folder, about_bytes // 1_000_000)
    require_room(runtime.folder.parent, about_bytes, f"Triton's runtime environment ({_names(requirements)})")
    own_pip = importlib.util.find_spec("pip") is None
    partial = _new_environment(runtime, with_pip=own_pip)
    python = partial / "bin" / "python"
    # This Python's own pip saves setting one up; either reads the machine's pip settings.
    pip = [str(python), "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", str(python)]
    command = [*pip, "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    command += [word for path in requirements for word in ("-r", str(path))]
    log.info("installing %s", ", ".join(line for path in requirements for line in _packages(path)))
    installed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    if installed.returncode:
        lines = [line for line in installed.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no reason"]
        raise RuntimeSetupError(f"pip could not install {_names(requirements)}: {' '.join(lines[-2:])}")
    _check_packages(dataclasses.replace(runtime, folder=partial), f"the packages of {_names(requirements)}")
    _finish(runtime, partial, stamp)
    log.info("made it in %.0f s", time.monotonic() - begin)


def _new_environment(runtime: Runtime, *, with_pip: bool) -> Path:
    """A virtual environment beside the place of a runtime; it has no packages yet."""
    partial = runtime.folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    venv.create(partial, symlinks=True, with_pip=with_pip)
    return partial


def _finish(runtime: Runtime, partial: Path, stamp: str) -> None:
    """Put a virtual environment, with a link to this Python's library, where the runtime is to be."""
    (partial / "libpython").mkdir()
    if runtime.libpython.is_absolute():
        (partial / "libpython" / runtime.libpython.name).symlink_to(runtime.libpython)
    (partial / "stamp").write_text(stamp)
    shutil.rmtree(runtime.folder, ignore_errors=True)
    partial.rename(runtime.folder)


def _check_packages(runtime: Runtime, which: str) -> None:
    """See that the backends can import what they need."""
    if why := asked(runtime.python, runtime.environment, _CHECK, *NEEDED):
        raise RuntimeSetupError(f"{which} do not work together: {why}")


def _packages(requirements: Path) -> list[str]:
    lines = (line.strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
