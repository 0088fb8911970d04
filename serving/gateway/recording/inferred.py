"""What Triton said to a request of KServe, as a report: which requests have one, and how it is read."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from tritonclient.grpc import service_pb2

from infolens import Report
from infolens.contract import CONTRACTS, INFO_LENS, TEXT, TITLE, Task
from infolens.wire import unpack
from serving.gateway.catalogue import CatalogueModel
from serving.gateway.checking import InferRequestView
from serving.gateway.kserve.datatypes import split_strings
from serving.gateway.kserve.messages import to_arrays


def tasks_asked(model: CatalogueModel, view: InferRequestView) -> tuple[Task, ...]:
    """The tasks whose answers a request gets whole; none where its answer is no prediction of one article.

    Args:
        model: The model that it is for.
        view: The request, which passed all checks.
    """
    if not _has_one_article(view):
        return ()
    outputs = {one.name for one in view.outputs} or model.outputs.keys()
    return tuple(
        task
        for task, contract in CONTRACTS.items()
        if model.name in (contract.ensemble, INFO_LENS) and _needed(task) <= outputs
    )


@cache
def _needed(task: Task) -> frozenset[str]:
    """The outputs without which an answer of a task is not whole."""
    return frozenset(one.name for one in CONTRACTS[task].ensemble_outputs() if not one.optional)


def _has_one_article(view: InferRequestView) -> bool:
    return any(one.name == TEXT.name and one.shape == (1, *TEXT.dims) for one in view.inputs)


def read_article(request: bytes) -> tuple[str, str | None]:
    """Text and title in a ``ModelInferRequest``.

    Raises:
        KeyError: It has no text.
        ValueError: An input is not laid out as strings are.
    """
    message = service_pb2.ModelInferRequest.FromString(request)
    found: dict[str, bytes] = {}
    for place, one in enumerate(message.inputs):
        if one.name not in (TEXT.name, TITLE.name):
            continue
        raw = message.raw_input_contents
        values = split_strings(raw[place]) if raw else list(one.contents.bytes_contents)
        if values:
            found[one.name] = values[0]
    title = found.get(TITLE.name, b"").decode("utf-8", "replace")
    return found[TEXT.name].decode("utf-8", "replace"), title or None


def read_report(answer: bytes, tasks: Collection[Task]) -> Report:
    """The report in a ``ModelInferResponse``.

    Raises:
        UnexpectedResponseError: It breaks the contract.
        ValueError: The data of an output is not what its type and shape say.
        KeyError: Its type is none that a task gives.
    """
    arrays: dict[str, Any] = to_arrays(answer)
    return unpack(arrays, tasks)
