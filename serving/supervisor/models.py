"""Which models there are, which of them each one passes through, and which are ready."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from serving.assembly import BACKENDS, python_based

FAN_OUT: Final = "fan_out"
"""The backend whose models ask the models of their ``branch.<model>`` parameters."""
PYTHON_BASED: Final = python_based(BACKENDS)
"""The backends whose models run in processes of their own, where all of ours are used."""
_BRANCH: Final = "branch."


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model as Triton serves it."""

    name: str
    ensemble: bool
    backend: str
    instances: int
    """Processes that each of its versions has; 0 for an ensemble, and for a backend that runs inside Triton."""
    asks: tuple[str, ...]
    """The steps of an ensemble, the branches of a fan-out in their order, the classifiers of the model of evidence."""
    config: Any
    """Its ``ModelConfig``, a protocol buffer."""

    @property
    def public(self) -> bool:
        """Whether it answers people."""
        return self.ensemble or self.backend == FAN_OUT


def read_model(config: Any, processes: Collection[str] = PYTHON_BASED) -> ServedModel:
    """A model from its ``ModelConfig``.

    Args:
        config: As Triton tells it.
        processes: The backends whose models run in processes of their own.
    """
    ensemble = config.HasField("ensemble_scheduling")
    branches = {key.removeprefix(_BRANCH) for key in config.parameters if key.startswith(_BRANCH)}
    order = config.parameters["order"].string_value if "order" in config.parameters else ""
    asked = tuple(name.strip() for name in order.split(",") if name.strip()) or tuple(sorted(branches))
    return ServedModel(
        name=config.name,
        ensemble=ensemble,
        backend=config.backend,
        instances=_instances(config) if config.backend in processes and not ensemble else 0,
        asks=tuple(step.model_name for step in config.ensemble_scheduling.step) if ensemble else asked,
        config=config,
    )


def _instances(config: Any) -> int:
    """Triton writes into a group of instances which GPUs it is on, and each of them has all."""
    return sum(max(group.count, 1) * max(len(group.gpus), 1) for group in config.instance_group) or 1


def branch_outputs(model: ServedModel, branch: str) -> list[str]:
    """The outputs of a fan-out that come from one of its branches."""
    return list(json.loads(model.config.parameters[f"{_BRANCH}{branch}"].string_value)["outputs"])


def passes_through(models: Mapping[str, ServedModel]) -> dict[str, tuple[str, ...]]:
    """For each model, all that a request to it goes through, directly or not, in the order of their being asked."""

    def walk(name: str, seen: dict[str, None]) -> None:
        for asked in models[name].asks if name in models else ():
            if asked not in seen:
                seen[asked] = None
                walk(asked, seen)

    found: dict[str, tuple[str, ...]] = {}
    for name in models:
        seen: dict[str, None] = {}
        walk(name, seen)
        found[name] = tuple(seen)
    return found


def reasons_with_those_of_others(
    own: Mapping[str, str], through: Mapping[str, Iterable[str]], known: Iterable[str]
) -> dict[str, str]:
    """Why each model is not ready; empty for those that are.

    A model is ready when it and every model that it passes through are.

    Args:
        own: Models that are not ready by themselves, and why.
        through: What each model passes through (`passes_through`).
        known: All models.
    """
    reasons = {}
    names = set(known)
    for name in sorted(names | set(own)):
        ill = [other for other in through.get(name, ()) if other in own or other not in names]
        # The one that is asked last is at the root: an ensemble that was not loaded stands before its step.
        told = f"{ill[-1]}: {own.get(ill[-1], 'there is no such model')}" if ill else ""
        reasons[name] = own.get(name) or told
    return reasons


def verdict(reasons: Mapping[str, str], lasting: Iterable[str], public: Iterable[str]) -> tuple[bool, str]:
    """Whether the whole is ready, and what is not.

    A model that is being healed makes the whole not ready for that time. One that cannot be loaded does not, as long as
    a public model is left: the others serve.

    Args:
        reasons: Why each model is not ready (`reasons_with_those_of_others`).
        lasting: The models that cannot be loaded.
        public: The models that answer people.
    """
    ill = {name: reason for name, reason in reasons.items() if reason}
    broken = set(lasting)
    roots = {name: reason for name, reason in ill.items() if not any(reason == f"{o}: {ill[o]}" for o in ill)}
    words = "; ".join(f"{name}: {reason}" for name, reason in sorted(roots.items()))
    passing = {name for name, reason in ill.items() if name not in broken and not _because_of(reason, broken)}
    serving = [name for name in public if not reasons.get(name)]
    return not passing and bool(serving or not ill), words


def _because_of(reason: str, names: Iterable[str]) -> bool:
    return any(reason.startswith(f"{name}: ") for name in names)
