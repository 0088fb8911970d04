"""The packages of an environment: whether they are there, for which Python, and what keeps one from being imported."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

TRITON: Final = Path("pytriton", "tritonserver")
"""Where Triton's wheel has the server, its backends and the stubs."""
NEEDED: Final = ("numpy", "onnxruntime", "tokenizers")
"""What the backends import."""
NEEDED_ON_GPU: Final = (*NEEDED, "torch")
BRING: Final = """\
import importlib, sys
faults = []
def bring(name):
    try:
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            faults.append(f"{name} is not there")
            return None
        while (below := error.__cause__ or error.__context__) is not None:
            error = below
        words = (str(error).strip().splitlines() or ["no reason was given"])[0]
        faults.append(f"{name} cannot be imported ({type(error).__name__}: {words})")
        return None
"""
"""Begins a script: ``bring`` imports a package and returns it, or None with the reason among ``faults``."""
_EXTENSION: Final = re.compile(r"\.cpython-(\d)(\d+)-")
_WAY_OUT: Final = "name the site-packages folder that Triton's wheel (nvidia-pytriton) was installed into"


def folder_faults(folders: Sequence[Path], packages: Sequence[str] = NEEDED) -> list[str]:
    """What folders of installed packages lack, each with the way out; empty where they lack nothing.

    File names alone are looked at, so a package that is there may still fail when it is imported.

    Args:
        folders: Folders as ``site-packages`` is one, the first of which counts where several have a package.
        packages: Names of the packages that are to be in them.
    """
    if away := [str(folder) for folder in folders if not folder.is_dir()]:
        return [f"there is no folder {' or '.join(away)}: {_WAY_OUT} with --runtime"]
    faults, where = [], " or ".join(map(str, folders))
    if not any((folder / TRITON / "bin" / "tritonserver").is_file() for folder in folders):
        faults.append(f"there is no {TRITON / 'bin' / 'tritonserver'} in {where}: {_WAY_OUT}")
    places = {name: place for name in packages if (place := _place(name, folders)) is not None}
    if missing := [name for name in packages if name not in places]:
        faults.append(
            f"there is no {' and no '.join(missing)} in {where}: install it there (pip install --target), or name "
            "the folder that has it with one more --runtime"
        )
    foreign = {name: pythons for name, place in places.items() if (pythons := _other_pythons(place))}
    if foreign:
        names = ", ".join(f"{name} in {places[name].parent}" for name in foreign)
        wanted = " or ".join(sorted(set().union(*foreign.values())))
        faults.append(
            f"packages must be for the Python that runs this, {_dotted(*sys.version_info[:2])}, and {names} is for "
            f"Python {wanted}: run this with python{wanted.split()[0]}, or name folders of packages for this one"
        )
    return faults


def _place(name: str, folders: Sequence[Path]) -> Path | None:
    paths = (path for folder in folders for path in (folder / name, folder / f"{name}.py"))
    return next((path for path in paths if path.exists()), None)


def _other_pythons(package: Path) -> set[str]:
    """The versions of Python that the compiled modules of a package are for; empty where this one is among them."""
    files = (path for pattern in ("*.cpython-*.so", "*/*.cpython-*.so") for path in package.glob(pattern))
    found = {_dotted(*match.groups()) for path in files if (match := _EXTENSION.search(path.name))}
    return set() if _dotted(*sys.version_info[:2]) in found else found


def _dotted(major: object, minor: object) -> str:
    return f"{major}.{minor}"


def asked(python: str, environment: Mapping[str, str], script: str, *words: str) -> str:
    """What a script that begins with `BRING` says of an environment's packages; empty where it finds no fault.

    Args:
        python: The environment's Python.
        environment: The environment variables.
        script: What follows `BRING`, and puts its words into ``faults`` too.
        words: Its arguments.
    """
    command = [python, "-c", f'{BRING}{script}print("; ".join(faults))\n', *words]
    found = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    if not found.returncode:
        lines = found.stdout.strip().splitlines()
        return lines[-1] if lines else ""
    said = (found.stderr.strip().splitlines() or ["no reason was given"])[-1]
    return f"{python} ended with exit code {found.returncode}: {said}"
