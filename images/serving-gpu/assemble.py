"""Puts the Triton of NVIDIA's container in the place of the one of the wheel, when an image for GPUs is built.

The environment is the one that a bare machine has (``python -m serving --set-up-only --target cuda``), so the packages
and the way in which the server is started are the same; the server, its own backends and its stub are the container's.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

from infolens.targets import Target
from operators.library import CACHE
from serving.assembly import assemble
from serving.runtime import Runtime, runtime_of

TRITON: Final = Path("/opt/tritonserver")
"""Where NVIDIA's container has it."""
KEPT: Final = Path("/var/cache/infolens")
"""What was built for a card, where it can be written; a volume, so that the next start finds it."""
NATIVE: Final = ("onnxruntime", "tensorrt")
"""NVIDIA's own backends that run the graphs of classifiers."""
_STUB: Final = "triton_python_backend_stub"
_LIBRARIES: Final = "nvidia_pytriton.libs"


class Classifiers(StrEnum):
    """Which backend runs the graphs of classifiers."""

    OURS = "ours"
    NATIVE = "native"


def replace_triton(runtime: Runtime, triton: Path = TRITON) -> None:
    """Have an environment's server, backends and stub be those of another Triton: links in the places of the wheel's.

    Args:
        runtime: The environment, with the wheel.
        triton: The folder of the other one, with ``bin``, ``lib``, ``caches`` and ``backends/python``.

    Raises:
        FileNotFoundError: That folder lacks a part.
    """
    stubs = runtime.triton / "python_backend_stubs" / runtime.python_version
    links = {
        runtime.server: triton / "bin" / "tritonserver",
        runtime.triton / "backends" / "python": triton / "backends" / "python",
        runtime.triton / "caches": triton / "caches",
        stubs / _STUB: triton / "backends" / "python" / _STUB,
        runtime.site_packages / _LIBRARIES: triton / "lib",
    }
    for target in links.values():
        if not target.exists():
            raise FileNotFoundError(f"{target} is not there: is the base an image of NVIDIA's Triton?")
    shutil.rmtree(runtime.triton)
    shutil.rmtree(runtime.site_packages / _LIBRARIES)
    for listed in runtime.site_packages.glob("nvidia_pytriton-*.dist-info"):
        shutil.rmtree(listed)
    for place, target in links.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)


def use_native(backends: Path, triton: Path = TRITON) -> None:
    """Have NVIDIA's own backends run the graphs of classifiers, beside those of ours that they have no kind of.

    Args:
        backends: The backend directory that `assemble` made.
        triton: As of `replace_triton`.

    Raises:
        FileNotFoundError: The container has none of a name.
    """
    for name in NATIVE:
        if not (theirs := triton / "backends" / name).is_dir():
            raise FileNotFoundError(f"{theirs} is not there: take --classifiers {Classifiers.OURS}, or another base")
        shutil.rmtree(backends / name, ignore_errors=True)
        (backends / name).symlink_to(theirs, target_is_directory=True)


def main() -> None:
    """Make all of it for a target."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", type=Target, choices=[one for one in Target if one.record.on_gpu], required=True)
    parser.add_argument("--classifiers", type=Classifiers, choices=list(Classifiers), required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    runtime = runtime_of(args.target, CACHE)
    replace_triton(runtime)
    # Where NVIDIA's own backend keeps engines of TensorRT: by a relative path, and Triton runs in this folder.
    (runtime.folder / "plans").symlink_to(KEPT, target_is_directory=True)
    backends = assemble(runtime, CACHE)
    if args.classifiers is Classifiers.NATIVE:
        use_native(backends)


if __name__ == "__main__":
    main()
