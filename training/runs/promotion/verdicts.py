"""Which of the versions may become the champion, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from .versions import Version, shown


class Standing(StrEnum):
    """What came of a version."""

    CHOSEN = "promoted"
    CHAMPION = "champion"
    PASSED = "good enough"
    REFUSED = "refused"
    LEFT_OUT = "left out"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a newcomer must reach."""

    name: str
    """The figure that decides."""
    margin: float
    """How much better than the champion."""
    at_least: float | None = None
    """The bar; None: what its baseline reaches on the same articles."""
    baseline: str
    """What the baseline is, for people."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A version, its figures where it was compared, and what came of it."""

    version: Version
    standing: Standing
    figure: float | None
    baseline: float | None
    gain: float | None = None
    """Over the champion, in the units of the figure; None where the two were not compared."""
    reason: str

    def as_document(self) -> dict[str, Any]:
        """What ``--json`` prints of it."""
        version = self.version
        return {
            "version": version.number,
            "recorded": version.recorded.isoformat(timespec="seconds"),
            "base": version.base,
            "architecture": version.architecture,
            "aliases": list(version.aliases),
            "test_hash": version.test_hash,
            "figure": self.figure,
            "baseline": self.baseline,
            "gain": self.gain,
            "verdict": self.standing.value,
            "reason": self.reason,
        }


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures on data that was named, in place of those that were recorded."""

    figure: float
    baseline: float | None
    no_baseline: str = ""
    """Why there is none, so that the check is skipped; empty where one was measured."""


def judge_all(
    versions: Sequence[Version],
    champion: Version | None,
    rules: Rules,
    *,
    anchor: Version,
    only: Version | None = None,
    measured: Mapping[int, Measured] | None = None,
) -> list[Judged]:
    """Judge every version beside the champion, and choose the best of those that pass.

    Args:
        versions: All there are, the newest first.
        champion: Who holds the place; None where nobody does.
        rules: What a newcomer must reach.
        anchor: Only versions that were tested on its articles are compared.
        only: The one version that may be chosen; None: any.
        measured: Figures on other data by version's number; only versions that have some are compared then.

    Returns:
        A verdict for each version, in their order; at most one is `Standing.CHOSEN`.
    """
    base = None if champion is None else _figures(champion, measured)[0]
    judged = [_judge(version, champion, base, rules, anchor, only, measured) for version in versions]
    passed = [one for one in judged if one.standing is Standing.PASSED]
    if not passed:
        return judged
    best = max(passed, key=lambda one: (one.figure or 0.0, one.version.number))
    return [_compared(one, best) for one in judged]


def _compared(one: Judged, best: Judged) -> Judged:
    if one is best:
        return replace(one, standing=Standing.CHOSEN)
    if one.standing is Standing.PASSED:
        return replace(one, reason=f"{one.reason}; version {best.version.number} is as good or better")
    return one


def _figures(version: Version, measured: Mapping[int, Measured] | None) -> tuple[float | None, float | None]:
    if measured is None:
        return version.figure, version.baseline
    found = measured.get(version.number)
    return (None, None) if found is None else (found.figure, found.baseline)


def _judge(
    version: Version,
    champion: Version | None,
    champion_figure: float | None,
    rules: Rules,
    anchor: Version,
    only: Version | None,
    measured: Mapping[int, Measured] | None,
) -> Judged:
    figure, baseline = _figures(version, measured)

    def found(standing: Standing, reason: str, gain: float | None = None) -> Judged:
        return Judged(version=version, standing=standing, figure=figure, baseline=baseline, gain=gain, reason=reason)

    if champion is not None and version.number == champion.number:
        return found(Standing.CHAMPION, "is the champion already" + (f"; {version.fault}" if version.fault else ""))
    if version.fault:
        return found(Standing.LEFT_OUT, version.fault)
    if measured is None and version.test_hash != anchor.test_hash:
        return found(Standing.LEFT_OUT, f"was tested on other articles than version {anchor.number}")
    if only is not None and version.number != only.number:
        return found(Standing.LEFT_OUT, f"version {only.number} alone is judged")
    if measured is not None and version.number not in measured:
        return found(Standing.LEFT_OUT, "was not measured on this data; --version judges it")
    assert figure is not None  # noqa: S101 - versions without one have a fault
    gain = None if champion_figure is None else figure - champion_figure
    skipped = "" if measured is None else measured[version.number].no_baseline
    faults: list[str] = []
    reasons: list[str] = []
    for passed, reason in (_bar(figure, baseline, rules, skipped), _gain(gain, rules)):
        (reasons if passed else faults).append(reason)
    if faults:
        return found(Standing.REFUSED, "; ".join(faults), gain)
    return found(Standing.PASSED, "; ".join(filter(None, reasons)), gain)


def _bar(figure: float, baseline: float | None, rules: Rules, skipped: str) -> tuple[bool, str]:
    """Whether a figure reaches the bar, in words."""
    bar, what = (rules.at_least, "the bar") if rules.at_least is not None else (baseline, "its baseline")
    if bar is None and skipped:
        return True, f"not compared with a baseline: {skipped}"
    if bar is None:
        return False, f"no baseline was recorded with it ({rules.baseline}): state the bar with --at-least X"
    if figure < bar:
        return False, f"it is below {what}, {shown(bar)}"
    below = baseline is not None and figure < baseline
    return True, f"it reaches {what}, {shown(bar)}" + (f", below its baseline, {shown(baseline)}" if below else "")


def _gain(gain: float | None, rules: Rules) -> tuple[bool, str]:
    """Whether a gain over the champion is enough, in words."""
    if gain is None:
        return True, ""
    if gain < rules.margin:
        return False, f"a gain of {gain:+.4f}, and {rules.margin:g} is asked for"
    return True, f"a gain of {gain:+.4f}"
