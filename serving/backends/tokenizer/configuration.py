"""What the configuration of a model asks of the tokenizer backend, and its settings in a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

if __package__:
    from . import unclear as rules
else:  # Triton imports its backend as the module "model", with its folder on the path
    import unclear as rules  # type: ignore[import-not-found, no-redef]

INTEGERS: dict[str, type[np.generic]] = {"TYPE_INT32": np.int32, "TYPE_INT64": np.int64}
TOKEN_OUTPUTS = ("input_ids", "attention_mask", "token_type_ids")
VERBATIM = "verbatim"
SCRIPTS = {"latin": True, "any": False}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A number of the request that travels on as the length of a dummy tensor."""

    name: str
    minimum: float
    maximum: float
    default: float
    steps_per_unit: int = 1

    def encode(self, value: float) -> int:
        """The number of dummy elements that stands for ``value``; at least 1."""
        return 1 + round((value - self.minimum) * self.steps_per_unit)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the configuration asks of the backend."""

    reads: tuple[str, ...]
    required: frozenset[str]
    """Those of ``reads`` that may be neither absent nor blank."""
    max_tokens: int
    buckets: tuple[int, ...]
    max_article_bytes: int
    pad_id: int
    pad_type_id: int
    pad_left: bool
    latin_only: bool
    """Whether articles in other alphabets are refused."""
    settings: tuple[Setting, ...]
    verbatim: bool
    """Whether articles that are their own summaries are answered in an output of their own."""
    unclear: rules.Rules | None
    """What a text must be for a classifier to judge it; None where the configuration has no such output."""
    outputs: Mapping[str, type[np.generic]]
    """The integer outputs of the configuration with their types; the settings are not among them."""

    def bucket(self, length: int) -> int:
        """The smallest bucket that holds ``length`` tokens."""
        return next(bucket for bucket in self.buckets if bucket >= length)


def read_options(config: Mapping[str, Any], padding: Mapping[str, Any] | None) -> Options:
    """Read the model's configuration.

    Args:
        config: The model configuration, as Triton hands it over in JSON.
        padding: The ``padding`` block of ``tokenizer.json``, if it has one.

    Raises:
        ValueError: A parameter is missing or out of its range.
    """
    parameters = {key: value["string_value"].strip() for key, value in config.get("parameters", {}).items()}
    known = {"reads", "max_tokens", "buckets", "tokenizer_file", "max_article_bytes"}
    known |= {"padding_side", "pad_id", "pad_type_id", "scripts", "least_words", "least_read", "most_unknown"}
    if unknown := sorted(key for key in parameters if key not in known and not key.startswith("setting.")):
        raise ValueError(f"unknown parameters {unknown}; known are {sorted(known)} and setting.<name>")
    inputs = {tensor["name"]: tensor for tensor in config["input"]}
    reads = tuple(name.strip() for name in _needed(parameters, "reads").split(","))
    if missing := [name for name in reads if name not in inputs]:
        raise ValueError(f"parameter reads names {missing}, but the inputs are {sorted(inputs)}")
    max_tokens = int(_needed(parameters, "max_tokens"))
    buckets = tuple(int(bucket) for bucket in parameters.get("buckets", str(max_tokens)).split(","))
    if buckets[0] < 1 or list(buckets) != sorted(set(buckets)) or buckets[-1] != max_tokens:
        raise ValueError(f"parameter buckets must ascend and end with max_tokens ({max_tokens}), not {buckets}")

    padding = padding or {}
    side = parameters.get("padding_side", str(padding.get("direction", "right"))).lower()
    if side not in {"left", "right"}:
        raise ValueError(f"parameter padding_side is left or right, not {side!r}")
    if "pad_id" not in parameters and "pad_id" not in padding:
        raise ValueError("tokenizer.json has no padding block: give the parameter pad_id")

    scripts = parameters.get("scripts", "latin")
    if scripts not in SCRIPTS:
        raise ValueError(f"parameter scripts is one of {list(SCRIPTS)}, not {scripts!r}")

    settings = tuple(
        Setting(name=key.removeprefix("setting."), **json.loads(value))
        for key, value in parameters.items()
        if key.startswith("setting.")
    )
    outputs = {tensor["name"]: tensor["data_type"] for tensor in config["output"]}
    for setting in settings:
        if setting.name not in inputs or outputs.pop(setting.name, None) != "TYPE_UINT8":
            raise ValueError(f"setting {setting.name} needs an input and a TYPE_UINT8 output of that name")
    own_summaries = outputs.pop(VERBATIM, None)
    if own_summaries and (own_summaries != "TYPE_STRING" or all(one.name != "min_length" for one in settings)):
        raise ValueError(f"output {VERBATIM} is TYPE_STRING, and needs the setting min_length")
    unclear = outputs.pop(rules.OUTPUT, None)
    if unclear not in (None, "TYPE_INT32"):
        raise ValueError(f"output {rules.OUTPUT} is TYPE_INT32, not {unclear}")
    for name, data_type in outputs.items():
        if name not in {*TOKEN_OUTPUTS, "tokens", "truncated_tokens"} or data_type not in INTEGERS:
            raise ValueError(f"output {name} {data_type} is not an output of the tokenizer backend or no integer")
    return Options(
        reads=reads,
        required=frozenset(name for name in reads if not inputs[name].get("optional", False)),
        max_tokens=max_tokens,
        buckets=buckets,
        max_article_bytes=int(parameters.get("max_article_bytes", "262144")),
        pad_id=int(parameters.get("pad_id", padding.get("pad_id", 0))),
        pad_type_id=int(parameters.get("pad_type_id", padding.get("pad_type_id", 0))),
        pad_left=side == "left",
        latin_only=SCRIPTS[scripts],
        settings=settings,
        verbatim=own_summaries is not None,
        unclear=rules.Rules.read(parameters) if unclear else None,
        outputs={name: INTEGERS[data_type] for name, data_type in outputs.items()},
    )


def _needed(parameters: Mapping[str, str], key: str) -> str:
    if not parameters.get(key):
        raise ValueError(f"the tokenizer backend needs the parameter {key}")
    return parameters[key]
