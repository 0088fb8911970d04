"""What the configuration of a model asks of the tokenizer backend, and its settings in a request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

if __package__:
    from . import unclear as rules
else:  # Triton imports its backend as the module "model", with its folder on the path
    import unclear as rules  # type: ignore[import-not-found, no-redef]

INTEGERS: dict[str, type[np.generic]] = {"TYPE_INT32": np.int32, "TYPE_INT64": np.int64}
TOKEN_OUTPUTS = ("input_ids", "attention_mask", "token_type_ids")
SENTENCE_ENDS = "sentence_ends"
SAMPLING = "sampling"
SOURCE = "source"
VERBATIM = "verbatim"
UNREAD = "unread"
STYLE = "style"
EXTRACTIVE = "extractive"
SCRIPTS = {"latin": True, "any": False}
SPREAD = {"0": False, "1": True}


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """Who is told of the sentences that a summary may consist of."""

    graph: bool
    """Whether the next model is..."""
    text: bool
    """...and the last one, which then takes the summary's sentences from the article by itself..."""
    scored: bool = False
    """...by what the next model says of each word."""


EXTRACTION = {
    "search": Extraction(graph=True, text=False),
    "nearest": Extraction(graph=False, text=True),
    "choice": Extraction(graph=True, text=True, scored=True),
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a request may set: a number, or one of several words."""

    name: str
    minimum: float
    maximum: float
    default: float
    """An index where there are ``choices``."""
    steps_per_unit: int = 1
    by_length: bool = True
    """Whether it travels on as the length of a dummy tensor."""
    choices: Sequence[str] = ()
    """The words of which it is one."""

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
    window: int
    """A longer text is laid out in windows of so many tokens; 0 for a model that has none."""
    spread: bool
    """Whether the windows lie evenly over a text that has more tokens than all of them, not at its beginning."""
    buckets: tuple[int, ...]
    max_article_bytes: int
    pad_id: int
    pad_type_id: int
    pad_left: bool
    latin_only: bool
    """Whether articles in other alphabets are refused."""
    settings: tuple[Setting, ...]
    extraction: Extraction
    """How a summary comes to consist of the article's sentences."""
    quotes: bool
    """Whether the next model takes the ends of the sentences that it may quote, and how it samples."""
    source: bool
    """Whether the last model takes the article with its sentences."""
    verbatim: bool
    """Whether articles that are their own summaries are answered in an output of their own; `source` has them too."""
    unread: bool
    """Whether it is told which characters of the last of ``reads`` are not read."""
    unclear: rules.Rules | None
    """What a text must be for a classifier to judge it; None where the configuration has no such output."""
    outputs: Mapping[str, type[np.generic]]
    """The integer outputs of the configuration with their types; those above are not among them."""

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
    known |= {"padding_side", "pad_id", "pad_type_id", "scripts", "window", "spread"}
    known |= {"extraction", "least_words", "least_read", "most_unknown"}
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

    window = int(parameters.get("window", "0"))
    if window < 0 or (window and any(bucket % window for bucket in buckets if bucket > window)):
        raise ValueError(f"buckets above the window of {window} tokens must be whole windows, not {buckets}")

    if (spread := parameters.get("spread", "0")) not in SPREAD:
        raise ValueError(f"parameter spread is one of {list(SPREAD)}, not {spread!r}")

    if (extraction := parameters.get("extraction", "search")) not in EXTRACTION:
        raise ValueError(f"parameter extraction is one of {list(EXTRACTION)}, not {extraction!r}")

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
        sent = outputs.pop(setting.name, None) == "TYPE_UINT8"
        if setting.name not in inputs or sent != setting.by_length:
            raise ValueError(
                f"setting {setting.name} needs an input of that name, and a TYPE_UINT8 output where it is by_length"
            )
    special = {name: outputs.pop(name, None) for name in (SENTENCE_ENDS, SAMPLING, SOURCE, VERBATIM, UNREAD)}
    _check(special, settings)
    quotes = special[SENTENCE_ENDS] is not None
    unclear = outputs.pop(rules.OUTPUT, None)
    if unclear not in (None, "TYPE_INT32"):
        raise ValueError(f"output {rules.OUTPUT} is TYPE_INT32, not {unclear}")
    if unclear and quotes:
        raise ValueError(f"output {rules.OUTPUT} is of a classifier, which has no {SENTENCE_ENDS}")
    if (window or quotes) and (side == "left" or "token_type_ids" in outputs):
        raise ValueError(f"windows and {SENTENCE_ENDS} need padding on the right, and no token_type_ids")
    if special[SOURCE] and len(reads) != 1:
        raise ValueError(f"output {SOURCE} is of one text, but the tokenizer reads {list(reads)}")
    for name, data_type in outputs.items():
        if name not in {*TOKEN_OUTPUTS, "tokens", "truncated_tokens"} or data_type not in INTEGERS:
            raise ValueError(f"output {name} {data_type} is not an output of the tokenizer backend or no integer")
    return Options(
        reads=reads,
        required=frozenset(name for name in reads if not inputs[name].get("optional", False)),
        max_tokens=max_tokens,
        window=window,
        spread=SPREAD[spread],
        buckets=buckets,
        max_article_bytes=int(parameters.get("max_article_bytes", "262144")),
        pad_id=int(parameters.get("pad_id", padding.get("pad_id", 0))),
        pad_type_id=int(parameters.get("pad_type_id", padding.get("pad_type_id", 0))),
        pad_left=side == "left",
        latin_only=SCRIPTS[scripts],
        settings=settings,
        extraction=EXTRACTION[extraction],
        quotes=quotes,
        source=special[SOURCE] is not None,
        verbatim=special[VERBATIM] is not None,
        unread=special[UNREAD] is not None,
        unclear=rules.Rules.read(parameters) if unclear else None,
        outputs={name: INTEGERS[data_type] for name, data_type in outputs.items()},
    )


def _check(special: Mapping[str, str | None], settings: Sequence[Setting]) -> None:
    """Check the outputs that are neither tokens nor dummies."""
    types = {SENTENCE_ENDS: "TYPE_INT32", SAMPLING: "TYPE_FP32"}
    types |= dict.fromkeys((SOURCE, VERBATIM, UNREAD), "TYPE_STRING")
    for name, data_type in special.items():
        if data_type not in (None, types[name]):
            raise ValueError(f"output {name} is {types[name]}, not {data_type}")
    if (special[SENTENCE_ENDS] is None) != (special[SAMPLING] is None):
        raise ValueError(f"a model takes {SENTENCE_ENDS} and {SAMPLING}, or neither")
    names = {setting.name for setting in settings}
    needs = {SENTENCE_ENDS: {STYLE, "max_length", "temperature"}, SOURCE: {"min_length"}, VERBATIM: {"min_length"}}
    for name, needed in needs.items():
        if special[name] and (missing := sorted(needed - names)):
            raise ValueError(f"output {name} needs the setting {', '.join(missing)}")


def _needed(parameters: Mapping[str, str], key: str) -> str:
    if not parameters.get(key):
        raise ValueError(f"the tokenizer backend needs the parameter {key}")
    return parameters[key]
