"""What feeds a model: the parameters of its tokenizer, its length buckets, and the inputs of its warm-ups."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from tritonclient.grpc import model_config_pb2 as pb

from infolens.contract import (
    MAX_ARTICLE_BYTES,
    SAMPLING,
    SENTENCE_ENDS,
    AnswerKind,
    SummarySetting,
    TaskContract,
    Tensor,
    buckets_up_to,
)

from . import doubt
from .artefact import BEAMS, CHOICE, LENGTH, Artefact
from .deployment import Deployment
from .limits import AUTO

_STYLE: Final = "style"
_TOLD: Final = ("search", CHOICE)
"""The extractions in which a graph is told of an article's sentences."""


def tokenizer_parameters(contract: TaskContract, artefact: Artefact, deployment: Deployment) -> dict[str, str]:
    """The parameters of a model's tokenizer, by name."""
    parameters = {
        "reads": ",".join(contract.reads),
        "max_tokens": str(artefact.max_tokens),
        "buckets": ",".join(str(bucket) for bucket in buckets(artefact, deployment)),
        "padding_side": artefact.padding_side,
        "pad_id": str(artefact.pad_id),
        "pad_type_id": str(artefact.pad_type_id),
        "max_article_bytes": str(MAX_ARTICLE_BYTES),
    }
    if artefact.quotes:
        parameters["extraction"] = artefact.extraction
    if artefact.window:
        parameters["window"] = str(artefact.window)
        # A summary quotes what it has read in order; a classifier needs a bit of everything.
        parameters["spread"] = {AnswerKind.TEXT: "0", AnswerKind.LABELS: "1"}[contract.answers]
    if deployment.model(contract.task).other_scripts:
        parameters["scripts"] = "any"
    parameters |= doubt.tokenizer_parameters(contract, other_scripts="scripts" in parameters)
    return parameters | {f"setting.{one.name}": _setting(one, artefact) for one in contract.settings}


def engine_parameters(contract: TaskContract, artefact: Artefact, deployment: Deployment) -> dict[str, str]:
    """The parameters of a summarizer in steps, by name."""
    model, lengths = deployment.model(contract.task), buckets(artefact, deployment)
    settings = {one.name: one for one in contract.settings if one.by_length}
    beams = [1]
    while beams[-1] < settings[BEAMS.name].maximum:
        beams.append(min(2 * beams[-1], int(settings[BEAMS.name].maximum)))
    return {
        "device": deployment.target.record.device if model.device == AUTO else model.device,
        "workers": str(model.workers),
        "slots": str(model.slots),
        "max_waiting": str(model.max_waiting),
        "joins_per_step": str(model.joins_per_step),
        "memory_bytes": str(model.memory_bytes),
        **({"plans": model.plans} if model.plans else {}),
        "beams": ",".join(map(str, beams)),
        "source_length": str(lengths[-1]),
        "target_length": str(int(settings["max_length"].maximum)),
        "lengths": ",".join(map(str, lengths)),
        **{f"setting.{one.name}": _setting(one, artefact) for one in settings.values()},
    }


def _told_of_sentences(artefact: Artefact) -> bool:
    """Whether the graph is told of sentences by a request that says nothing of it."""
    return artefact.style == "extractive" and artefact.extraction in _TOLD


def default_of(setting: SummarySetting, artefact: Artefact) -> float:
    """What counts where a request leaves out a setting of the search."""
    return {BEAMS.name: artefact.num_beams, LENGTH.name: artefact.max_length}.get(setting.name, setting.default)


def _setting(setting: SummarySetting, artefact: Artefact) -> str:
    """A setting as the model has it: one that cannot quote or sample takes only what asks for neither."""
    facts: dict[str, Any] = asdict(setting)
    if setting.by_length:
        facts["default"] = default_of(setting, artefact)
        return json.dumps({key: facts[key] for key in ("minimum", "maximum", "default", "steps_per_unit")})
    if setting.name == _STYLE:
        facts["choices"] = setting.choices if artefact.quotes else (artefact.style,)
        facts["default"] = facts["choices"].index(artefact.style)
    elif not artefact.quotes and setting.name == "temperature":
        facts["maximum"] = setting.minimum
    keys = ("minimum", "maximum", "default", "by_length", *(("choices",) if setting.choices else ()))
    return json.dumps({key: facts[key] for key in keys})


def buckets(artefact: Artefact, deployment: Deployment) -> tuple[int, ...]:
    """The lengths to which a model's articles are padded; those above its window are whole windows."""
    if not artefact.window:
        return buckets_up_to(artefact.max_tokens, deployment.length_buckets)
    several = range(2 * artefact.window, artefact.max_tokens + 1, artefact.window)
    return (*buckets_up_to(artefact.window, deployment.length_buckets), *several)


def warmup(contract: TaskContract, artefact: Artefact, inputs: Iterable[Tensor], bucket: int) -> pb.ModelWarmup:
    """One execution with a bucket of zeros, in the shapes of a request without settings."""
    made = pb.ModelWarmup(name=f"length_{bucket}", batch_size=1)
    lengths = {one.name: one.encode(default_of(one, artefact)) for one in contract.settings if one.by_length}
    lengths |= {SAMPLING.name: 1, SENTENCE_ENDS.name: bucket if _told_of_sentences(artefact) else 1}
    for tensor in inputs:
        zeros = made.inputs[tensor.name]
        zeros.data_type = pb.DataType.Value(f"TYPE_{tensor.dtype}")
        zeros.dims.append(lengths.get(tensor.name, bucket))
        zeros.zero_data = True
    return made
