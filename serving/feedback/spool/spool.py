"""Entries on the disk, in their order: appended at the end, read from the front, forgotten once they are elsewhere.

They lie in *segments*, files that only grow and are removed when all of their entries are elsewhere; a *cursor* says
how far the first of them is done. The cursor is moved after the database has committed: a crash between the two has
entries read again, and the database knows by their ids that it has them. A segment is never continued after a crash, so
that a line that was torn by it stays alone.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from serving.feedback.records import Entry, Prediction

from . import disk
from .folders import Held, hold_left, hold_one
from .lines import TornError, of_line, to_line
from .segments import Segment, about, name_of, read_left

SEGMENT_BYTES: Final = 2**20
"""A segment that is as large is followed by another."""
FOR_PREDICTIONS: Final = 0.75
"""Predictions fill the spool up to this share of it: what people say is rarer, and worth more."""
_MAX_CHUNK_BYTES: Final = 4 * 2**20


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some entries from the front."""

    entries: Sequence[Entry]
    segment: Segment | None
    lines: int
    """So many lines are done once these entries are elsewhere."""
    broken: int = 0
    """So many of them were whole once, and are not any more."""


class Spool:
    """The spool of one door. Its methods may be called from several threads, and may wait for the disk.

    Args:
        folder: The folder of the spool, in which each door has one of its own.
        limit_bytes: It takes no more.
        log: The door's log.

    Attributes:
        limit_bytes: As it was given.
        entries: How many are in it.
        size_bytes: How much of the disk it takes.
        torn: Lines that could not be read.

    Raises:
        FeedbackError: Too many doors use the folder.
        OSError: The folder cannot be used.
    """

    def __init__(self, folder: Path, limit_bytes: int, log: Any) -> None:
        self.limit_bytes = limit_bytes
        self.entries = self.size_bytes = self.torn = 0
        self._folder = folder
        self._log = log
        self._lock = threading.Lock()
        self._segments: deque[Segment] = deque()
        self._current: Segment | None = None
        """What is appended to..."""
        self._file: int | None = None
        """...while it is open."""
        self._closed = self._stuck = False
        self._of: defaultdict[str, int] = defaultdict(int)
        """How many entries there are of each prediction."""
        self._own = hold_one(folder)
        self._held: dict[Path, Held] = {}
        self._number = self._take(self._own)
        if self.entries:
            self._log.info("spool found", entries=self.entries)
        self.adopt()

    @property
    def empty(self) -> bool:
        """Whether nothing is in it."""
        return not self._segments

    def append(self, entries: Sequence[Entry]) -> list[bool]:
        """Keep entries; those that it says it has are on the disk.

        Returns:
            For each whether there was room for it.

        Raises:
            OSError: The disk cannot take them, and has none of them.
        """
        with self._lock:
            if self._closed:
                raise OSError(errno.ESHUTDOWN, "the spool was left")
            used, lines, fits = self.size_bytes, [], []
            for entry in entries:
                line = to_line(entry)
                limit = self.limit_bytes * FOR_PREDICTIONS if isinstance(entry, Prediction) else self.limit_bytes
                fits.append(used + len(line) <= limit)
                if fits[-1]:
                    used += len(line)
                    lines.append((about(entry), line))
            if lines:
                self._append(lines)
            return fits

    def read(self, most: int) -> Chunk:
        """Up to so many entries from the front, which stay there until `advance`.

        Raises:
            OSError: The disk does not give them.
        """
        with self._lock:
            if not self._segments:
                return Chunk(entries=(), segment=None, lines=0)
            segment = self._segments[0]
            lengths: list[int] = []
            for _, length in segment.lines:
                if len(lengths) == most or sum(lengths) + length > max(_MAX_CHUNK_BYTES, length):
                    break
                lengths.append(length)
            predictions = [prediction for prediction, _ in itertools.islice(segment.lines, len(lengths))]
            try:
                body = segment.read(segment.position, sum(lengths))
            except FileNotFoundError:  # somebody has removed it
                body = b""
        entries: list[Entry] = []
        at = broken = 0
        for prediction, length in zip(predictions, lengths, strict=True):
            try:
                entries.append(of_line(body[at : at + length]))
            except TornError:
                broken += bool(prediction)  # others were counted when the folder was read
            at += length
        return Chunk(entries=entries, segment=segment, lines=len(lengths), broken=broken)

    def advance(self, chunk: Chunk) -> None:
        """The entries of a chunk are elsewhere. A disk that cannot say so has them read again after the next start."""
        with self._lock:
            if (segment := chunk.segment) is None or segment not in self._segments:
                return
            done = [segment.lines[index] for index in range(chunk.lines)]
            position = segment.position + sum(length for _, length in done)
            self._tell_torn(segment.path.parent, chunk.broken)
            try:
                if position >= segment.size:
                    disk.remove(segment.path)
                else:
                    segment.write_cursor(position)
            except OSError as error:  # such as a full disk, which has room again once whole segments are removed
                if not self._stuck:
                    self._log.error("spool cannot be written", error=type(error).__name__, words=error.strerror or "")
                self._stuck = True
            else:
                self._stuck = False
            if position >= segment.size:
                self._drop(segment)
            segment.position = position
            for prediction, _ in done:
                segment.lines.popleft()
                self._forget(prediction)

    def of(self, prediction_id: str) -> list[Entry]:
        """The entries of a prediction, in their order.

        Raises:
            OSError: The disk does not give them.
        """
        with self._lock:
            if prediction_id not in self._of:
                return []
            found = []
            for segment in self._segments:
                at = segment.position
                for prediction, length in segment.lines:
                    if prediction == prediction_id:
                        with contextlib.suppress(TornError):
                            found.append(of_line(segment.read(at, length)))
                    at += length
            return found

    def has(self, prediction_id: str) -> bool:
        """Whether there are entries of a prediction; this waits for nothing."""
        return prediction_id in self._of

    def adopt(self) -> None:
        """Take over what doors have left that are gone."""
        for held in hold_left(self._folder):
            with self._lock:
                self._take(held)
                if all(one.path.parent != held.path for one in self._segments):
                    self._held.pop(held.path).release()
            self._log.info("spool taken over", entries=self.entries)

    def close(self) -> None:
        """Leave it as it is, for the next door."""
        with self._lock:
            self._closed = True
            self._end_segment()
            for held in self._held.values():
                held.release()
            self._held.clear()
            self._segments.clear()

    def _append(self, lines: Sequence[tuple[str, bytes]]) -> None:
        content = b"".join(line for _, line in lines)
        if self._file is None or self._current is None:
            self._number += 1
            path = self._own.path / name_of(self._number)
            self._file = disk.make(path)
            self._current = Segment(path=path, size=0)
        segment = self._current
        try:
            disk.append(self._file, content)
        except OSError:
            try:
                disk.cut(self._file, segment.size)
            except OSError:  # what is behind the bytes that count is read by nobody until the next start
                self._end_segment()
            if segment.size == 0:
                self._end_segment()
                with contextlib.suppress(OSError):
                    disk.remove(segment.path)
            raise
        if segment.size == 0:
            self._segments.append(segment)
        segment.size += len(content)
        self.size_bytes += len(content)
        for prediction, line in lines:
            segment.lines.append((prediction, len(line)))
            self._remember(prediction)
        if segment.size >= min(SEGMENT_BYTES, self.limit_bytes // 8):
            self._end_segment()

    def _end_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = self._current = None

    def _drop(self, segment: Segment) -> None:
        if segment is self._current:
            self._end_segment()
        self._segments.remove(segment)
        self.size_bytes -= segment.size
        folder = segment.path.parent
        if folder != self._own.path and all(one.path.parent != folder for one in self._segments):
            self._held.pop(folder).release()

    def _remember(self, prediction: str) -> None:
        self.entries += 1
        self._of[prediction] += 1

    def _forget(self, prediction: str) -> None:
        self.entries -= 1
        self._of[prediction] -= 1
        if not self._of[prediction]:
            del self._of[prediction]

    def _take(self, held: Held) -> int:
        """Take over what a door has left; returns the highest number of a segment that its folder speaks of."""
        left = read_left(held)
        self._held[held.path] = held
        self._segments += left.segments
        for segment in left.segments:
            self.size_bytes += segment.size
            for prediction, _ in segment.lines:
                self._remember(prediction)
        self._tell_torn(held.path, left.torn)
        if left.unknown:
            words = "another version of Info Lens has written them, and keeps what is in them once it runs again"
            self._log.error("spool of another version", folder=str(held.path), files=left.unknown, words=words)
        return left.number

    def _tell_torn(self, folder: Path, lines: int) -> None:
        if lines:
            self.torn += lines
            self._log.error("spool torn", folder=str(folder), lines=lines)
