"""Run the parts one after another within a time, and keep what they send."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from .children.child import BROKEN, Message, Status
from .children.pool import Children
from .context import Cell, Row, Setting, Skipped
from .plan import Part
from .roofline import Rates

REPORT_S: Final = 10.0
"""Seconds at the end in which the report is written; less in a short run."""
GRACE_S: Final = 3.0
"""A part is told that it ends so many seconds before it is killed; less in a short one."""
SHORTEST_S: Final = 0.2
"""A part that has less time than this is not begun."""


@dataclass(kw_only=True)
class PartResult:
    """What became of a part."""

    part: Part
    limit_s: float
    status: Status = Status.CUT_OFF
    reason: str = "the run was interrupted"
    """Why it is not done; empty where it is."""
    seconds: float = 0.0
    log: str = ""
    """The end of what it printed, where it did not end well."""
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def tables(self) -> dict[str, list[Mapping[str, Cell]]]:
        """The rows by table, in the order in which they came."""
        found: dict[str, list[Mapping[str, Cell]]] = {}
        for row in self.rows:
            found.setdefault(row.table, []).append(row.cells)
        return found


@dataclass(kw_only=True)
class Run:
    """A run so far."""

    card: str
    toy: bool
    parts: Sequence[Part]
    """What it runs, in this order."""
    seconds: float
    """The time that it may take."""
    results: list[PartResult] = field(default_factory=list)
    rates: Rates | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    """Settings of this machine, which the report does not repeat."""
    cut_off: bool = False
    """It was interrupted."""
    took_s: float = 0.0
    method: str = ""
    """How its processes were started."""

    @property
    def tables(self) -> dict[str, list[Mapping[str, Cell]]]:
        """The rows of all parts by table."""
        found: dict[str, list[Mapping[str, Cell]]] = {}
        for result in self.results:
            for table, rows in result.tables.items():
                found.setdefault(table, []).extend(rows)
        return found

    @property
    def broken(self) -> bool:
        """Whether a part failed outright."""
        return any(result.status in BROKEN for result in self.results)


def tell(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def ends(parts: Sequence[Part], begin_s: float, end_s: float) -> list[float]:
    """When each part is to be over: the time between two moments in proportion to the shares.

    What a part leaves goes to the next one, since that ends when it would have ended anyway.
    """
    whole_s, passed_s, found = sum(part.share_s for part in parts), 0.0, []
    for part in parts:
        passed_s += part.share_s
        found.append(begin_s + (end_s - begin_s) * passed_s / whole_s)
    return found


def run_parts(
    run: Run,
    children: Children,
    *,
    began_s: float,
    flush: Callable[[Run], object],
    tell: Callable[[str], None] = tell,
) -> None:
    """Run the parts; all results are in ``run``, also when this raises.

    Args:
        run: Says what to run, and takes the results.
        children: Runs each of them.
        began_s: When the run began, by `time.monotonic`; its time counts from there.
        flush: Called after each part.
        tell: Takes each line of progress.
    """
    end_s = began_s + run.seconds
    report_s = min(REPORT_S, 0.1 * run.seconds)

    def say(words: str) -> None:
        now_s = time.monotonic()
        tell(f"[{now_s - began_s:.0f} s, {max(0.0, end_s - now_s):.0f} s left] {words}")

    try:
        for part, until_s in zip(run.parts, ends(run.parts, time.monotonic(), end_s - report_s), strict=True):
            start_s = time.monotonic()
            result = PartResult(part=part, limit_s=max(0.0, until_s - start_s))
            run.results.append(result)
            try:
                say(f"==> {part.name}: {part.title} (at most {result.limit_s:.0f} s)")
                _run_part(run, result, children, until_s, say)
            finally:
                now_s = time.monotonic()
                result.seconds, run.took_s = now_s - start_s, now_s - began_s
                if result.reason:
                    what = f"the rest of {part.name}"
                    result.skipped.append(Skipped(table=part.name, what=what, reason=result.reason))
                    say(f"{part.name}: {result.status}, {result.reason}")
            flush(run)
    except BaseException:
        run.cut_off = True
        raise


def _run_part(run: Run, result: PartResult, children: Children, until_s: float, say: Callable[[str], None]) -> None:
    if result.limit_s < SHORTEST_S:
        result.status, result.reason = Status.SKIPPED, "no time was left for it"
        return

    def collect(message: Message) -> None:
        if isinstance(message, Row):
            result.rows.append(message)
            say(f"{message.table}: {' '.join(f'{name}={_short(value)}' for name, value in message.cells.items())}")
        elif isinstance(message, Skipped):
            result.skipped.append(message)
            say(f"{message.table}: no {message.what}, {message.reason}")
        elif isinstance(message, Setting):
            run.settings[message.name] = message.value
            say(f"for the parts after this one: {message.name} = {message.value}")
        else:
            run.rates = message
            say(f"rates: {asdict(message)}")

    about = {
        "device": "cpu" if run.toy else "cuda",
        "toy": run.toy,
        "deadline_s": until_s - min(GRACE_S, 0.1 * result.limit_s),
        "rates": run.rates,
        "settings": {**run.given, **run.settings},
    }
    ending = children.run(result.part, about, until_s, collect)
    result.status, result.reason, result.log = ending.status, ending.reason, ending.log
    if result.status is Status.DONE and not result.rows and result.skipped:
        result.status, result.reason = Status.SKIPPED, "nothing was measured"


def _short(value: Cell) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
