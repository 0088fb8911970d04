"""The list of a folder's files with their hashes, ``SHA256SUMS``, in the form of ``sha256sum``.

What a list says is believed of nothing but the hashes: a name from it becomes a path only if it stays in its folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from serving.errors import ModelsError

LIST: Final = "SHA256SUMS"
STAGING: Final = ".infolens-fetch"
"""Where a fetch keeps what it has until all of it is there; it is no part of a folder."""
MAX_LIST_BYTES: Final = 4 * 2**20
MAX_FILES: Final = 10_000
CHUNK_BYTES: Final = 2**20
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_HEX: Final = re.compile(r"[0-9a-f]{64}")


def parse_sums(content: bytes, shown: str) -> dict[str, str]:
    """The hashes that a list has, by name, in its order.

    Args:
        content: The list.
        shown: Where it comes from, for messages.

    Raises:
        ModelsError: It is none, names a file twice, or names one that does not stay in the folder.
    """
    if len(content) > MAX_LIST_BYTES:
        raise ModelsError(f"{shown} has at most {MAX_LIST_BYTES:,} bytes, and this has more: it is no list of models")
    try:
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ModelsError(f"{shown} is UTF-8, and this is not ({error.reason} at byte {error.start})") from None
    sums: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ModelsError(
                f"{shown} has lines of a SHA-256, two spaces and a name, and line {number} is {line!r:.80}: make it "
                "with `python -m serving models sums`"
            )
        digest, name = found.groups()
        if words := why_not_a_name(name):
            raise ModelsError(f"line {number} of {shown} names {name!r:.80}, which {words}: do not trust this list")
        if name in sums:
            raise ModelsError(f"{shown} names each file once, and {name} stands there again in line {number}")
        sums[name] = digest
    if len(sums) > MAX_FILES:
        raise ModelsError(f"{shown} has at most {MAX_FILES:,} files, not {len(sums):,}")
    for name in sums:
        for folder in _above(name):
            if folder in sums:
                raise ModelsError(f"{shown} has {folder} as a file, and {name} in a folder of that name")
    return sums


def why_not_a_name(name: str) -> str:
    """Why a name cannot be that of a file in a list; empty if it can.

    Args:
        name: As it stands in the list, with slashes.
    """
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        return "leaves the folder"
    if any(part in ("", ".") for part in parts):
        return "is not the shortest way to write the path"
    if not name.isprintable() or "\\" in name:
        return "has a character that no name here may have"
    if parts[0] in (LIST, "lost+found") or parts[0].startswith(STAGING):
        return "is a name that the list itself, a fetch or the file system needs"
    if any(len(part.encode()) > 255 for part in parts) or len(name.encode()) > 1024:
        return "is longer than a name may be"
    return ""


def check_pin(content: bytes, pin: str | None, shown: str) -> None:
    """Hold a list against the hash that it must have, if one is given.

    Raises:
        ModelsError: It has another one.
    """
    found = hashlib.sha256(content).hexdigest()
    if pin is not None and found != pin:
        raise ModelsError(
            f"{shown} must have the SHA-256 {pin}, and has {found}: it was changed after that was written down; find "
            "out by whom before you give the new one to --sha256"
        )


def check_hex(text: str) -> str:
    """A SHA-256 in hexadecimal digits, in small letters.

    Raises:
        ValueError: It is none.
    """
    if _HEX.fullmatch(text.lower()) is None:
        raise ValueError(f"a SHA-256 has 64 hexadecimal digits, and '{text:.80}' is none")
    return text.lower()


def files_of(folder: Path) -> Iterator[str]:
    """The names of all files of a folder, but for a list and what a fetch has begun.

    Raises:
        ModelsError: There is a link, or something that is neither file nor folder, or a folder cannot be read.
    """
    return (str((here / name).relative_to(folder)) for here, _, files in _walk(folder) for name in files)


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder, what folders and what files are in it."""

    def refused(error: OSError) -> None:
        raise ModelsError(f"{folder} is looked through as a whole, and {error.filename} cannot be read: {error}")

    for where, folders, files in os.walk(folder, onerror=refused):
        here = Path(where)
        if here == folder:
            folders[:] = [name for name in folders if name != "lost+found" and not name.startswith(STAGING)]
            files = [name for name in files if name != LIST and not name.startswith(STAGING)]
        for name in files + folders:
            path = here / name
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                kind = "a link" if stat.S_ISLNK(mode) else "no file"
                raise ModelsError(f"a folder of models has files alone, and {path} is {kind}: put the file there")
        yield here, folders, files


def digest(file: BinaryIO, *, into: BinaryIO | None = None, told: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file, which is read once, in pieces.

    Args:
        file: Read to its end.
        into: Gets the same bytes.
        told: Called with the size of each piece, in bytes.
    """
    sum_ = hashlib.sha256()
    while piece := file.read(CHUNK_BYTES):
        sum_.update(piece)
        if into is not None:
            into.write(piece)
        if told is not None:
            told(len(piece))
    return sum_.hexdigest()


def write_sums(folder: Path) -> tuple[int, str]:
    """Write the list of a folder into it.

    Returns:
        How many files it has, and its own SHA-256.

    Raises:
        ModelsError: There is no file, a folder with nothing in it, or one that a list cannot have.
    """
    if not folder.is_dir():
        raise ModelsError(f"the models are a folder, and {folder} is none")
    sums: dict[str, str] = {}
    for name in files_of(folder):
        if words := why_not_a_name(name):
            raise ModelsError(f"{folder} has the file {name!r}, which {words}: rename it")
        with (folder / name).open("rb") as file:
            sums[name] = digest(file)
    if not sums:
        raise ModelsError(f"there is no file in {folder}: name the folder that holds the models")
    for where, folders, files in _walk(folder):
        if not folders and not files:
            raise ModelsError(
                f"a list has files alone, so that the empty folder {where} would be missing where it is fetched: put "
                "an empty file .gitkeep into it, or delete it"
            )
    content = format_sums(sums)
    parse_sums(content, LIST)  # nothing is written that could not be fetched
    place(folder / LIST, content)
    return len(sums), hashlib.sha256(content).hexdigest()


def format_sums(sums: Mapping[str, str]) -> bytes:
    """A list as a file has it."""
    return "".join(f"{value}  {name}\n" for name, value in sorted(sums.items())).encode()


def place(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it into it."""
    fresh = path.with_name(f"{STAGING}.{secrets.token_hex(4)}")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _above(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))
