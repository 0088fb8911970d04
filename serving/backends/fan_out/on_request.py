"""Branches that are asked only where a request says so by a parameter: evidence, which is much work."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

if __package__:
    from . import admission
else:  # Triton imports its backend as the module "model", with its folder on the path
    import admission  # type: ignore[import-not-found, no-redef]

TASKS = "evidence_tasks"
"""The parameter by which such a branch is told what else the request asks for."""


def read_flag(parameters: str, name: str) -> bool:
    """Whether a request has a parameter that is true.

    Args:
        parameters: The request's parameters as a JSON object; empty when it has none.
        name: The parameter.

    Raises:
        BadInputError: It is of another type than boolean.
    """
    value = json.loads(parameters).get(name, False) if parameters else False
    if not isinstance(value, bool):
        raise admission.BadInputError(f"the request parameter {name} is true or false, not {json.dumps(value)}")
    return value


def wanted_outputs(outputs: Collection[str], branches: Sequence[admission.Branch], parameters: str) -> frozenset[str]:
    """The outputs that a request wants.

    These are the ones that it names (where it names none, Triton names all), without those of a branch that it would
    have to ask for by a parameter and does not.

    Raises:
        BadInputError: Such a parameter is of another type than boolean.
    """
    unasked = {
        name
        for branch in branches
        if branch.parameter and not read_flag(parameters, branch.parameter)
        for name in branch.outputs
    }
    return frozenset(outputs) - unasked


def notes_for(
    branch: admission.Branch, call: admission.Call, branches: Sequence[admission.Branch]
) -> Mapping[str, str]:
    """What a branch is told beside the inputs: nothing, or for one of these the tasks that the request asks for."""
    if not branch.parameter:
        return {}
    asked = [one.task for one in branches if not one.parameter and call.wanted.intersection(one.outputs)]
    return {TASKS: ",".join(asked)}
