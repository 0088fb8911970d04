"""Folders that may be URLs: ``s3://bucket/path`` through Arrow, anything else that fsspec knows through fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.errors import StorageError


def is_url(place: str) -> bool:
    """Whether a place is a URL, and not a path on this machine."""
    return "://" in place


def resolve(place: str) -> tuple[Any, str]:
    """The Arrow file system of a place and the path in it.

    Raises:
        StorageError: No file system goes by the URL's scheme, or it cannot be reached.
    """
    from pyarrow import fs

    if not is_url(place):
        return fs.LocalFileSystem(), str(Path(place).resolve())
    try:
        filesystem, path = fs.FileSystem.from_uri(place)
    except (ValueError, OSError) as refused:
        try:
            import fsspec

            opened, path = fsspec.core.url_to_fs(place)
        except (ImportError, ValueError, OSError) as error:
            raise StorageError(f"{place}: neither Arrow ({refused}) nor fsspec ({error}) can open it") from error
        filesystem = fs.PyFileSystem(fs.FSSpecHandler(opened))
    return filesystem, str(path)


def check_writable(place: str) -> None:
    """Write, read and delete a small file, before hours of work depend on it.

    Raises:
        StorageError: It did not work.
    """
    filesystem, path = resolve(place)
    probe = f"{path}/.write-test"
    try:
        filesystem.create_dir(path, recursive=True)
        with filesystem.open_output_stream(probe) as stream:
            stream.write(b"infolens")
        filesystem.delete_file(probe)
    except OSError as error:
        way_out = "name another folder with storage=, or make this one writable"
        if is_url(place):
            way_out = "for S3 set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, unless it is Amazon's, AWS_ENDPOINT_URL"
        raise StorageError(f"{place}: cannot be written to: {error}; {way_out}") from error


def upload(folder: Path, place: str) -> None:
    """Copy a folder's files to a place.

    Raises:
        StorageError: The place refused them.
    """
    from pyarrow import fs

    filesystem, path = resolve(place)
    try:
        filesystem.create_dir(path, recursive=True)
        fs.copy_files(str(folder), path, source_filesystem=fs.LocalFileSystem(), destination_filesystem=filesystem)
    except OSError as error:
        raise StorageError(f"{place}: cannot take {folder}: {error}") from error


@contextmanager
def local_copy(place: str) -> Iterator[Path]:
    """A place as a folder on this machine: itself, or a copy that the workers of one machine share."""
    if not is_url(place):
        yield Path(place)
        return
    from ray.train import Checkpoint

    filesystem, path = resolve(place)
    with Checkpoint(path, filesystem).as_directory() as folder:
        yield Path(folder)
