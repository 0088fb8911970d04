"""What a front door tells of itself over HTTP beside Triton's own protocol: `/readyz` and `/v1/models`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from infolens.types import Lineage, ServedTask, ServerStatus

READY_PATH: Final = "/readyz"
MODELS_PATH: Final = "/v1/models"


def with_about(status: ServerStatus, ready: bytes, models: bytes) -> ServerStatus:
    """A server's state with what it tells of itself, as far as it does: older servers tell nothing.

    Args:
        status: What Triton's protocol says.
        ready: The answer to `READY_PATH`, whatever its status.
        models: The answer to `MODELS_PATH`, whatever its status.
    """
    verdict, listed = read_object(ready), read_object(models).get("models")
    if isinstance(verdict.get("ready"), bool):
        # Of the models that serve a task: what else the server has does not keep an article from being answered.
        named = _mapping(verdict, "models")
        told = {name: named[name] for name in status.models if isinstance(named.get(name), Mapping)}
        status = replace(
            status,
            server_ready=status.server_ready and verdict["ready"],
            reason=_text(verdict, "reason"),
            models={**status.models, **{name: one.get("ready") is True for name, one in told.items()}},
            reasons={name: _text(one, "reason") for name, one in told.items() if _text(one, "reason")},
        )
    tasks, labels = {}, {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and (task := _text(one, "task")):
            tasks[task] = read_served(task, one)
            if isinstance(one.get("labels"), list):
                labels[task] = tuple(map(str, one["labels"]))
    return replace(status, tasks=tasks, labels={**status.labels, **labels})


def read_served(task: str, one: Mapping[str, Any]) -> ServedTask:
    """What answers a task, by an entry of `MODELS_PATH`."""
    longest = one.get("max_tokens")
    return ServedTask(
        task=task,
        model=_text(one, "model"),
        version=_text(one, "version"),
        revision=_text(one, "revision"),
        max_tokens=longest if isinstance(longest, int) else None,
        what_it_is=_text(one, "is"),
        what_it_is_not=_text(one, "is_not"),
        card=_text(one, "card"),
        lineage=_lineage(one["lineage"]) if isinstance(one.get("lineage"), Mapping) else None,
    )


def _lineage(told: Mapping[str, Any]) -> Lineage:
    texts = ("registered_model", "registered_version", "run_id", "base", "recipe_hash", "git_revision")
    return Lineage(
        **{name: _text(told, name) for name in texts},
        data_hash={split: _text(_mapping(told, "data_hash"), split) for split in _mapping(told, "data_hash")},
        test=_figures(told, "test"),
        baseline=_figures(told, "baseline"),
    )


def _figures(told: Mapping[str, Any], name: str) -> dict[str, float]:
    found = _mapping(told, name).items()
    return {key: float(one) for key, one in found if isinstance(one, int | float) and not isinstance(one, bool)}


def read_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body; empty where it is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
