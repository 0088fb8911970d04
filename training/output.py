"""Where a run writes: beside its checkpoint folder, which is there only when it is whole."""

from __future__ import annotations

from pathlib import Path

from .errors import TrainingError


def work_folder(out: Path) -> Path:
    """The folder ``<out>.partial``, which becomes ``out`` at the end; a run that was cut off may have left it.

    Raises:
        TrainingError: ``out`` is there already.
    """
    if out.exists():
        raise TrainingError(f"{out}: is there already; name another folder with --out, or move it away")
    return out.with_name(out.name + ".partial")
