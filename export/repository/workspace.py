"""The temporary folder of an export, beside the repository, and the free space of its disk."""

from __future__ import annotations

import errno
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from export.errors import RepositoryError
from export.progress import size

_LOG = logging.getLogger(__name__)

_open: Final[set[Path]] = set()
"""The folders of this process: publishing opens a second one inside an export."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WAY_OUT: Final = "make room, or name a --repository on another disk; the repository is as it was before this change"


@contextmanager
def workspace(repository: Path) -> Iterator[Path]:
    """A temporary folder beside the repository, on the same file system and out of Triton's sight; deleted at the end.

    Raises:
        RepositoryError: The folder cannot be made, or the block raised an `OSError`.
    """
    parent = repository.absolute().parent
    folder: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for left in sorted(set(parent.glob(f".{repository.name}-*.partial")) - _open):
            _LOG.warning(
                "%s belongs to an export that is running or was killed; the files that it had moved out of the "
                "repository are in its folder 'old'. Delete it when nothing is missing",
                left,
            )
        folder = Path(tempfile.mkdtemp(prefix=f".{repository.name}-", suffix=".partial", dir=parent))
        _open.add(folder)
        yield folder
    except OSError as error:
        raise _explained(error, repository) from error
    finally:
        if folder is not None:
            _open.discard(folder)
            shutil.rmtree(folder, ignore_errors=True)


def require_space(repository: Path, needed_bytes: int) -> None:
    """Refuse an export for which the disk has no room.

    Raises:
        RepositoryError: The repository's file system has less room than ``needed_bytes``.
    """
    free_bytes = _free_bytes(repository)
    if free_bytes < needed_bytes:
        raise RepositoryError(
            f"the export needs about {size(needed_bytes)} ({needed_bytes} bytes) of disk beside {repository}, and "
            f"{size(free_bytes)} ({free_bytes} bytes) are free; {_WAY_OUT}"
        )


def _free_bytes(repository: Path) -> int:
    parents = repository.absolute().parents
    return shutil.disk_usage(next(folder for folder in parents if folder.is_dir())).free


def _explained(error: OSError, repository: Path) -> RepositoryError:
    if error.errno not in _FULL:
        return RepositoryError(f"{repository} cannot be written: {error}; it is as it was before this change")
    free_bytes = _free_bytes(repository)
    return RepositoryError(
        f"the disk of {repository} took no more ({error.strerror}, with {size(free_bytes)} free, at "
        f"{error.filename or 'a file of the export'}); {_WAY_OUT}"
    )
