"""The files of the spool: what each holds, how far it is done, and what a door has left of them."""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from serving.feedback.records import Entry, Prediction

from . import disk
from .folders import ENDING, Held
from .lines import TornError, UnknownEntryError, of_line

_CURSOR: Final = "cursor.json"


@dataclass(eq=False, kw_only=True, slots=True)
class Segment:
    """One file."""

    path: Path
    size: int
    """Bytes that count; a write that failed may have left more behind them."""
    position: int = 0
    """Bytes whose entries are elsewhere."""
    lines: deque[tuple[str, int]] = field(default_factory=deque)
    """The prediction of each entry that is still here (empty for a line that is torn), and the length of its line."""

    def read(self, position: int, length: int) -> bytes:
        """Some bytes.

        Raises:
            OSError: The disk does not give them.
        """
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, length, position)
        finally:
            os.close(file)

    def write_cursor(self, position: int) -> None:
        """Say on the disk how far it is done.

        Raises:
            OSError: The disk cannot take that.
        """
        content = json.dumps({"segment": self.path.name, "position": position})
        disk.replace(self.path.with_name(_CURSOR), content.encode())


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a door has left in its folder."""

    segments: list[Segment]
    """Those with entries, in their order."""
    number: int
    """The highest number of a segment that the folder speaks of."""
    torn: int
    """Lines that cannot be read."""
    unknown: int
    """Files that another version of this program has written: they stay as they are, for that version."""


def name_of(number: int) -> str:
    """The name of the file of a segment."""
    return f"{number:08}{ENDING}"


def about(entry: Entry) -> str:
    """The id of the prediction that an entry is about."""
    return entry.id if isinstance(entry, Prediction) else entry.prediction


def read_left(held: Held) -> Left:
    """Read what a door has left; files without entries are removed, and what this version does not know is left there.

    Raises:
        OSError: They cannot be read.
    """
    name, position = _read_cursor(held.path / _CURSOR)
    number, torn, unknown, segments = _number(name), 0, 0, []
    for path in held.segments():
        number = max(number, _number(path.name))
        body = path.read_bytes()
        done = position if path.name == name and position <= len(body) else 0
        segment = Segment(path=path, size=len(body), position=done)
        try:
            torn += _read_lines(segment, body)
        except UnknownEntryError:
            unknown += 1
            continue
        if segment.lines:
            segments.append(segment)
        else:
            disk.remove(path)
    return Left(segments=segments, number=number, torn=torn, unknown=unknown)


def _read_lines(segment: Segment, body: bytes) -> int:
    """Find the lines that are still to be done; returns how many of them cannot be read."""
    torn = 0
    for line in body[segment.position :].splitlines(keepends=True):
        try:
            prediction = about(of_line(line))
        except UnknownEntryError:
            raise
        except TornError:
            prediction, torn = "", torn + 1
        segment.lines.append((prediction, len(line)))
    return torn


def _number(name: str) -> int:
    stem = name.removesuffix(ENDING)
    return int(stem) if stem.isdecimal() else 0


def _read_cursor(path: Path) -> tuple[str, int]:
    """The segment whose first bytes are done, and how many; one that cannot be read has everything read again."""
    try:
        document = json.loads(path.read_bytes())
        return str(document["segment"]), int(document["position"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", 0
