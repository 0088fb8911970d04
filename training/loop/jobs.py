"""Tasks that are registered at run time, in the other processes of a run: a job carries what they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from infolens.contract import CONTRACTS, Task, register


def task_facts(task: Task) -> dict[str, Any]:
    """The fields of a task's contract, as `infolens.contract.register` takes them; they can be pickled."""
    contract = CONTRACTS[task]
    return {f.name: getattr(contract, f.name) for f in dataclasses.fields(contract) if f.name != "task"}


def task_of(job: Mapping[str, Any]) -> Task:
    """The task of a job, registered in this process if it is not yet.

    Args:
        job: With ``task``, its name, and ``contract``, its `task_facts`; these may be missing where it is known.

    Raises:
        ValueError: It is not known, and the job does not say what it is.
    """
    if job["task"] not in CONTRACTS and job.get("contract"):
        return register(job["task"], **job["contract"])
    return Task(job["task"])
