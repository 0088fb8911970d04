"""The parameters of a configuration of the backend ``summarizer``; `model` says what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEVICES = ("auto", "cpu", "cuda", "tensorrt", "torch")
SETTINGS = ("min_length", "max_length", "num_beams", "length_penalty")
INPUTS = {
    "input_ids": "TYPE_INT32",
    "attention_mask": "TYPE_INT32",
    "sentence_ends": "TYPE_INT32",
    "sampling": "TYPE_FP32",
    **dict.fromkeys(SETTINGS, "TYPE_UINT8"),
}
OUTPUT = "sequences"
_NUMBERS = ("workers", "slots", "source_length", "target_length", "max_waiting", "joins_per_step")
_OF_GPUS = {"memory_bytes": "0", "plans": ""}
"""Parameters that may be left out, with what counts then."""
_WAY_OUT = "write the configurations anew with `python -m export configs`"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting that comes as the length of a dummy tensor."""

    minimum: float
    maximum: float
    default: float
    steps_per_unit: int = 1

    def decode(self, length: int) -> float:
        """The value that so many dummy elements stand for."""
        return (length - 1) / self.steps_per_unit + self.minimum


@dataclass(frozen=True, kw_only=True)
class Options:
    """The parameters of a configuration."""

    device: str
    """One of `DEVICES`."""
    workers: int
    """Threads, each with buffers of its own."""
    slots: int
    """Articles that a thread works on at a time, for each number of beams."""
    beams: tuple[int, ...]
    """The widths of the buffers, rising: a summary takes the least one that holds its beams."""
    source_length: int
    """Tokens of the longest article."""
    target_length: int
    """Tokens of the longest summary."""
    max_waiting: int
    """Articles that wait for a slot; any more are refused."""
    joins_per_step: int
    """Articles that may join between two steps."""
    memory_bytes: int
    """What ONNX Runtime takes at most of a GPU's memory for each session; 0 for no limit."""
    plans: str
    """The folder in which TensorRT keeps what it has built; empty for the model's own."""
    lengths: tuple[int, ...]
    """Lengths of articles that are summarized once before the model is ready."""
    settings: Mapping[str, Setting]
    """By name, each of `SETTINGS`."""


def read_options(config: Mapping[str, Any]) -> Options:
    """The options of a model configuration.

    Raises:
        ValueError: A parameter or a tensor is missing, unknown or out of its range, or there is more than one instance.
    """
    parameters = {key: value.get("string_value", "").strip() for key, value in config.get("parameters", {}).items()}
    _check_tensors(config)
    groups = config.get("instance_group", [])
    if (count := sum(int(group.get("count", 1)) for group in groups)) > 1:
        raise ValueError(
            f"a summarizer has one instance, whose threads share the weights, not {count}: set count to 1 and the "
            "parameter workers to the number of threads"
        )
    parameters = {**_OF_GPUS, **parameters}
    known = {*_OF_GPUS, "device", "beams", "lengths", *_NUMBERS, *(f"setting.{name}" for name in SETTINGS)}
    if unknown := sorted(set(parameters) - known):
        raise ValueError(f"the summarizer knows no parameter {unknown[0]}; there are {', '.join(sorted(known))}")
    if missing := sorted(known - set(parameters)):
        raise ValueError(f"the summarizer needs the parameter {missing[0]}: {_WAY_OUT}")
    if parameters["device"] not in DEVICES:
        raise ValueError(f"parameter device is one of {', '.join(DEVICES)}, not {parameters['device']!r}")
    numbers = {name: _count(name, parameters[name]) for name in _NUMBERS}
    numbers["memory_bytes"] = _count("memory_bytes", parameters["memory_bytes"], least=0)
    beams, lengths = (_rising(name, parameters[name]) for name in ("beams", "lengths"))
    settings = {name: _setting(name, parameters[f"setting.{name}"]) for name in SETTINGS}
    for name, parameter, given in (
        ("num_beams", "beams", beams[-1]),
        ("max_length", "target_length", numbers["target_length"]),
    ):
        if settings[name].maximum > given:
            raise ValueError(
                f"parameter {parameter} goes up to the greatest {name}, {settings[name].maximum:g}, not {given}"
            )
    if lengths[-1] > numbers["source_length"]:
        raise ValueError(
            f"parameter lengths goes up to source_length ({numbers['source_length']}) at most, not {lengths[-1]}"
        )
    return Options(
        device=parameters["device"],
        plans=parameters["plans"],
        beams=beams,
        lengths=lengths,
        settings=settings,
        **numbers,
    )


def _check_tensors(config: Mapping[str, Any]) -> None:
    given = {tensor["name"]: tensor["data_type"] for tensor in config["input"]}
    if given != INPUTS:
        raise ValueError(f"the summarizer's inputs are {INPUTS}, not {given}: {_WAY_OUT}")
    outputs = {tensor["name"]: tensor["data_type"] for tensor in config["output"]}
    if outputs != {OUTPUT: "TYPE_INT32"}:
        raise ValueError(f"the summarizer's output is {OUTPUT} TYPE_INT32, not {outputs}: {_WAY_OUT}")


def _count(name: str, text: str, least: int = 1) -> int:
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"parameter {name} is a whole number from {least}, not {text!r}")
    return int(text)


def _rising(name: str, text: str) -> tuple[int, ...]:
    numbers = tuple(_count(name, part.strip()) for part in text.split(","))
    if list(numbers) != sorted(set(numbers)):
        raise ValueError(f"parameter {name} is numbers that rise, with commas between them, not {text!r}")
    return numbers


def _setting(name: str, text: str) -> Setting:
    try:
        return Setting(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"parameter setting.{name} is a JSON object with minimum, maximum, default and steps_per_unit, not "
            f"{text!r} ({error}): {_WAY_OUT}"
        ) from error
