"""One entry in a file of the spool: eight digits of its CRC-32, a blank, its JSON in ASCII, and the end of the line."""

from __future__ import annotations

import json
import zlib

from serving.feedback.records import Entry, of_document, to_document


class TornError(Exception):
    """A line is not whole, or not what was written."""


class UnknownEntryError(TornError):
    """A line is whole, and what it says is none of this version's entries: another version has written it."""


def to_line(entry: Entry) -> bytes:
    """The line of an entry; its JSON is ASCII, so that half a character is seen as damage."""
    body = json.dumps(to_document(entry), separators=(",", ":")).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(body), body)


def of_line(line: bytes) -> Entry:
    """The entry of a line.

    Raises:
        UnknownEntryError: It is whole, and this version does not know what it says.
        TornError: There is none.
    """
    sum_, _, body = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or sum_ != b"%08x" % zlib.crc32(body):
        raise TornError("the checksum is another")
    try:
        return of_document(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnknownEntryError("it is no entry that this version knows") from None
