"""What happened: a line for a person on stderr, and a line of JSON in the log."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Final, TextIO

_KEPT: Final = 20


class Journal:
    """Tells events.

    Args:
        path: The log; lines are added to it.
        stream: Where a person reads; stderr if not given.
    """

    def __init__(self, path: Path, stream: TextIO | None = None) -> None:
        self.path = path
        self._stream = stream
        self._last: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        path.parent.mkdir(parents=True, exist_ok=True)

    def tell(self, kind: str, words: str, **fields: Any) -> None:
        """Tell an event.

        Args:
            kind: One word or two for programs, such as ``stub died``.
            words: The same for a person, in one line.
            fields: What else belongs into the log.
        """
        event = {"time": round(time.time(), 3), "kind": kind, "words": words}
        self._last.append(event)
        print(words, file=self._stream or sys.stderr, flush=True)
        # A full disk is no reason to end what serves.
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(event | fields, ensure_ascii=False) + "\n")

    def last(self) -> list[dict[str, Any]]:
        """The last events, the oldest first."""
        return list(self._last)
