"""The model registry: which version of a task's model is the champion, and when another takes its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.data.tables import load_splits
from training.errors import SettingError, TrackingError
from training.tracking.client import Tracking, open_client
from training.tracking.recording import CHAMPION

from .evaluation import recorded
from .evaluation.gate import Judgement, judge, require_task
from .evaluation.report import Report, read_report
from .promotion.measuring import measure
from .promotion.moving import crown, note_refusals
from .promotion.table import Verdict, done
from .promotion.verdicts import Judged, Measured, Rules, Standing, judge_all
from .promotion.versions import BASELINE_WORDS, SCORES, Version, holder, numbered, shown, some_versions

MARGINS: Final = {AnswerKind.LABELS: 0.002, AnswerKind.TEXT: 0.2}
"""How much better a challenger has to be, unless the user says otherwise."""
TOPS: Final = {AnswerKind.LABELS: 1.0, AnswerKind.TEXT: 100.0}
"""The best figure that there can be."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On which terms a version becomes the champion."""

    margin: float | None = None
    """How much better than the champion, in the units of the task's score; None takes `MARGINS`."""
    at_least: float | None = None
    """The figure that it must reach; None: its baseline's, on the same articles."""
    version: int | None = None
    """The version that is judged; None: the best that was tested on the same articles as the newest."""
    data: str = ""
    """Measure that version, the champion and the baseline anew on this data, instead of what was recorded."""
    evaluation: Path | None = None
    """The served evaluation of the version (the newest where ``version`` is None): a folder, or its JSON document."""
    against: Path | None = None
    """The champion's; None takes what is kept with its run."""
    dry_run: bool = False
    """Change nothing."""

    def __post_init__(self) -> None:
        if self.against is not None and self.evaluation is None:
            raise SettingError(
                "--against is the champion's evaluation; name the challenger's too, with --evaluation PATH"
            )


def promote(task: Task, tracking: Tracking, terms: Terms | None = None, **changes: Any) -> Verdict:
    """Make the best version the champion if it reaches its baseline, and beats the champion on the same test articles.

    With an evaluation it must also be no worse than the champion as both are served (see `evaluation.gate`); it is
    then kept with the new champion's run, where the next promotion finds it. The champion until then gets the alias
    ``previous``.

    Args:
        task: Whose registered model.
        tracking: Where the registry is.
        terms: On which terms.
        changes: Fields of `Terms` that differ from it.

    Returns:
        What came of it; the versions that were refused are tagged with the reason unless it is a dry run.

    Raises:
        TrackingError: There is no such model or version; the champion was tested on different articles and no data is
            named; no evaluation is kept with the champion and none is named.
        SettingError: An evaluation cannot be read, or the two do not compare; the bar is no figure of the task.
        DataError: The data does not fit.
    """
    terms = replace(terms or Terms(), **changes)
    verdict = _promote(task, tracking, terms)
    refused = [one for one in verdict.judged if one.standing is Standing.REFUSED]
    if refused and not terms.dry_run:
        on = f" (measured on {verdict.measured_on})" if verdict.measured_on else ""
        client = open_client(tracking, make_experiment=False)
        note_refusals(client, task, {one.version.number: f"{one.reason}{on}" for one in refused})
    return verdict


def _promote(task: Task, tracking: Tracking, terms: Terms) -> Verdict:
    served = read_report(terms.evaluation) if terms.evaluation else None
    if served is not None:
        require_task(served, task)
    answers = CONTRACTS[task].answers
    if terms.at_least is not None and not 0 <= terms.at_least <= TOPS[answers]:
        raise SettingError(
            f"--at-least {terms.at_least:g}: {SCORES[answers]} of {task.value} goes from 0 to {TOPS[answers]:g}"
        )
    client = open_client(tracking, make_experiment=False)
    rules = Rules(
        name=SCORES[answers],
        margin=MARGINS[answers] if terms.margin is None else terms.margin,
        at_least=terms.at_least,
        baseline=BASELINE_WORDS[answers],
    )
    versions = some_versions(client, task, tracking)
    champion = holder(versions, CHAMPION)
    only = _asked_for(task, versions, terms)
    anchor = only or _newest(versions)
    measured = None
    if terms.data:
        measured = _measure(task, tracking, terms, champion, only or _best(versions, champion, anchor))
    else:
        _require_comparable(task, anchor, champion)
    judged = judge_all(versions, champion, rules, anchor=anchor, only=only, measured=measured)
    verdict = Verdict(
        promoted=False, text="", task=task.value, rules=rules, dry_run=terms.dry_run, judged=tuple(judged),
        measured_on=terms.data,
    )  # fmt: skip
    chosen = next((one for one in judged if one.standing is Standing.CHOSEN), None)
    apart = _apart(versions, anchor) if only is None and measured is None else ""
    if chosen is None:
        return replace(verdict, text=f"{task.value}: {_why_not(judged, champion, only, rules)}{apart}")
    why = _why(chosen, champion, _champion_figure(champion, measured), rules)
    if served is not None and champion is not None:
        judgement = _judged(client, served, champion.registered, terms.against)
        if not judgement.passed:
            refused = replace(chosen, standing=Standing.REFUSED, reason=judgement.text)
            rest = tuple(refused if one is chosen else one for one in judged)
            return replace(verdict, judged=rest, text=f"{task.value}: not promoted. {why}; {judgement.text}")
        why = f"{why}; {judgement.text}"
    if not terms.dry_run:
        if served is not None:
            recorded.keep(client, chosen.version.registered, served)
        crown(client, task, chosen.version, champion, why)
    return replace(verdict, promoted=True, text=f"{task.value}: {done(dry_run=terms.dry_run)} {why}{apart}")


def _asked_for(task: Task, versions: Sequence[Version], terms: Terms) -> Version | None:
    """The one version that is judged, or None where all are."""
    if terms.version is not None:
        return numbered(task, versions, terms.version)
    return _newest(versions) if terms.evaluation is not None else None


def _newest(versions: Sequence[Version]) -> Version:
    """The newest version that can be promoted; the newest of all where none can."""
    return next((one for one in versions if not one.fault), versions[0])


def _best(versions: Sequence[Version], champion: Version | None, anchor: Version) -> Version | None:
    """The version with the best recorded figure on the anchor's articles; the newest of equal ones."""
    alike = [one for one in versions if not one.fault and one.test_hash == anchor.test_hash and one is not champion]
    return max(alike, key=lambda one: (one.figure or 0.0, one.number), default=None)


def _measure(
    task: Task, tracking: Tracking, terms: Terms, champion: Version | None, newcomer: Version | None
) -> dict[int, Measured]:
    if newcomer is None or newcomer is champion or newcomer.fault:
        return {}
    splits = load_splits(terms.data, task, needed=("test",))
    found = {newcomer.number: measure(task, tracking, newcomer, splits, baseline=terms.at_least is None)}
    if champion is not None:
        found[champion.number] = measure(task, tracking, champion, splits, baseline=False)
    return found


def _require_comparable(task: Task, anchor: Version, champion: Version | None) -> None:
    if champion is None or champion is anchor:
        return
    if anchor.test_hash != champion.test_hash:
        raise TrackingError(
            f"{task.value}: versions {anchor.number} and {champion.number} were tested on different articles, so "
            "their figures say nothing about each other: name the frozen test set with --data PATH, or the version to "
            "judge with --version N"
        )
    if champion.figure is None:
        raise TrackingError(
            f"{task.value}: no test figure was recorded with the champion, version {champion.number}: name the frozen "
            "test set with --data PATH"
        )


def _champion_figure(champion: Version | None, measured: Mapping[int, Measured] | None) -> float | None:
    if champion is None:
        return None
    return champion.figure if measured is None else measured[champion.number].figure


def _why(chosen: Judged, champion: Version | None, figure: float | None, rules: Rules) -> str:
    """Why a version was chosen, or would have been."""
    number = chosen.version.number
    if champion is None:
        return f"version {number} is the first champion ({rules.name} {shown(chosen.figure)}); {chosen.reason}"
    return (
        f"version {number} has {rules.name} {shown(chosen.figure)}, "
        f"the champion, version {champion.number}, {shown(figure)}; {chosen.reason}"
    )


def _why_not(judged: Sequence[Judged], champion: Version | None, only: Version | None, rules: Rules) -> str:
    """Why none was chosen: what the best of them lacks."""
    refused = [one for one in judged if one.standing is Standing.REFUSED]
    if refused:
        best = max(refused, key=lambda one: (one.figure or 0.0, one.version.number))
        figures = f"version {best.version.number} has {rules.name} {shown(best.figure)}"
        if champion is not None and best.gain is not None and best.figure is not None:
            figures += f", the champion, version {champion.number}, {shown(best.figure - best.gain)}"
        ways_out = ["--at-least X states another bar"] if "it is below" in best.reason else []
        if best.gain is not None and best.gain < rules.margin:
            ways_out.append("--margin M states another gain")
        return f"not promoted. {figures}: {best.reason}" + (f" ({'; '.join(ways_out)})" if ways_out else "")
    if only is not None and only is not champion:
        return f"not promoted. Version {only.number}: {only.fault}"
    if champion is not None:
        return f"version {champion.number} is the champion already"
    return "not promoted. No version can be: the table says why"


def _apart(versions: Sequence[Version], anchor: Version) -> str:
    """How many versions were left out since their articles are others, empty for none."""
    count = sum(not one.fault and one.test_hash != anchor.test_hash for one in versions)
    were = f"{count} versions were" if count > 1 else "1 version was"
    return f". {were} tested on other articles than version {anchor.number}; --version N judges one" if count else ""


def _judged(client: Any, newcomer: Report, champion: Any, against: Path | None) -> Judgement:
    if against is not None:
        return judge(newcomer, read_report(against))
    with recorded.kept(client, champion) as report:
        return judge(newcomer, report)
