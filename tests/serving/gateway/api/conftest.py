"""A Triton that is made up and answers all tasks, and the rows of a batch."""

from __future__ import annotations

import json
import struct

import pytest

from infolens.contract import CATEGORIES, VERACITIES
from serving.gateway.kserve.datatypes import join_strings
from tests.serving.gateway.http.running import FakeTriton


def _labelled(task: str, labels: tuple[str, ...]) -> dict[str, bytes]:
    """The outputs of a classifier that is sure of its first label."""
    return {
        task: join_strings([labels[0].encode()]),
        f"{task}_labels": join_strings([label.encode() for label in labels]),
        f"{task}_probability": struct.pack("<f", 1.0),
        f"{task}_probabilities": struct.pack(f"<{len(labels)}f", 1.0, *[0.0] * (len(labels) - 1)),
        f"{task}_signal": join_strings([labels[0].encode()]),
        f"{task}_doubt": join_strings([b""]),
        f"{task}_tokens": struct.pack("<i", 12),
        f"{task}_unread": join_strings([b"[]"]),
    }


def make_fake() -> FakeTriton:
    """Summarises everything as "A summary." and is sure of the first labels."""
    triton = FakeTriton()
    triton.values = {
        "summary": join_strings([b"A summary."]),
        "summary_sentences": join_strings([b"[]"]),
        "summary_unsupported": join_strings([b"[]"]),
        "summary_tokens": struct.pack("<i", 12),
        "summary_unread": join_strings([b"[]"]),
        "failed": join_strings([b"{}"]),
        "evidence": join_strings([b'{"category": [{"index": 1, "start": 3, "end": 7, "weight": 0.25}]}']),
        **_labelled("category", CATEGORIES),
        **_labelled("veracity", VERACITIES),
    }
    return triton


@pytest.fixture
def fake() -> FakeTriton:
    """See `make_fake`."""
    return make_fake()


def lines(body: bytes) -> list[dict[str, object]]:
    """The rows of an answer to a batch."""
    return [json.loads(line) for line in body.splitlines()]
