"""What a front door tells of itself over HTTP beside Triton's own protocol: `/readyz` and `/v1/models`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from infolens.types import ServedTask, ServerStatus

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
            tasks[task] = _served(task, one)
            if isinstance(one.get("labels"), list):
                labels[task] = tuple(map(str, one["labels"]))
    return replace(status, tasks=tasks, labels={**status.labels, **labels})


def _served(task: str, one: Mapping[str, Any]) -> ServedTask:
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
    )


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
