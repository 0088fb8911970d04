"""Going back to an earlier champion."""

from __future__ import annotations

from dataclasses import replace

from infolens.contract import CONTRACTS, Task
from training.errors import TrackingError
from training.tracking.client import Tracking, open_client
from training.tracking.recording import CHAMPION

from .moving import crown
from .table import Verdict, done
from .verdicts import Judged, Rules, Standing
from .versions import BASELINE_WORDS, PREVIOUS, SCORES, Version, holder, numbered, some_versions


def go_back(task: Task, tracking: Tracking, *, version: int | None = None, dry_run: bool = False) -> Verdict:
    """Make an earlier version the champion again, without comparing the two.

    Args:
        task: Whose registered model.
        tracking: Where the registry is.
        version: Which one; None takes the champion before this one (the alias `PREVIOUS`).
        dry_run: Change nothing.

    Raises:
        TrackingError: There is no such version.
    """
    client = open_client(tracking, make_experiment=False)
    kind = CONTRACTS[task].answers
    versions = some_versions(client, task, tracking)
    champion = holder(versions, CHAMPION)
    chosen = holder(versions, PREVIOUS) if version is None else numbered(task, versions, version)
    if chosen is None:
        raise TrackingError(
            f"{task.value}: no version has the alias {PREVIOUS!r}, which the champion before the present one gets; say "
            "which one with --version N"
        )
    fault = "is the champion already" if chosen is champion else chosen.fault
    why = f"back to version {chosen.number}" + (f" from version {champion.number}" if champion else "")
    why += ", without a comparison"
    verdict = Verdict(
        promoted=not fault,
        text=f"{task.value}: not promoted. Version {chosen.number}: {fault}",
        task=task.value,
        rules=Rules(name=SCORES[kind], margin=0.0, baseline=BASELINE_WORDS[kind]),
        dry_run=dry_run,
        compared=False,
        judged=tuple(_at_rest(one, chosen, champion, why) for one in versions),
    )
    if fault:
        return verdict
    if not dry_run:
        crown(client, task, chosen, champion, why)
    return replace(verdict, text=f"{task.value}: {done(dry_run=dry_run)} {why[0].upper()}{why[1:]}")


def _at_rest(one: Version, chosen: Version, champion: Version | None, why: str) -> Judged:
    """The verdict on a version where none is compared with another."""
    standing, reason = Standing.LEFT_OUT, f"version {chosen.number} alone was asked for"
    if one is champion:
        standing, reason = Standing.CHAMPION, "was the champion" if one is not chosen else "is the champion already"
    elif one.fault:
        reason = one.fault
    elif one is chosen:
        standing, reason = Standing.CHOSEN, why
    return Judged(version=one, standing=standing, figure=one.figure, baseline=one.baseline, reason=reason)
