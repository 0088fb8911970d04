"""How far a command is with its articles, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from infolens.errors import InfoLensError


class Progress:
    """How far the articles are: a counter on stderr, where that is a terminal, and a last word when they end early.

    Args:
        names: Of the articles.
        way_on: How to go on when they end early; None where that is with the first one that has no result.
    """

    def __init__(self, names: Sequence[str], way_on: str | None = None) -> None:
        self._names = names
        self._way_on = way_on
        self._done = 0
        self.failed = 0
        """Articles that have no answer, or with ``--partial`` not all of it."""
        self._shown = len(names) > 1 and sys.stderr.isatty()

    def __enter__(self) -> None:
        self._draw()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.clear()
        if isinstance(error, InfoLensError | KeyboardInterrupt) and 0 < self._done < len(self._names):
            left = len(self._names) - self._done
            way_on = self._way_on or (
                f"go on with {self._names[self._done]}{' and those after it' if left > 1 else ''}"
            )
            error.add_note(
                f"of {len(self._names):,} articles {self._done - self.failed:,} were answered, {self.failed:,} failed, "
                f"and {left:,} have no result; {way_on}"
            )

    def advance(self, *, failed: bool) -> None:
        self._done += 1
        self.failed += failed
        self._draw()

    def clear(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")

    def _draw(self) -> None:
        if self._shown:
            filled = 30 * self._done // len(self._names)
            bar = "#" * filled + "." * (30 - filled)
            self._write(f"[{bar}] {self._done}/{len(self._names)}")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
