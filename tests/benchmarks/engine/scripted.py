"""A side that answers by a script, and articles for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from benchmarks.engine.sides import Answer
from engine.article import Article, Integers
from engine.settings import Settings


def article(number: int, *, beams: int = 1) -> Article:
    return Article(ids=np.array([0, number, 2], np.int32), settings=Settings(max_length=8, num_beams=beams))


def echo(asked: Article) -> Integers:
    """The article itself."""
    return asked.ids.astype(np.int64)


class Scripted:
    """Answers each article on a thread of its own as soon as so many are in flight, or none is to come."""

    def __init__(self, reply: Callable[[Article], Integers | Exception] = echo, *, hold: int = 1) -> None:
        self._reply, self._hold = reply, hold
        self._lock = threading.Lock()
        self._held: list[tuple[Article, Answer]] = []
        self.most = 0
        self.seen: list[Article] = []

    def submit(self, asked: Article, answer: Answer) -> None:
        with self._lock:
            self._held.append((asked, answer))
            self.seen.append(asked)
            self.most = max(self.most, len(self._held))
            if len(self._held) < self._hold:
                return
            now, self._held = self._held, []
        threading.Thread(target=lambda: [told(self._reply(one)) for one, told in reversed(now)]).start()

    def close(self) -> None:
        assert not self._held
