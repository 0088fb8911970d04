"""Two branches for the tests of the fan_out backend, which echo what they get or fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from serving.backends.fan_out.admission import Branch, Call

WAIT_S = 30
BRANCHES = (
    Branch(model="left", task="first", inputs=("text",), outputs=("a",)),
    Branch(model="right", task="second", inputs=("title", "text"), outputs=("b", "c")),
)
ALL = frozenset("abc")


def echo(branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
    return [(name, {key: call.inputs[key] for key in branch.inputs if key in call.inputs}) for name in wanted]


def failing(*models: str) -> Callable[[Branch, Call, Sequence[str]], Sequence[Any]]:
    def ask(branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        if branch.model in models:
            raise RuntimeError(f"{branch.model} is broken")
        return echo(branch, call, wanted)

    return ask
