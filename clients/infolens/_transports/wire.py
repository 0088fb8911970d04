"""Articles to tensors and tensors to reports: the only module that knows the tensors of a request. No network.

Every request carries one article, so every tensor has a batch dimension of 1; batches are made by the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from infolens._values.evidence import read_evidence
from infolens.contract import (
    CONTRACTS,
    EVIDENCE,
    EVIDENCE_PARAMETER,
    FAILED,
    INFO_LENS,
    PARTIAL,
    SUMMARY_SETTINGS,
    TEXT,
    TITLE,
    AnswerKind,
    Task,
    TaskContract,
    Tensor,
)
from infolens.errors import InvalidSettingError, UnexpectedResponseError
from infolens.types import Answer, Article, Reading, Report, SummaryOptions, answer_type

from .base import InferRequest
from .texts import read_text, read_unread
from .told import told_of

DTYPES: Final[Mapping[str, type[np.generic]]] = {
    "BYTES": np.object_,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP32": np.float32,
    "UINT8": np.uint8,
}
"""Triton's types as numpy's."""

_DEFAULTS: Final[Mapping[str, float]] = {setting.name: setting.default for setting in SUMMARY_SETTINGS}
_HINT: Final = "is this an Info Lens server of the same version as the client?"


def parse_tasks(tasks: Iterable[Task | str] | Task | str | None) -> tuple[Task, ...]:
    """The tasks in the order of the contract, without repetitions; None stands for those that are asked by default.

    Raises:
        InvalidSettingError: A name is no task, or there is none.
    """
    if tasks is None:
        return default_tasks()
    names = [tasks] if isinstance(tasks, str) else list(tasks)
    known = ", ".join(task.value for task in CONTRACTS)
    for name in names:
        if name not in list(CONTRACTS):
            raise InvalidSettingError(f"a task is one of {known}, not {name!r}")
    if not names:
        raise InvalidSettingError(f"at least one task is needed; name some of {known}, or leave tasks out for all")
    return tuple(task for task in CONTRACTS if task in names)


def default_tasks() -> tuple[Task, ...]:
    """The tasks that are asked for when none is named: those that are registered with ``by_default``."""
    return tuple(task for task, contract in CONTRACTS.items() if contract.by_default)


def pack(
    article: Article,
    tasks: Collection[Task],
    options: SummaryOptions | None = None,
    *,
    partial: bool = False,
    evidence: bool = False,
) -> InferRequest:
    """The request that answers ``tasks``: to the ensemble of one task alone, or to the model of all tasks for several.

    Args:
        article: The article.
        tasks: At least one.
        options: How the summary is written.
        partial: Whether the other answers are wanted when a task fails; changes nothing when there is one task.
        evidence: Whether the sentences are wanted that moved the answers most; one of the tasks has labels then.
    """
    contracts = [CONTRACTS[task] for task in tasks]
    alone = len(contracts) == 1 and not evidence
    model = contracts[0].ensemble if alone else INFO_LENS
    values: dict[str, Any] = {TEXT.name: article.text.encode()}
    if article.title:
        values[TITLE.name] = article.title.encode()
    if options is not None:
        given = options.given().items()
        values.update({name: value.encode() if isinstance(value, str) else value for name, value in given})
    inputs: dict[str, NDArray[Any]] = {}
    for tensor in (tensor for contract in contracts for tensor in contract.inputs):
        if tensor.name in values or not tensor.optional:
            value = values.get(tensor.name, _DEFAULTS.get(tensor.name, b""))
            inputs[tensor.name] = filled(tensor, [value])
    outputs = [tensor.name for contract in contracts for tensor in contract.ensemble_outputs()]
    parameters = {}
    if evidence:
        outputs.append(EVIDENCE.name)
        parameters[EVIDENCE_PARAMETER] = True
    if partial and not alone:
        outputs.append(FAILED.name)
        parameters[PARTIAL] = True
    return InferRequest(model=model, inputs=inputs, outputs=tuple(outputs), parameters=parameters)


def for_older(request: InferRequest, known: Collection[str] = ()) -> InferRequest:
    """The same request without the outputs that servers of earlier versions do not have.

    Args:
        request: The request.
        known: Outputs that the server is known to have; they stay.
    """
    optional = {one.name for contract in CONTRACTS.values() for one in contract.ensemble_outputs() if one.optional}
    return replace(request, outputs=tuple(name for name in request.outputs if name in known or name not in optional))


def filled(tensor: Tensor, values: list[Any]) -> NDArray[Any]:
    """A tensor with its batch dimension, of one article."""
    array = np.empty((1, len(values)), dtype=DTYPES[tensor.dtype])
    array[0, :] = values
    return array


def unpack(outputs: Mapping[str, NDArray[Any]], tasks: Collection[Task]) -> Report:
    """The report that the tensors of one answer hold.

    Raises:
        UnexpectedResponseError: A tensor is missing, has another type or shape, or holds an impossible value.
    """
    failed = _failed(outputs, tasks) if FAILED.name in outputs else {}
    evidence = _evidence(outputs, tasks) if EVIDENCE.name in outputs else {}
    answers: dict[Task, Answer] = {}
    for task in tasks:
        if task in failed:
            continue
        contract = CONTRACTS[task]
        expected = [one for one in contract.ensemble_outputs() if not one.optional or one.name in outputs]
        tensors = {tensor.name: _checked(tensor, outputs) for tensor in expected}
        reading = Reading(
            tokens=int(tensors[contract.tokens_output][0]),
            truncated_tokens=int(tensors[contract.truncated_output][0]),
            unread=read_unread(contract, _decoded_of(tensors, contract.unread_output)),
        )
        if not 0 <= reading.truncated_tokens <= reading.tokens:
            raise UnexpectedResponseError(
                f"a model leaves out at least 0 and at most all tokens, but {contract.truncated_output} is "
                f"{reading.truncated_tokens} of {reading.tokens}; {_HINT}"
            )
        facts = _READERS[contract.answers](contract, tensors) | evidence.get(task, {})
        answers[task] = answer_type(task)(**facts, reading=reading)
    return Report.of(answers, failed, **told_of(outputs))


def _evidence(outputs: Mapping[str, NDArray[Any]], tasks: Collection[Task]) -> dict[Task, dict[str, Any]]:
    """What moved the answers of tasks that have labels, as the field of each."""
    text = _decoded(EVIDENCE.name, _checked(EVIDENCE, outputs)[0])
    labelled = [task for task in tasks if CONTRACTS[task].answers is AnswerKind.LABELS]
    try:
        entries = json.loads(text)
        return {task: {"evidence": read_evidence(entries.get(task, []))} for task in labelled}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnexpectedResponseError(
            f"{EVIDENCE.name} must be a JSON object from tasks to sentences, but is {text[:80]!r} ({error}); {_HINT}"
        ) from error


def _failed(outputs: Mapping[str, NDArray[Any]], tasks: Collection[Task]) -> dict[str, str]:
    """The tasks that failed, but never all of them, with the reasons; evidence may fail too."""
    text = _decoded(FAILED.name, _checked(FAILED, outputs)[0])
    try:
        reasons = json.loads(text)
    except (ValueError, RecursionError):
        reasons = None
    known = (*tasks, EVIDENCE.name)
    fits = isinstance(reasons, dict) and reasons.keys() <= {*known} and not reasons.keys() >= {*tasks}
    if not fits or not all(isinstance(reason, str) for reason in reasons.values()):
        raise UnexpectedResponseError(
            f"{FAILED.name} must be a JSON object from some of {', '.join(tasks)} to the reasons, but is {text!r}; "
            f"{_HINT}"
        )
    return {name: reasons[name] for name in known if name in reasons}


def _text(contract: TaskContract, tensors: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return read_text(contract, _decoded_of(tensors, *(one.name for one in contract.outputs())))


def _labelled(contract: TaskContract, tensors: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The label, and the probability of every label; the labels are those that the answer names."""
    name = contract.task.value
    label = _decoded(name, tensors[name][0])
    labels = [_decoded(contract.labels_output, value) for value in tensors[contract.labels_output]]
    scores = np.concatenate([tensors[f"{name}_probability"], tensors[f"{name}_probabilities"]])
    if len(labels) != len(scores) - 1 or len(set(labels)) != len(labels) or label not in labels:
        raise UnexpectedResponseError(
            f"{name} must be one of the labels of the answer, each of which has one probability, but the server "
            f"answered {label!r} with {len(scores) - 1} probabilities for {', '.join(map(repr, labels))}; {_HINT}"
        )
    if not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1 + 1e-3).all()):
        raise UnexpectedResponseError(
            f"probabilities lie between 0 and 1, but {name} has {scores.tolist()}; the model's export is broken"
        )
    if scores[1 + labels.index(label)] < scores[1:].max() - 1e-3:
        raise UnexpectedResponseError(
            f"{name} must be the most probable label, but {label!r} has {scores[1 + labels.index(label)]:.3f} of "
            f"{scores[1:].tolist()}; {_HINT}"
        )
    # Six decimals are what a FP32 probability holds; more of them would be the noise of the conversion.
    probability, *probabilities = (round(float(score), 6) for score in scores)
    signal, doubt = (
        _decoded(name, tensors[name][0]) if name in tensors else ""
        for name in (contract.signal_output, contract.doubt_output)
    )
    if signal not in (label, contract.doubt_word, "") or (signal == label and doubt):
        raise UnexpectedResponseError(
            f"{contract.signal_output} must be the label {label!r}, or {contract.doubt_word!r} with a reason, but the "
            f"server answered {signal!r} ({doubt or 'no reason'}); {_HINT}"
        )
    return {
        "label": label,
        "probability": probability,
        "probabilities": dict(zip(labels, probabilities, strict=True)),
        "signal": signal,
        "doubt": doubt,
    }


_READERS: Final[Mapping[AnswerKind, Callable[[TaskContract, Mapping[str, NDArray[Any]]], dict[str, Any]]]] = {
    AnswerKind.TEXT: _text,
    AnswerKind.LABELS: _labelled,
}
"""What an answer says beside how much was read, by its kind."""


def _checked(tensor: Tensor, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The tensor without its batch dimension, checked against the contract."""
    array = arrays.get(tensor.name)
    shape = (1, *tensor.dims)
    wanted = f"{tensor.name} must be {tensor.dtype} {list(shape)}"
    if array is None:
        raise UnexpectedResponseError(f"{wanted}, but the answer lacks it; {_HINT}")
    fits = array.ndim == len(shape) and all(b in (-1, a) for a, b in zip(array.shape, shape, strict=True))
    if array.dtype != DTYPES[tensor.dtype] or not fits:
        raise UnexpectedResponseError(f"{wanted}, but the answer has {array.dtype} {list(array.shape)}; {_HINT}")
    inner: NDArray[Any] = array[0]
    return inner


def _decoded_of(tensors: Mapping[str, NDArray[Any]], *names: str) -> dict[str, str]:
    """Those of some outputs that there are, as text."""
    return {name: _decoded(name, tensors[name][0]) for name in names if name in tensors}


def _decoded(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes):
        raise UnexpectedResponseError(f"{name} must hold bytes, but holds {type(value).__name__}; {_HINT}")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise UnexpectedResponseError(
            f"{name} must be UTF-8, but byte {error.start} of the answer is not; {_HINT}"
        ) from error
