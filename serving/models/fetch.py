"""Bring a folder of models here by the list of its hashes, all of it or nothing.

What the folder lacks comes into a folder within it, each file held against its hash as it comes. Once all are there
they are renamed into place, and the list last. So a fetch that fails, or whose process is killed before that, leaves
the folder as it was; one that is killed among the renames (no file is moved but by its name) leaves a list that does
not fit, and the next fetch puts it right.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from serving.errors import ModelsError

from .source import Opener, open_source, shown
from .sums import CHUNK_BYTES, LIST, MAX_LIST_BYTES, STAGING, check_pin, digest, files_of, parse_sums

ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 0.5
_TELL_EVERY_S: Final = 5.0
_OF_THIS_MACHINE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
Pause = Callable[[float], object]
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """What is to be fetched, and where to."""

    source: str
    """A folder, ``s3://bucket/prefix`` or another URL."""
    folder: Path
    """Made where it is not there yet."""
    pin: str | None = None
    """The SHA-256 that the list must have; None to believe whatever list the source has."""
    jobs: int = 8
    """How many files come at the same time."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What came of it."""

    files: int
    """How many the list has."""
    downloaded: int
    deleted: int
    """Files of the list before, which this one does not have."""
    bytes_downloaded: int


class _EndedError(Exception):
    """Another file has failed, and this one is of no use any more."""


class Progress:
    """Tells people how far it is; used by several threads.

    Args:
        tell: Gets a line.
        now: A clock that only goes forward, in seconds.
    """

    def __init__(self, tell: Callable[[str], object], *, now: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._now = now
        self._lock = threading.Lock()
        self._next_s = now() + _TELL_EVERY_S
        self._done = 0
        self._ended = False
        self.total = 0
        self.bytes = 0

    def more(self, size_bytes: int) -> None:
        """Some bytes have come."""
        with self._lock:
            if self._ended:
                raise _EndedError
            self.bytes += size_bytes
            if self._now() >= self._next_s:
                self._next_s = self._now() + _TELL_EVERY_S
                self._tell(f"{self._done} of {self.total} files, {self.bytes / 1e6:,.1f} MB so far")

    def end(self) -> None:
        """Have whoever reports that more has come give up."""
        with self._lock:
            self._ended = True

    def done(self, name: str) -> None:
        """A file is here."""
        with self._lock:
            self._done += 1
            self._tell(f"{name} ({self._done} of {self.total})")

    def again(self, name: str, reason: object, pause_s: float) -> None:
        """A file is asked for again."""
        with self._lock:
            if self._ended:
                raise _EndedError
            self._tell(f"{name}: {reason}; asking again in {pause_s:g} s")


def fetch(asked: Fetch, progress: Progress, *, pause: Pause = time.sleep) -> Fetched:
    """Bring a folder of models here.

    Args:
        asked: What, and where to.
        progress: Told how far it is.
        pause: Waits for some seconds.

    Raises:
        ModelsError: The list or a file cannot be had or is not what it must be, or the folder has what no list names.
            The folder is as it was then.
    """
    opener = open_source(asked.source)
    try:
        asked.folder.mkdir(parents=True, exist_ok=True)
        with _alone(asked.folder):
            return _fetch(asked, opener, progress, pause)
    except OSError as error:
        raise ModelsError(f"{asked.folder} cannot be written: {error}") from error


def _fetch(asked: Fetch, opener: Opener, progress: Progress, pause: Pause) -> Fetched:
    folder, where = asked.folder, f"{shown(asked.source).rstrip('/')}/{LIST}"
    content = _read_list(asked.source, opener, progress, pause)
    check_pin(content, asked.pin, where)
    sums = parse_sums(content, where)
    there = set(files_of(folder))
    gone = sorted(there - set(sums))
    _check_known(folder, gone)
    _check_kinds(folder, sums)
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)  # of a fetch that was killed
    staging.mkdir()
    try:
        (staging / LIST).write_bytes(content)  # before anything is changed: a full disk is told here
        with ThreadPoolExecutor(asked.jobs, thread_name_prefix="models") as pool:
            fits = pool.map(lambda name: name in there and _fits(folder / name, sums[name]), sums)
            lacking = [name for name, fit in zip(sums, fits, strict=True) if not fit]
            progress.total = len(lacking)
            jobs = [pool.submit(_bring, opener, name, sums[name], staging, progress, pause) for name in lacking]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:
                progress.end()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        for name in lacking:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(folder / name)
        for name in gone:
            (folder / name).unlink()
            _prune((folder / name).parent, folder)
        (staging / LIST).replace(folder / LIST)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Fetched(files=len(sums), downloaded=len(lacking), deleted=len(gone), bytes_downloaded=progress.bytes)


def _read_list(source: str, opener: Opener, progress: Progress, pause: Pause) -> bytes:
    def read() -> bytes:
        content = b""
        with opener(LIST) as file:
            # To its end: a connection that broke before it is told by the last question alone.
            while len(content) <= MAX_LIST_BYTES and (piece := file.read(CHUNK_BYTES)):
                content += piece
        return content

    try:
        return _patiently(read, LIST, progress, pause)
    except FileNotFoundError:
        raise ModelsError(
            f"{shown(source)} has no {LIST}: make it with `python -m serving models sums DIR`, and copy DIR there then"
        ) from None


def _bring(opener: Opener, name: str, expected: str, staging: Path, progress: Progress, pause: Pause) -> None:
    path = staging / name
    path.parent.mkdir(parents=True, exist_ok=True)

    def bring() -> str:
        with opener(name) as file, path.open("wb") as copy:
            return digest(file, into=copy, told=progress.more)

    try:
        found = _patiently(bring, name, progress, pause)
    except FileNotFoundError:
        raise ModelsError(
            f"the source has no {name}, which its {LIST} names: copy the folder there as a whole, and the list last"
        ) from None
    if found != expected:
        raise ModelsError(
            f"{name} must have the SHA-256 {expected}, and has {found}: the source was changed after its {LIST} was "
            "made, or is being changed; nothing was taken from it"
        )
    progress.done(name)


def _patiently(ask: Callable[[], Result], name: str, progress: Progress, pause: Pause) -> Result:
    """Ask a source until it answers; what is not there, and a full disk, are no reason to ask again."""
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in _OF_THIS_MACHINE:
                raise
            if attempt == ATTEMPTS - 1:
                raise ModelsError(f"{name} could not be had in {ATTEMPTS} attempts: {error}") from None
            pause_s = FIRST_PAUSE_S * 2**attempt
            progress.again(name, error, pause_s)
            pause(pause_s)
    raise AssertionError("the last attempt returns or raises")


def _fits(path: Path, expected: str) -> bool:
    with path.open("rb") as file:
        return digest(file) == expected


def _check_known(folder: Path, gone: list[str]) -> None:
    """What the new list does not name may be deleted if the list before does."""
    if not gone:
        return
    before: Mapping[str, str] = {}
    with suppress(FileNotFoundError, ModelsError):
        before = parse_sums((folder / LIST).read_bytes(), LIST)
    if unknown := [name for name in gone if name not in before]:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise ModelsError(
            f"{folder} may have only what a list names, and nobody knows {', '.join(unknown[:3])}{more}: delete it, or "
            "fetch into an empty folder"
        )


def _check_kinds(folder: Path, sums: Mapping[str, str]) -> None:
    for name in (*sums, LIST):
        path = folder
        for part in name.split("/")[:-1]:
            path /= part
            if path.is_file():
                raise ModelsError(f"{name} needs the folder {path}, where a file is: delete it, or fetch elsewhere")
        if (folder / name).is_dir():
            raise ModelsError(f"{name} is a file, and {folder / name} a folder: delete it, or fetch elsewhere")


def _prune(folder: Path, root: Path) -> None:
    """Delete folders that have become empty."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelsError(
                f"one fetch at a time writes {folder}, and another does so now: wait for its end"
            ) from None
        yield
    finally:
        os.close(handle)
