"""Builds the library of native operators with the machine's C++ compiler, once, or says why it cannot be used."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NATIVE: Final = Path(__file__).parent / "native"
CACHE: Final = Path(__file__).resolve().parents[1] / ".cache"
FILE_NAME: Final = "operators.so"
FLAGS: Final = (
    *("-std=c++17", "-O3", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"),
    # GCC 12 warns about its own header of intrinsics.
    *("-Wno-uninitialized", "-Wno-maybe-uninitialized"),
    *("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mfma"),
)
_NEEDED: Final = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"})
_IGNORE_AMX: Final = "-DINFOLENS_IGNORE_AMX"
"""Makes the library offer its kernels on a processor with AMX too."""
_CPU: Final = Path("/proc/cpuinfo")
_BUILD_S: Final = 300
_NO_COMPILER: Final = "there is no C++ compiler (Debian and Ubuntu: apt install g++), or CXX does not name one"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Operators:
    """The library, or why there is none."""

    path: Path | None = None
    reason: str = ""
    """Why ONNX Runtime's standard operators run instead; empty if there is a library."""

    def __str__(self) -> str:
        return "native (AVX-512 VNNI)" if self.path else f"ONNX Runtime's own, since {self.reason}"


def ensure_operators(cache: Path = CACHE, *, ignore_amx: bool = False) -> Operators:
    """Return the library for this machine in ``cache``, building it if it is missing.

    One that `build_ahead` has left there is taken as it is, without a compiler. It never raises: where the library
    cannot be built or used, the result has the reason, and the same models run on ONNX Runtime's own operators.
    ``CXX`` names the compiler; ``c++`` by default.

    Args:
        cache: Where libraries are kept.
        ignore_amx: Return one on a processor with AMX too, to measure it beside ONNX Runtime's own operators there.
    """
    reason = _unsuitable(ignore_amx=ignore_amx)
    if reason:
        return Operators(reason=reason)
    ahead = _ahead(cache)
    if ahead.is_file() and not ignore_amx:
        return Operators(path=ahead)
    compiler = shutil.which(os.environ.get("CXX") or "c++")
    if compiler is None:
        return Operators(reason=_NO_COMPILER)
    try:
        return Operators(path=_built(compiler, cache / "operators", (*FLAGS, _IGNORE_AMX) if ignore_amx else FLAGS))
    except (OSError, subprocess.SubprocessError) as error:
        return Operators(reason=str(error))


def build_ahead(cache: Path = CACHE) -> Path:
    """Build the library for another machine, such as those that an image runs on, whatever this processor is.

    What runs it asks `ensure_operators`, which looks at the processor there before it names the library.

    Args:
        cache: Gets the library.

    Raises:
        OSError: There is no C++ compiler, or it cannot build the library.
        subprocess.SubprocessError: The compiler takes too long, or cannot say its version.
    """
    compiler = shutil.which(os.environ.get("CXX") or "c++")
    if compiler is None:
        raise OSError(_NO_COMPILER)
    library = _ahead(cache)
    library.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_built(compiler, cache / "operators", FLAGS), partial := library.with_suffix(".partial"))
    partial.chmod(0o755)
    return partial.rename(library)


def _unsuitable(*, ignore_amx: bool) -> str:
    """Why this machine cannot use the library; empty if it can."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return f"the native ones are for Linux on x86-64, and this is {platform.system()} on {platform.machine()}"
    try:
        lines = _CPU.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        return f"the processor is not known: {error}"
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    missing = sorted(_NEEDED - flags)
    if missing:
        return f"this processor lacks {', '.join(missing)}"
    if "amx_int8" in flags and not ignore_amx:  # Not measured yet.
        return "this processor has AMX, which ONNX Runtime's own products use and the native ones do not"
    return ""


def _sources() -> list[Path]:
    return sorted(path for path in NATIVE.iterdir() if path.suffix in {".cc", ".h"})


def _ahead(cache: Path) -> Path:
    """Where `build_ahead` leaves the library of these sources: no compiler is in its name, since none need be there."""
    digest = hashlib.sha256(repr(FLAGS).encode())
    for source in _sources():
        digest.update(source.name.encode() + source.read_bytes())
    return cache / "operators" / f"ahead-{digest.hexdigest()[:16]}" / FILE_NAME


def _built(compiler: str, folder: Path, flags: Sequence[str]) -> Path:
    sources = _sources()
    digest = hashlib.sha256(repr((tuple(flags), compiler, _version(compiler))).encode())
    for source in sources:
        digest.update(source.name.encode() + source.read_bytes())
    library = folder / digest.hexdigest()[:16] / FILE_NAME
    if library.is_file():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    log.info("building the native operators with %s (once, some seconds)", compiler)
    number, name = tempfile.mkstemp(suffix=".partial", dir=library.parent)
    os.close(number)
    partial = Path(name)
    try:
        command = [compiler, *flags, "-o", str(partial), *(str(path) for path in sources if path.suffix == ".cc")]
        done = subprocess.run(  # noqa: S603 - the user's compiler
            command, capture_output=True, text=True, check=False, timeout=_BUILD_S
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line] or ["it gave no reason"]
            raise OSError(f"{compiler} cannot build them: {errors[0]}")
        partial.chmod(0o755)
        partial.rename(library)
    finally:
        partial.unlink(missing_ok=True)
    return library


def _version(compiler: str) -> str:
    done = subprocess.run(  # noqa: S603 - the user's compiler
        [compiler, "--version"], capture_output=True, text=True, check=True, timeout=_BUILD_S
    )
    return done.stdout
