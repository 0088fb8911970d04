"""Folders that may be URLs: ``s3://bucket/path`` through Arrow, anything else that fsspec knows through fsspec."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from training.errors import StorageError

WHOLE: Final = "trainer_state.json"
"""The trainer writes it last: a checkpoint that has it is whole."""


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


def run_folder(place: str, work: Path, key: str) -> str:
    """Where a run on Ray keeps its checkpoints; two runs that write to two folders share nothing.

    Args:
        place: The storage, a path or URL.
        work: The run's folder on this machine.
        key: Of what it trains on.
    """
    return f"{place.rstrip('/')}/run-{_name(work)}-{key}"


def prepared_folder(place: str, work: Path, key: str) -> str:
    """Where the workers of other machines find what they train on; arguments as for `run_folder`."""
    return f"{place.rstrip('/')}/prepared-{_name(work)}-{key}"


def _name(work: Path) -> str:
    return work.name.removesuffix(".partial")


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


def upload(folder: Path, place: str, *, leave_out: Collection[str] = ()) -> None:
    """Copy a folder's files to a place; ``leave_out`` names files that are not copied.

    Raises:
        StorageError: The place refused them.
    """
    from pyarrow import fs

    filesystem, path = resolve(place)
    try:
        filesystem.create_dir(path, recursive=True)
        local = fs.LocalFileSystem()
        if not leave_out:
            fs.copy_files(str(folder), path, source_filesystem=local, destination_filesystem=filesystem)
            return
        for file in folder.rglob("*"):
            if file.is_file() and file.name not in leave_out:
                target = f"{path}/{file.relative_to(folder).as_posix()}"
                filesystem.create_dir(target.rpartition("/")[0], recursive=True)
                fs.copy_files(str(file), target, source_filesystem=local, destination_filesystem=filesystem)
    except OSError as error:
        raise StorageError(f"{place}: cannot take {folder}: {error}") from error


def download(filesystem: Any, path: str, folder: Path, *, without: str) -> None:
    """Copy a folder's files to this machine.

    Args:
        filesystem: Of Arrow.
        path: The folder in it.
        folder: Where to; made anew.
        without: Files whose names begin so are left out.

    Raises:
        OSError: One cannot be read, or not be written here.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for info in _files(filesystem, path):
        if info.base_name.startswith(without):
            continue
        target = folder / info.path.removeprefix(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        with filesystem.open_input_stream(info.path) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)


def size_bytes(place: str) -> int:
    """How large the files of a folder are together; 0 where there is none.

    Raises:
        StorageError: The place cannot be opened.
        OSError: It cannot be listed.
    """
    return sum(info.size or 0 for info in _files(*resolve(place)))


def in_bytes(count: int) -> str:
    """A size in bytes for people."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def remove(place: str) -> int:
    """Delete a folder with all that is in it; returns how many bytes that were.

    Raises:
        StorageError: The place cannot be opened.
        OSError: It cannot be listed, or something in it not be deleted.
    """
    from pyarrow import fs

    filesystem, path = resolve(place)
    freed = sum(info.size or 0 for info in _files(filesystem, path))
    if filesystem.get_file_info(path).type == fs.FileType.Directory:
        filesystem.delete_dir(path)
    return freed


def _files(filesystem: Any, path: str) -> list[Any]:
    from pyarrow import fs

    found = filesystem.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    return [info for info in found if info.type == fs.FileType.File]


def newest_step(place: str) -> int:
    """The step of the newest whole checkpoint in a folder; 0 where there is none.

    Raises:
        StorageError: The place cannot be opened.
        OSError: It cannot be listed.
    """
    whole = [info.path.split("/")[-2] for info in _files(*resolve(place)) if info.base_name == WHOLE]
    return max((int(name.rpartition("-")[2]) for name in whole), default=0)


def upload_checkpoint(steps: Path, name: str, place: str) -> None:
    """Copy the checkpoint ``steps/name`` to ``place/name``, and remove from there those that ``steps`` has no more.

    What says that a checkpoint is whole is copied last.

    Raises:
        StorageError: The place refused it.
    """
    from pyarrow import fs

    upload(steps / name, f"{place}/{name}", leave_out=(WHOLE,))
    filesystem, path = resolve(place)
    try:
        with filesystem.open_output_stream(f"{path}/{name}/{WHOLE}") as stream:
            stream.write((steps / name / WHOLE).read_bytes())
        for found in filesystem.get_file_info(fs.FileSelector(path)):
            if found.type == fs.FileType.Directory and not (steps / found.base_name).exists():
                filesystem.delete_dir(found.path)
    except OSError as error:
        raise StorageError(f"{place}: cannot take {steps / name}: {error}") from error


def fetch_checkpoints(place: str, steps: Path) -> None:
    """Copy the whole checkpoints of a place, which `upload_checkpoint` has filled, to ``steps`` unless some are there.

    The state of each names the best one by its path; here it gets the path in ``steps``.

    Raises:
        StorageError: The place cannot be read.
    """
    from pyarrow import fs

    if any(steps.glob(f"checkpoint-*/{WHOLE}")):
        return
    filesystem, path = resolve(place)
    try:
        for found in filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True)):
            if filesystem.get_file_info(f"{found.path}/{WHOLE}").type != fs.FileType.File:
                continue
            folder = steps / found.base_name
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            fs.copy_files(found.path, str(partial), source_filesystem=filesystem)
            state = json.loads((partial / WHOLE).read_text(encoding="utf-8"))
            if best := state["best_model_checkpoint"]:
                state["best_model_checkpoint"] = str(steps / Path(best).name)
            (partial / WHOLE).write_text(json.dumps(state, indent=2), encoding="utf-8")
            partial.rename(folder)
    except OSError as error:
        raise StorageError(f"{place}: its checkpoints cannot be read: {error}") from error


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
