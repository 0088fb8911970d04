"""The backend directory that Triton loads: its own Python backend and ours, which are built on it."""

from __future__ import annotations

import hashlib
import itertools
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from infolens.targets import Target
from operators.library import Operators, ensure_operators

from .environment.disk import reason
from .errors import RuntimeSetupError
from .runtime import ROOT, Runtime, runtime_of

BACKENDS: Final = Path(__file__).parent / "backends"
"""Our backends: a folder each, named as ``backend`` in the configurations, with a ``model.py`` and the modules that it
imports from beside it. Triton puts that folder on the path of the backend's process; the modules that stand beside the
folders are for all backends, and each gets a copy."""
READING: Final = ROOT / "reading"
"""The room of how articles are read; its modules are for all backends too."""
ENGINE: Final = ROOT / "engine"
"""The room of the summarizer's engine, and of what opens sessions on GPUs, a package; the backends of `ON_ENGINE` get a
copy of it as a folder."""
ON_ENGINE: Final = ("onnxruntime", "summarizer")
ON_OPERATORS: Final = ("onnxruntime", "summarizer")
"""The backends that run graphs, beside which the native operators lie."""

log = logging.getLogger(__name__)


def prepare(
    cache: Path,
    *,
    target: Target = Target.CPU,
    installed: Sequence[Path] = (),
    operators: bool = True,
    scratch: Path | None = None,
) -> tuple[Runtime, Path]:
    """Make all that a server starts from: its environment, the native operators and the backend directory.

    Args:
        cache: Holds all of it.
        target: What models run on.
        installed: Folders of packages in place of an environment that is made (`installed_runtime`).
        operators: Whether to build the native operators where this machine can run them; they are for CPUs.
        scratch: Gets a backend directory that ``cache`` lacks, which may then be read-only; None for ``cache`` itself.

    Raises:
        RuntimeSetupError: This machine cannot run Triton, or its packages cannot be installed.
    """
    runtime = runtime_of(target, cache, installed)
    operators = operators and not target.record.on_gpu
    native = ensure_operators(cache) if operators else Operators(reason="the native ones are switched off")
    log.info("operators: %s", native)
    return runtime, assemble(runtime, cache, native.path, scratch=scratch)


def python_based(folder: Path) -> frozenset[str]:
    """The backends of a backend directory whose models run in processes of their own, rather than inside Triton.

    Args:
        folder: What `assemble` made; NVIDIA's own ``onnxruntime`` in the place of ours is not among them.
    """
    return frozenset({"python", *(path.parent.name for path in folder.glob("*/model.py"))})


def assemble(runtime: Runtime, cache: Path, operators: Path | None = None, *, scratch: Path | None = None) -> Path:
    """Make the backend directory in ``cache``; one that is already there for the same files is used again.

    The folder is named by its contents, so a server that runs keeps the folder it was started with.

    Args:
        runtime: The environment that Triton runs in.
        cache: Holds the folder.
        operators: The library of native operators, which goes beside the backends of `ON_OPERATORS`.
        scratch: As in `prepare`.

    Raises:
        RuntimeSetupError: The wheel has no stub for this version of Python, or the folder cannot be written.
        FileExistsError: A backend has a module of the name of one that all backends get.
    """
    stub = runtime.triton / "python_backend_stubs" / runtime.python_version / "triton_python_backend_stub"
    if not stub.is_file():
        raise RuntimeSetupError(f"Triton's wheel has no stub for Python {runtime.python_version}: use 3.11 or 3.12")
    ours, shared, engine = _sources()
    content = b"".join(f"{path.parent.name}/{path.name}".encode() + path.read_bytes() for path in (*shared, *ours))
    content += b"".join(str(path.relative_to(ROOT)).encode() + path.read_bytes() for path in engine)
    if operators is not None:
        content += operators.read_bytes()
    stamp = (runtime.folder / "stamp").read_bytes()
    name = hashlib.sha256(stamp + content).hexdigest()[:16]
    folder = cache / "backends" / name
    if folder.is_dir():
        return folder
    if scratch is not None:
        folder = scratch / "backends" / name
        if folder.is_dir():
            return folder

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(suffix=".partial", dir=folder.parent))
    except OSError as error:
        raise _not_written(folder.parent, error) from error
    try:
        partial.chmod(0o755)
        shutil.copytree(runtime.triton / "backends" / "python", partial / "python")
        shutil.copy2(stub, partial / "python")
        _copy_ours(partial, operators)
    except FileExistsError:
        raise
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _not_written(folder.parent, error) from error
    try:
        partial.rename(folder)
    except OSError:  # another process was first; its folder holds the same
        shutil.rmtree(partial)
    return folder


def _sources() -> tuple[list[Path], list[Path], list[Path]]:
    """The files of our backends, those that all backends get, and those of the engine."""
    shared = [path for room in (BACKENDS, READING) for path in sorted(room.glob("*.py")) if path.stem != "__init__"]
    return sorted(BACKENDS.glob("*/*.py")), shared, sorted(ENGINE.rglob("*.py"))


def _copy_ours(partial: Path, operators: Path | None) -> None:
    ours, shared, engine = _sources()
    for path in ours:
        (partial / path.parent.name).mkdir(exist_ok=True)
        shutil.copyfile(path, partial / path.parent.name / path.name)
    for path, name in itertools.product(shared, {path.parent.name for path in ours}):
        with (partial / name / path.name).open("xb") as copy:
            copy.write(path.read_bytes())
    for path, name in itertools.product(engine, ON_ENGINE):
        target = partial / name / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    if operators is not None:
        for name in ON_OPERATORS:
            shutil.copyfile(operators, partial / name / "operators.so")


def _not_written(folder: Path, error: OSError) -> RuntimeSetupError:
    return RuntimeSetupError(
        f"the backends cannot be written into {folder}: {reason(error)}. Make room there and see that this user may "
        "write, or name another folder with --cache"
    )
