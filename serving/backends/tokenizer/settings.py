"""The settings that requests carry, and what becomes of them: lengths of dummies, a style, the numbers of a sample."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

if __package__:
    from .configuration import EXTRACTIVE, STYLE, Setting
else:  # Triton imports its backend as the module "model", with its folder on the path
    from configuration import EXTRACTIVE, STYLE, Setting  # type: ignore[import-not-found, no-redef]

Given = Mapping[str, npt.NDArray[Any] | None]
"""The inputs of a request by name, [n, 1]; None where it left one out."""
_NEWER = "the model was exported without it: export it again"


class BadInputError(ValueError):
    """What the caller sent breaks a rule; the message is the answer to the request."""


def choose_settings(given: Given, settings: Sequence[Setting]) -> dict[str, float]:
    """The settings of one request: what it carries, else the defaults; ``seed`` is drawn where it is left out.

    Args:
        given: The request's inputs.
        settings: The settings that the model has.

    Raises:
        BadInputError: Out of range, unlike for the rows of one request, or two that cannot go together.
    """
    chosen = {setting.name: _value(given, setting) for setting in settings}
    low, high = chosen.get("min_length"), chosen.get("max_length")
    if low is not None and high is not None and low > high:
        if _carries(given, "min_length"):
            raise BadInputError(f"min_length ({low:g}) must not be above max_length ({high:g}): change one of them")
        chosen["min_length"] = high
    if chosen.get("temperature"):
        if _carries(given, "num_beams") and chosen["num_beams"] > 1:
            raise BadInputError(
                f"num_beams must be 1 where temperature is above 0, since one summary is drawn, not "
                f"{chosen['num_beams']:g}: leave one of them out"
            )
        chosen["num_beams"] = 1
        if not _carries(given, "seed"):
            chosen["seed"] = secrets.randbits(31)
    return chosen


def _carries(given: Given, name: str) -> bool:
    array = given.get(name)
    return array is not None and array.size > 0


def _value(given: Given, setting: Setting) -> float:
    array = given.get(setting.name)
    if array is None or array.size == 0:
        return setting.default
    values = set(array.ravel().tolist())
    if len(values) > 1:
        shown = ", ".join(_word(value)[:40] if setting.choices else f"{value:.10g}" for value in sorted(values))
        raise BadInputError(f"{setting.name} differs within one request ({shown}): send one request for each value")
    value = values.pop()
    if setting.choices:
        return _choice(value, setting)
    value = float(value)
    if setting.minimum <= value <= setting.maximum:
        return value
    if setting.minimum == setting.maximum:
        raise BadInputError(f"{setting.name} can only be {setting.minimum:g} here, not {value:.10g}: {_NEWER}")
    raise BadInputError(
        f"{setting.name} must lie between {setting.minimum:g} and {setting.maximum:.10g}, not {value:.10g}"
    )


def _word(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _choice(value: bytes, setting: Setting) -> int:
    word = _word(value)
    if word in setting.choices:
        return list(setting.choices).index(word)
    if len(setting.choices) == 1:
        raise BadInputError(f"{setting.name} can only be {setting.choices[0]} here, not {word[:40]!r}: {_NEWER}")
    raise BadInputError(f"{setting.name} must be {' or '.join(setting.choices)}, not {word[:40]!r}")


def style(chosen: Mapping[str, float], settings: Sequence[Setting]) -> str:
    """How the summary is to be written; ``free`` for a model that has no such setting."""
    choices = next((setting.choices for setting in settings if setting.name == STYLE), None)
    return choices[int(chosen[STYLE])] if choices else "free"


def quotes_only(chosen: Mapping[str, float], settings: Sequence[Setting]) -> bool:
    """Whether the summary may hold nothing but sentences of its article."""
    return style(chosen, settings) == EXTRACTIVE


def follow_down(chosen: Mapping[str, float], tokens: Sequence[int]) -> dict[str, float]:
    """The settings of a request whose articles have so many tokens: none must be summarized at more than its length."""
    if "min_length" not in chosen:
        return dict(chosen)
    return {**chosen, "min_length": min(chosen["min_length"], max(tokens))}


def sampling(chosen: Mapping[str, float], rows: int) -> npt.NDArray[np.float32]:
    """How the summaries of a request are drawn.

    The numbers of row r are the upper 24 bits of those of Philox under the key ``seed`` + r, so a row has the same
    beside any neighbours, and on its own under that seed.

    Returns:
        [rows, 1] of zero for a search; else [rows, 2 + max_length]: temperature, ``top_p``, and for each step a number
        that is evenly drawn from [0, 1).
    """
    temperature = chosen.get("temperature", 0)
    if not temperature:
        return np.zeros((rows, 1), np.float32)
    steps, seed = int(chosen["max_length"]), int(chosen["seed"])
    found = np.empty((rows, 2 + steps), np.float32)
    found[:, :2] = temperature, chosen["top_p"]
    for row in range(rows):
        drawn = np.random.Philox(key=seed + row).random_raw(steps)
        found[row, 2:] = (drawn >> np.uint64(40)) / 2**24
    return found
