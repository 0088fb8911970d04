"""A progress bar that redraws itself in a terminal; elsewhere lines of the log, far enough apart."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol, TypeVar

from training import quiet

logger = logging.getLogger(__name__)

T = TypeVar("T")
REDRAW_S: Final = 1.0
"""The least time between two pictures of a bar: to read a loss off a GPU makes it wait."""
MARK: Final = "infolens-progress "
"""How a line begins by which a worker has the driver draw a bar."""
_LINE_SHARE: Final = 0.1
_LINE_S: Final = 30.0
_LINE_GROWTH: Final = 0.05
"""A line of the log comes each tenth of the whole, or after half a minute and a twentieth of the time so far."""
_SIZE: Final = (80, 24)
"""Columns and lines of a terminal that does not tell its own."""
_PATIENCE_S: Final = 2.0
"""What takes less is not worth a word."""


@dataclass(frozen=True, kw_only=True)
class State:
    """How far something is."""

    what: str
    """What is going on, in a word or two."""
    done: int
    total: int
    text: str
    """The same as a sentence, with figures and the time left."""
    tail: str
    """What stands behind the bar."""


class Display(Protocol):
    """Shows states, not all of them."""

    def due(self, done: int, total: int) -> bool:
        """Whether a state would be shown now."""

    def show(self, state: State) -> None:
        """Show a state."""

    def close(self) -> None:
        """Leave nothing behind."""


class Bar:
    """Draws a bar in the terminal."""

    def __init__(self) -> None:
        self.shown_at = -REDRAW_S
        self.bar: Any = None

    def due(self, done: int, total: int) -> bool:
        """At most one picture in `REDRAW_S`, and the last one."""
        return done >= total or time.monotonic() - self.shown_at >= REDRAW_S

    def show(self, state: State) -> None:
        """Draw it anew, in its place."""
        from tqdm import tqdm

        self.shown_at = time.monotonic()
        if self.bar is None:
            tqdm.monitor_interval = 0  # its thread would redraw what we redraw
            told = min(os.get_terminal_size(sys.stderr.fileno())) > 0
            self.bar = tqdm(
                desc=state.what,
                initial=state.done,
                total=state.total,
                file=sys.stderr,
                leave=False,
                dynamic_ncols=told,
                ncols=None if told else _SIZE[0],
                nrows=None if told else _SIZE[1],
                mininterval=0,
                colour="green" if quiet.coloured() else None,
                bar_format="{desc} {percentage:3.0f}%|{bar:16}| {n_fmt}/{total_fmt}{postfix}",
            )
        self.bar.total, self.bar.n = state.total, state.done
        self.bar.set_description_str(state.what, refresh=False)
        self.bar.set_postfix_str(state.tail, refresh=False)
        self.bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Lines:
    """Writes lines into the log."""

    def __init__(self) -> None:
        self.began = self.shown_at = time.monotonic()
        self.shown = -1

    def due(self, done: int, total: int) -> bool:
        """The first state and the last, and between them each tenth of the whole or when half a minute has passed."""
        if not logger.isEnabledFor(logging.INFO):
            return False
        now = time.monotonic()
        late = now - self.shown_at >= _LINE_S + _LINE_GROWTH * (now - self.began)
        least = 1.0 if done >= total else max(1.0, _LINE_SHARE * total)
        return self.shown < 0 or late or done - self.shown >= least

    def show(self, state: State) -> None:
        """Write the sentence."""
        self.shown_at, self.shown = time.monotonic(), state.done
        logger.info("%s", state.text)

    def close(self) -> None:
        """Lines stay."""


class Relay:
    """Has the driver draw the bar: prints lines that `forwarding` reads there."""

    def __init__(self) -> None:
        self.shown_at = -REDRAW_S

    def due(self, done: int, total: int) -> bool:
        """As a bar."""
        return done >= total or time.monotonic() - self.shown_at >= REDRAW_S

    def show(self, state: State) -> None:
        """Print a line for the driver."""
        self.shown_at = time.monotonic()
        sys.stderr.write(f"{MARK}{json.dumps(asdict(state))}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """The driver closes its bar itself, when the run has ended."""


def display() -> Display:
    """What shows progress to whoever started this process."""
    return Bar() if draws_bar() else Lines()


def draws_bar() -> bool:
    """Whether this process is a command of ours in a terminal."""
    ours = any(isinstance(handler, quiet.LogHandler) for handler in logging.getLogger().handlers)
    return ours and quiet.in_terminal()


class Progress:
    """How far one thing is, from its first part on; with the rate and the time left.

    Args:
        what: What is going on, in a word or two.
        total: Of how many parts.
        sentence: The beginning of a line of the log; knows ``{what}``, ``{done}``, ``{total}`` and ``{share}``.
        unit: What is counted in the rate.
        weight: How many of them a part has.
        done: How many parts were done before.
        patience_s: Nothing is shown before so many seconds have passed.
        shown_by: What shows it; by default what suits this process.
    """

    def __init__(
        self,
        what: str,
        total: int,
        *,
        sentence: str = "{what}: {done} of {total}",
        unit: str = "articles",
        weight: int = 1,
        done: int = 0,
        patience_s: float = 0.0,
        shown_by: Display | None = None,
    ) -> None:
        self.what, self.total, self.sentence, self.unit, self.weight = what, total, sentence, unit, weight
        self.shown_by = shown_by or display()
        self.patience_s = patience_s
        self.began = time.monotonic()
        self.since, self.since_done = self.began, done
        self.first = True

    def due(self, done: int) -> bool:
        """Whether `to` would show something now: then the figures are worth their cost."""
        return time.monotonic() - self.began >= self.patience_s and self.shown_by.due(done, self.total)

    def to(self, done: int, figures: str = "") -> None:
        """Say that so many parts are done.

        Args:
            done: How many.
            figures: What else is to be shown, such as a loss.
        """
        now = time.monotonic()
        if self.due(done):
            tail = ", ".join(part for part in (figures, self._pace(done, now)) if part)
            text = self.sentence.format(what=self.what, done=done, total=self.total, share=done / max(self.total, 1))
            state = State(
                what=self.what, done=done, total=self.total, text=f"{text}; {tail}" if tail else text, tail=tail
            )
            self.shown_by.show(state)
        if self.first and done > self.since_done:  # the first part is slow, and tells little of the others
            self.first, self.since, self.since_done = False, now, done

    def close(self) -> None:
        """Take the bar away."""
        self.shown_by.close()

    def _pace(self, done: int, now: float) -> str:
        parts, elapsed_s = done - self.since_done, now - self.since
        if parts <= 0 or elapsed_s <= 0:
            return ""
        rate = parts / elapsed_s
        left = f", about {duration((self.total - done) / rate)} left" if done < self.total else ""
        counted = rate * self.weight
        return f"{counted:{',.0f' if counted >= 100 else '.3g'}} {self.unit}/s{left}"


def track(items: Iterable[T], what: str, *, total: int = 0, unit: str = "articles", weight: int = 1) -> Iterator[T]:
    """Go through items; what takes longer than a moment shows how far it is.

    Args:
        items: What is gone through.
        what: What is done with them, in a word or two.
        total: How many there are; may be left out for what has a length.
        unit: What is counted in the rate.
        weight: How many of them an item has.
    """
    if not total and isinstance(items, Sized):
        total = len(items)
    sentence = "{what}: {done} of {total}" if weight == 1 else "{what}: {share:.0%}"
    progress = Progress(what, total, sentence=sentence, unit=unit, weight=weight, patience_s=_PATIENCE_S)
    try:
        for number, item in enumerate(items, start=1):
            yield item
            progress.to(number)
    finally:
        progress.close()


def duration(seconds: float) -> str:
    """A time in the unit that suits it: ``40 s``, ``12 min`` or ``2 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
