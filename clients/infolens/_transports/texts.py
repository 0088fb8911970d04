"""Texts, and spans of texts, as the outputs of models have them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from infolens.contract import TaskContract
from infolens.errors import UnexpectedResponseError
from infolens.types import Quote, Reading, Span, Summary, Unsupported

_Span = TypeVar("_Span", Quote, Span, Unsupported)


def read_text(contract: TaskContract, outputs: Mapping[str, str]) -> dict[str, Any]:
    """What a text's outputs say; spans that the server does not have are none.

    Raises:
        UnexpectedResponseError: Spans are no JSON, or hold impossible values.
    """
    return {
        "text": outputs[contract.task.value],
        "sentences": _read(contract.sentences_output, outputs, Quote),
        "unsupported": _read(contract.unsupported_output, outputs, Unsupported),
    }


def write_text(contract: TaskContract, answer: Summary) -> dict[str, list[bytes]]:
    """The outputs that say a text: the inverse of `read_text`."""
    spans: dict[str, tuple[Quote | Unsupported, ...]] = {
        contract.sentences_output: answer.sentences,
        contract.unsupported_output: answer.unsupported,
    }
    written = {name: [json.dumps([one.to_dict() for one in found]).encode()] for name, found in spans.items()}
    return {contract.task.value: [answer.text.encode()], **written}


def read_unread(contract: TaskContract, outputs: Mapping[str, str]) -> tuple[Span, ...] | None:
    """What a model did not read; None where the server does not say.

    Raises:
        UnexpectedResponseError: It is no JSON, or holds impossible values.
    """
    return _read(contract.unread_output, outputs, Span) if contract.unread_output in outputs else None


def write_unread(contract: TaskContract, reading: Reading) -> dict[str, list[bytes]]:
    """The output that says what a model did not read; none where that is not known."""
    if reading.unread is None:
        return {}
    return {contract.unread_output: [json.dumps([[one.start, one.end] for one in reading.unread]).encode()]}


def _read(name: str, outputs: Mapping[str, str], kind: type[_Span]) -> tuple[_Span, ...]:
    if name not in outputs:
        return ()
    try:
        return kind.read(json.loads(outputs[name]))
    except (ValueError, RecursionError) as error:
        raise UnexpectedResponseError(f"{name} must be a JSON list of spans, but {error}") from error
