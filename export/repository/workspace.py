"""Room for the files of an export: a folder beside the repository, and the disk that it stands on."""

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

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WAY_OUT: Final = "make room, or name a --repository on another disk; the repository is as it was before"


@contextmanager
def workspace(repository: Path) -> Iterator[Path]:
    """A folder on the repository's file system, beside it so that Triton does not see it; deleted at the end.

    Raises:
        RepositoryError: The folder cannot be made, or the block raised an `OSError`.
    """
    parent = repository.absolute().parent
    folder: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for left in sorted(parent.glob(f".{repository.name}-*.partial")):
            _LOG.warning(
                "%s is of an export that is under way or was killed; what it had moved away is in its folder 'old'. "
                "Delete it when nothing is missing",
                left,
            )
        folder = Path(tempfile.mkdtemp(prefix=f".{repository.name}-", suffix=".partial", dir=parent))
        yield folder
    except OSError as error:
        raise _explained(error, repository) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def require_space(repository: Path, needed_bytes: int) -> None:
    """Refuse to begin what cannot be finished.

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
        return RepositoryError(f"{repository} cannot be written: {error}; it is as it was before")
    free_bytes = _free_bytes(repository)
    return RepositoryError(
        f"the disk of {repository} took no more ({error.strerror}, with {size(free_bytes)} free, at "
        f"{error.filename or 'a file of the export'}); {_WAY_OUT}"
    )
