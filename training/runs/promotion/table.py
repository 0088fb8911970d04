"""What a promotion came to, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .verdicts import Judged, Rules, Standing
from .versions import shown


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a promotion."""

    promoted: bool
    """Whether the champion has changed, or would have in a dry run."""
    text: str
    """A sentence or two: what happened, and why."""
    task: str
    rules: Rules
    dry_run: bool = False
    judged: tuple[Judged, ...] = ()
    """Every version, the newest first."""
    compared: bool = True
    """Whether figures decided."""
    measured_on: str = ""
    """The data on which figures were measured anew; empty where they are those of the recording."""

    @property
    def version(self) -> int | None:
        """Which version is the new champion, or would be; None where it stays as it is."""
        return next((one.version.number for one in self.judged if one.standing is Standing.CHOSEN), None)

    def as_document(self) -> dict[str, Any]:
        """The whole as JSON can hold it."""
        return {
            "task": self.task,
            "promoted": self.promoted,
            "dry_run": self.dry_run,
            "version": self.version,
            "text": self.text,
            "figure": self.rules.name,
            "margin": self.rules.margin,
            "at_least": self.rules.at_least,
            "baseline": self.rules.baseline,
            "measured_on": self.measured_on or None,
            "versions": [one.as_document() for one in self.judged],
        }

    def as_text(self) -> str:
        """A table of the versions with a reason for each, and the text."""
        legend = f"{self.rules.name}: {self._tested()}; baseline: {self.rules.baseline}"
        return f"{table(self.judged, self.rules, dry_run=self.dry_run)}\n{legend}\n\n{self.text}"

    def _tested(self) -> str:
        """Which articles the figures rest on."""
        if self.measured_on:
            return f"on {self.measured_on}, anew"
        if not self.compared:
            return "as recorded, for information"
        counts = [one.version.test_articles for one in self.judged if one.standing is not Standing.LEFT_OUT]
        count = f"{max(counts)} " if any(counts) else ""
        return f"as recorded; all that are not left out were tested on the same {count}articles"


def done(*, dry_run: bool) -> str:
    """What is said of a promotion that is made."""
    return "would be promoted (a dry run changes nothing)." if dry_run else "promoted."


def table(judged: Sequence[Judged], rules: Rules, *, dry_run: bool = False) -> str:
    """The versions as a table of fixed width."""
    head = ("version", "recorded (UTC)", "base", rules.name, "baseline", "gain", "verdict")
    rows = [_row(one, dry_run=dry_run) for one in judged]
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def _row(one: Judged, *, dry_run: bool) -> tuple[str, ...]:
    version = one.version
    return (
        f"{version.number} ({', '.join(version.aliases)})" if version.aliases else str(version.number),
        f"{version.recorded:%Y-%m-%d %H:%M}",
        version.built,
        shown(one.figure),
        shown(one.baseline),
        "" if one.gain is None else f"{one.gain:+.4f}",
        said(one, dry_run=dry_run),
    )


def said(one: Judged, *, dry_run: bool = False) -> str:
    """A verdict with its reason, such as ``refused: 0.0380 is below its baseline, 0.4670``."""
    if one.standing is Standing.CHAMPION:
        return one.reason
    word = "would be promoted" if dry_run and one.standing is Standing.CHOSEN else one.standing.value
    return f"{word}: {one.reason}"
