"""Whether a model can run on a target."""

from __future__ import annotations

from export.repository.artefact import Artefact
from infolens.contract import CONTRACTS, AnswerKind, Task
from infolens.targets import Target


def why_not(artefact: Artefact, target: Target) -> str:
    """Why a model cannot run on a target, as a rule with the value; empty where it can."""
    answers = CONTRACTS[Task(artefact.task)].answers
    writes_texts = answers is AnswerKind.TEXT
    fault = target.record.fault(precision=artefact.precision, writes_texts=writes_texts, form=artefact.form)
    if target is Target.CPU or fault:
        return fault
    # The steps of a search are the same files for all engines; a classifier's graph is written for one.
    if not writes_texts and artefact.target != target:
        return f"its graph was written for {artefact.target}"
    return ""
