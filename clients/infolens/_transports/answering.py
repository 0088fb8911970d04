"""The server's side of `wire`, for fakes and gateways: requests to articles, and reports to tensors. No network."""

from __future__ import annotations

import json
from typing import Any

from numpy.typing import NDArray

from infolens.contract import CONTRACTS, EVIDENCE, FAILED, SUMMARY_SETTINGS, TEXT, TITLE
from infolens.types import Article, Labelled, Report, SummaryOptions

from .base import InferRequest
from .texts import write_text, write_unread
from .wire import filled


def unpack_request(request: InferRequest) -> tuple[Article, SummaryOptions]:
    """The article and options that a request carries: the inverse of `pack`, for fakes and gateways.

    Raises:
        InvalidArticleError: The article is not valid.
        InvalidSettingError: A setting is out of range.
    """
    given: dict[str, Any] = {}
    for setting in SUMMARY_SETTINGS:
        if setting.name in request.inputs:
            value = request.inputs[setting.name][0, 0]
            given[setting.name] = value.decode() if setting.dtype == "BYTES" else value.item()
    title = request.inputs.get(TITLE.name)
    article = Article(
        text=request.inputs[TEXT.name][0, 0].decode(), title=None if title is None else title[0, 0].decode() or None
    )
    return article, SummaryOptions(**given)


def pack_report(report: Report) -> dict[str, NDArray[Any]]:
    """The tensors with which a server would answer: the inverse of `unpack`, for fakes."""
    arrays: dict[str, NDArray[Any]] = {}
    for task, answer in report.answers.items():
        contract, name = CONTRACTS[task], task.value
        values: dict[str, list[Any]] = {
            contract.tokens_output: [answer.reading.tokens],
            contract.truncated_output: [answer.reading.truncated_tokens],
            **write_unread(contract, answer.reading),
        }
        if isinstance(answer, Labelled):
            values[name] = [answer.label.encode()]
            values[f"{name}_probability"] = [answer.probability]
            values[f"{name}_probabilities"] = list(answer.probabilities.values())
            values[contract.labels_output] = [label.encode() for label in answer.probabilities]
            values[contract.signal_output] = [answer.signal.encode()]
            values[contract.doubt_output] = [answer.doubt.encode()]
        else:
            values |= write_text(contract, answer)
        told = [one for one in contract.ensemble_outputs() if one.name in values or not one.optional]
        arrays.update({tensor.name: filled(tensor, values[tensor.name]) for tensor in told})
    moved = {
        task: [one.to_dict() for one in answer.evidence]
        for task, answer in report.answers.items()
        if isinstance(answer, Labelled)
    }
    if EVIDENCE.name not in report.failed:
        arrays[EVIDENCE.name] = filled(EVIDENCE, [json.dumps(moved).encode()])
    arrays[FAILED.name] = filled(FAILED, [json.dumps(dict(report.failed)).encode()])
    return arrays
