"""Text files as they come: compressed with gzip or not, in UTF-8, in what their first bytes say, or as a setting says.

Bytes that are no text in that encoding are refused with their place; nothing is replaced or left out.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, TextIO, cast

GZIP: Final = b"\x1f\x8b"
_NO_TEXT: Final = {
    GZIP: "is compressed twice: unpack it once",
    b"PK\x03\x04": "is a zip archive, as Excel's workbooks are: unpack it, or save the table as CSV",
    b"\xd0\xcf\x11\xe0": "is a workbook of an old Excel: save the table as CSV",
    b"PAR1": "is a parquet file: give it the ending .parquet",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it, or compress it with gzip",
    b"BZh": "is compressed with bzip2: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "is compressed with xz: unpack it, or compress it with gzip",
}
"""First bytes -> what such a file is, and the way out."""
_RULE: Final = "Name the encoding of the file with --encoding"
_BLOCK_BYTES: Final = 1 << 16


def encoding_fault(name: str) -> str:
    """What is wrong with the name of an encoding, as a rule; empty where nothing is. No name at all is fine."""
    try:
        # Refuses codecs of other things than text, such as base64.
        io.TextIOWrapper(io.BytesIO(), encoding=name or None).close()
        codecs.getincrementaldecoder(name or "utf-8")
    except (LookupError, ValueError):
        return f"encoding is a name such as cp1252, latin-1, utf-16 or shift_jis, not {name!r}"
    return ""


@contextlib.contextmanager
def open_text(path: Path, encoding: str = "") -> Iterator[TextIO]:
    """Open a text file, with its line breaks as they are.

    Args:
        path: The file; whether it is compressed is told by its first bytes, not by its name.
        encoding: As a setting names it; empty: what the first bytes say (UTF-8, or UTF-16 and UTF-32 with or without
            the mark at their beginning).

    Raises:
        ValueError: It is no text in that encoding; the message says where, and what to do.
        OSError: It cannot be read.
    """
    if fault := encoding_fault(encoding):
        raise ValueError(fault)
    with _open_bytes(path) as file:
        head = file.read(8)
    for first, what in _NO_TEXT.items():
        if head.startswith(first):
            raise ValueError(f"it {what}")
    if encoding:
        name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    else:
        name = json.detect_encoding(head)
    with io.TextIOWrapper(_open_bytes(path), encoding=name, newline="") as text:
        try:
            yield text
        except UnicodeError as error:
            raise ValueError(_fault(path, name) or str(error)) from error


def _open_bytes(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where they are compressed."""
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")


def _fault(path: Path, encoding: str) -> str:
    """Where a file is no text in an encoding, and the way out."""
    decoder = codecs.getincrementaldecoder(encoding)()
    fed, line = 0, 1
    with _open_bytes(path) as file:
        while True:
            block = file.read(_BLOCK_BYTES)
            waiting = len(decoder.getstate()[0])
            try:
                line += decoder.decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, "replace")
                place = f"line {line + before.count(chr(10))}, byte {fed - waiting + error.start}"
                said = f"{place}: 0x{error.object[error.start]:02x} is no text in {encoding.removesuffix('-sig')}. "
                return said + _way_out(error.object[max(0, error.start - 15) : error.start + 15])
            except UnicodeError as error:  # of the whole stream, such as a mark that is missing
                return f"{error}. {_RULE}, or leave it out"
            if not block:
                return ""
            fed += len(block)


def _way_out(passage: bytes) -> str:
    """Which encoding to name for a file with this passage in it."""
    try:
        read = passage.decode("cp1252")
    except UnicodeDecodeError:
        read = ""
    if read and all(sign.isprintable() or sign in "\r\n\t" for sign in read):
        return f"{_RULE}: cp1252 reads that place as {read!r}"
    return f"{_RULE}, such as cp1252, utf-16 or shift_jis"
