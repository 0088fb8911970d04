"""The backend directory that Triton loads: its own Python backend and ours, which are built on it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from .errors import RuntimeSetupError
from .runtime import Runtime

BACKENDS: Final = Path(__file__).parent / "backends"
"""Our backends: a folder each, named as ``backend`` in the configurations, with a ``model.py``."""


def assemble(runtime: Runtime, cache: Path) -> Path:
    """Make the backend directory in ``cache``; one that is already there for the same files is used again.

    The folder is named by its contents, so a server that runs keeps the folder it was started with.

    Raises:
        RuntimeSetupError: The wheel has no stub for this version of Python.
    """
    stub = runtime.triton / "python_backend_stubs" / runtime.python_version / "triton_python_backend_stub"
    if not stub.is_file():
        raise RuntimeSetupError(f"Triton's wheel has no stub for Python {runtime.python_version}: use 3.11 or 3.12")
    ours = sorted(BACKENDS.glob("*/model.py"))
    content = b"".join(path.parent.name.encode() + path.read_bytes() for path in ours)
    stamp = (runtime.folder / "stamp").read_bytes()
    folder = cache / "backends" / hashlib.sha256(stamp + content).hexdigest()[:16]
    if folder.is_dir():
        return folder

    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(suffix=".partial", dir=folder.parent))
    partial.chmod(0o755)
    shutil.copytree(runtime.triton / "backends" / "python", partial / "python")
    shutil.copy2(stub, partial / "python")
    for path in ours:
        (partial / path.parent.name).mkdir()
        shutil.copyfile(path, partial / path.parent.name / path.name)
    try:
        partial.rename(folder)
    except OSError:  # another process was first; its folder holds the same
        shutil.rmtree(partial)
    return folder
