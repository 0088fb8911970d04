"""The parameters of a model configuration: each has a ``string_value``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BOOLEANS = {"0": False, "1": True, "false": False, "true": True}


def parameters_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The parameters by name."""
    return {key: value["string_value"].strip() for key, value in config.get("parameters", {}).items()}


def count(parameters: Mapping[str, str], key: str) -> int:
    """A whole number from 0; 0 where there is no such parameter.

    Raises:
        ValueError: It is no such number.
    """
    value = parameters.get(key, "0")
    if not value.isdecimal():
        raise ValueError(f"parameter {key} is a whole number from 0, not {value!r}")
    return int(value)


def choose(key: str, value: Any, choices: Mapping[Any, Any]) -> Any:
    """What a value of the parameter ``key`` stands for.

    Raises:
        ValueError: It is none of the choices.
    """
    if value not in choices:
        raise ValueError(f"{key} is one of {list(choices)}, not {value!r}")
    return choices[value]


def switch(parameters: Mapping[str, str], key: str) -> bool:
    """Whether something is switched on; it is not where there is no such parameter.

    Raises:
        ValueError: It is neither on nor off.
    """
    return bool(choose(key, parameters.get(key, "0"), BOOLEANS))


def lengths_of(parameters: Mapping[str, str]) -> tuple[int, ...]:
    """The lengths of inputs for which a GPU prepares itself, ascending; none where there is no such parameter.

    Raises:
        ValueError: They are no whole numbers from 1.
    """
    value = parameters.get("lengths", "")
    parts = [part.strip() for part in value.split(",")] if value else []
    if not all(part.isdecimal() and int(part) for part in parts):
        raise ValueError(f"parameter lengths is a list of whole numbers from 1 such as 128,256,512, not {value!r}")
    return tuple(sorted({int(part) for part in parts}))
