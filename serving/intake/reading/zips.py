"""ZIP files, of which DOCX and XLSX are two: looked over before anything in them is unpacked.

How bombs are built: D. Fifield, "A better zip bomb", WOOT 2019. Declared sizes bound what `zipfile` unpacks.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import Final

from serving.intake.errors import ReadError

_MIB: Final = 2**20
_ENTRY: Final = b"PK\x01\x02"
_RATIO_FROM_BYTES: Final = _MIB
_DOCTYPE: Final = tuple(
    word.encode(codec) for word in ("<!DOCTYPE", "<!ENTITY") for codec in ("utf-8", "utf-16-le", "utf-16-be")
)
_ENCRYPTED: Final = 0x1
_UTF_8: Final = 0x800
_MAX_NAME_CHARS: Final = 128
"""As long as the id of an article may be."""


@dataclass(frozen=True, kw_only=True)
class ZipLimits:
    """What an archive may be."""

    max_entries: int = 2_000
    max_entry_bytes: int = 16 * _MIB
    max_total_bytes: int = 64 * _MIB
    """All of it, unpacked."""
    max_ratio: int = 200
    """How many times smaller an entry above 1 MiB may be packed; text comes to 3 to 30 times, tables to 100."""


LIMITS: Final = ZipLimits()


def open_zip(data: bytes, limits: ZipLimits = LIMITS) -> zipfile.ZipFile:
    """An archive in memory, of no more entries than may be.

    Raises:
        ReadError: It is broken, or has too many.
    """
    if data.count(_ENTRY) > limits.max_entries:  # zipfile would make an object of each
        raise ReadError(
            f"an archive may have at most {limits.max_entries:,} entries, and this one has more: send it in parts"
        )
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        raise ReadError("this archive is broken or cut short: pack it anew, and send all of it") from None


def fault_of(info: zipfile.ZipInfo, limits: ZipLimits = LIMITS) -> str | None:
    """Why an entry is not unpacked; None where it may be."""
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted: pack it without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is packed in an unusual way: pack it as ZIP with the usual method (deflate)"
    if info.file_size > limits.max_entry_bytes:
        return f"it has {info.file_size:,} bytes unpacked, and may have {limits.max_entry_bytes:,}: send less at a time"
    if info.file_size > max(_RATIO_FROM_BYTES, limits.max_ratio * max(1, info.compress_size)):
        return (
            f"it is more than {limits.max_ratio} times as large unpacked as it is packed, which nothing is that was "
            "written: leave it out"
        )
    return None


def unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry that `fault_of` finds nothing wrong with.

    Raises:
        ReadError: It is broken.
    """
    try:
        with archive.open(info) as file:
            return file.read(info.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        raise ReadError("it is broken, or is not what its archive says of it: pack it anew") from None


def check_office(archive: zipfile.ZipFile, what: str, limits: ZipLimits = LIMITS) -> None:
    """Look over the whole of a document before it is handed to a library that unpacks it.

    Args:
        archive: The document.
        what: What to call it.
        limits: What it may be.

    Raises:
        ReadError: A part of it may not be unpacked, all are too large together, or one declares entities (XML bombs).
    """
    total = sum(info.file_size for info in archive.infolist())
    if total > limits.max_total_bytes:
        raise ReadError(
            f"{what} may have at most {limits.max_total_bytes:,} bytes unpacked, and this one has {total:,}: "
            "save it without its pictures"
        )
    for info in archive.infolist():
        if (fault := fault_of(info, limits)) is not None:
            raise ReadError(f"a part of {what} cannot be read: {fault}")
        if re.search(r"(?i)\.(xml|rels|vml)$", info.filename):
            content = unpack(archive, info)
            if any(word in content for word in _DOCTYPE):
                raise ReadError(
                    f"{what} has no document type or entities of its own (XML), and this one has: save it anew"
                )


def name_of(info: zipfile.ZipInfo) -> str:
    """The name of an entry: UTF-8 where it is, whether the archive says so or not. It is a label, never a path."""
    name = info.filename
    if not info.flag_bits & _UTF_8:
        try:
            name = name.encode("cp437").decode()
        except (UnicodeEncodeError, UnicodeDecodeError):
            name = info.filename
    name = "".join(char if char.isprintable() else " " for char in name).strip()
    return name[-_MAX_NAME_CHARS:] or "entry"
