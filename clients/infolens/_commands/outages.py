"""Many articles, and a server that goes away in the middle: its return is waited for, and no answer is lost.

Only where it will return: it says so itself (``retry_after_s``), or it has answered before. Pure but for the pauses.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from infolens.errors import InfoLensError, InvalidSettingError, ServerUnavailableError
from infolens.types import Article, Report

from .pages import Page

Item = Article | Page | InfoLensError
Result = Report | InfoLensError
Ask = Callable[[Iterable[Item]], Generator[Result, None, None]]

_PAUSE_S: Final = 0.5
"""Between two questions to a server that does not say when to ask again."""
_LONGEST_PAUSE_S: Final = 2.0


def check_wait(wait_s: float) -> float:
    """Return how long a server is waited for.

    Raises:
        InvalidSettingError: It is no number of seconds.
    """
    if not math.isfinite(wait_s) or wait_s < 0:
        raise InvalidSettingError(f"--wait is a number of seconds from 0 on, not {wait_s!r}; 0 waits for no server")
    return wait_s


@dataclass(slots=True)
class _Place:
    """An article in the line of those that have been taken and whose result has not been given."""

    item: Item
    result: Result | None = None


class Outages:
    """Gives the results of many articles in their order, through outages of the server.

    Args:
        ask: Asks for some articles, and gives their results in order, as `Client.analyze_many`.
        wait_s: How long an outage may last.
        tell: Is told of an outage when it begins.
    """

    def __init__(self, ask: Ask, *, wait_s: float, tell: Callable[[ServerUnavailableError], None]) -> None:
        self._ask = ask
        self._wait_s = check_wait(wait_s)
        self._tell = tell
        self._line: deque[_Place] = deque()
        self._has_answered = False

    def results(self, items: Iterable[Item]) -> Generator[Result, None, None]:
        """The results, in the order of the articles.

        Raises:
            ServerUnavailableError: The server is not there, and does not come back in time.
        """
        source = iter(items)
        while True:
            outage = yield from self._course(source)
            if outage is None:
                return
            yield from self._wait(outage)

    def _course(self, source: Iterator[Item]) -> Generator[Result, None, ServerUnavailableError | None]:
        """Ask for what has no answer, and then for new articles, until there are none or the server is away."""
        asked: deque[_Place] = deque()
        outage: ServerUnavailableError | None = None

        def to_ask() -> Iterator[Item]:
            for place in [place for place in self._line if place.result is None]:
                asked.append(place)
                yield place.item
            while outage is None:
                try:
                    place = _Place(next(source))
                except StopIteration:
                    return
                self._line.append(place)
                asked.append(place)
                yield place.item

        # After an outage has begun, those that are under way are answered or not: they are not asked twice.
        with contextlib.closing(self._ask(to_ask())) as results:
            for result in results:
                place = asked.popleft()
                if isinstance(result, ServerUnavailableError):
                    outage = outage or result
                else:
                    place.result = result
                    self._has_answered |= isinstance(result, Report)
                    yield from self._due()
                if outage is not None and not self._returns(outage):
                    raise outage
        return outage

    def _wait(self, outage: ServerUnavailableError) -> Generator[Result, None, None]:
        """Ask for the first article alone until the server has answered it."""
        end_s = time.monotonic() + self._wait_s
        if self._wait_s > 0:
            self._tell(outage)
        first = self._line[0]
        while first.result is None:
            pause_s = min(outage.retry_after_s or _PAUSE_S, _LONGEST_PAUSE_S)
            if time.monotonic() + pause_s >= end_s:
                raise outage
            time.sleep(pause_s)
            with contextlib.closing(self._ask([first.item])) as results:
                (result,) = results
            if isinstance(result, ServerUnavailableError):
                outage = result
            else:
                first.result = result
        yield from self._due()

    def _due(self) -> Iterator[Result]:
        """The results that are there before the first one that is not."""
        while self._line and (result := self._line[0].result) is not None:
            self._line.popleft()
            yield result

    def _returns(self, error: ServerUnavailableError) -> bool:
        return self._wait_s > 0 and (error.retry_after_s is not None or self._has_answered)
