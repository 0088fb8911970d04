"""Summaries in the SDK: what may be asked of them, and the spans that their answers tell."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from infolens import (
    Article,
    AsyncClient,
    Client,
    InvalidSettingError,
    Quote,
    RequestRejectedError,
    SummaryOptions,
    Task,
    UnexpectedResponseError,
    Unsupported,
)
from infolens._many.rows import read_report
from infolens._transports.answering import pack_report, unpack_request
from infolens._transports.base import InferRequest
from infolens._transports.wire import pack, unpack
from infolens.contract import SUMMARY_SETTINGS
from infolens.testing import FakeTransport, fake_report

ARTICLE = Article(text="It rained. He won.")
QUOTES = (Quote(index=1, start=11, end=18), Quote(index=0, start=0, end=4, truncated=True))
SPANS = (Unsupported(start=3, end=8, text="1,200", kind="number"),)
REPORT = fake_report(summary="He 1,200 won.", sentences=QUOTES, unsupported=SPANS)
SAMPLE = SummaryOptions(style="extractive", temperature=0.5, top_p=0.25, seed=2**31 - 1)


def test_a_sample_and_a_style_travel_as_tensors() -> None:
    request = pack(ARTICLE, [Task.SUMMARY], SAMPLE)
    found = {name: (array.dtype, array.tolist()) for name, array in request.inputs.items() if name != "text"}
    assert found == {
        "style": (np.dtype(object), [[b"extractive"]]),
        "temperature": (np.dtype(np.float32), [[0.5]]),
        "top_p": (np.dtype(np.float32), [[0.25]]),
        "seed": (np.dtype(np.int32), [[2**31 - 1]]),
    }
    assert unpack_request(request) == (ARTICLE, SAMPLE)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"style": "loose"}, "style is one of free, extractive, not 'loose'; leave it out for the model's own"),
        ({"style": 1}, "style is one of"),
        ({"temperature": 2.1}, "temperature must lie between 0 and 2, but is 2.1"),
        ({"temperature": "1"}, "temperature is a number from 0 to 2"),
        ({"temperature": 1, "top_p": 0.01}, "top_p must lie between 0.05 and 1"),
        ({"temperature": 1, "seed": -1}, "a new one for each request"),
        ({"temperature": 1, "seed": 2**31}, "between 0 and 2147483647"),
        ({"temperature": 1, "seed": 1.5}, "seed is a whole number"),
        ({"top_p": 0.5}, "top_p is for samples, .* but temperature is left out"),
        ({"seed": 3}, "seed is for samples"),
        ({"temperature": 0, "seed": 3}, "seed is for samples, .* but temperature is 0"),
        ({"temperature": 0.7, "num_beams": 2}, "temperature is 0.7 and num_beams is 2"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_way_out(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        SummaryOptions(**values)


def test_what_goes_together_is_taken() -> None:
    every: list[dict[str, Any]] = [
        {"temperature": 0, "num_beams": 4},
        {"temperature": 1, "num_beams": 1},
        {"temperature": 1, "seed": 0},
    ]
    assert [SummaryOptions(**values).given() for values in every] == every


def test_every_setting_says_what_it_may_be_and_what_counts_without_it() -> None:
    said = {one.name: (one.rule, one.left_out) for one in SUMMARY_SETTINGS}
    assert said["max_length"] == ("a whole number from 4 to 256", "the model's own, 80 as a rule")
    assert said["style"] == ("one of free, extractive", "the model's own")
    assert said["seed"] == ("a whole number from 0 to 2147483647", "a new one for each request")
    assert [one.name for one in SUMMARY_SETTINGS if one.varies] == ["max_length", "num_beams", "style", "seed"]


def test_spans_come_over_every_way_and_last() -> None:
    assert REPORT.summary is not None
    assert (REPORT.summary.sentences, REPORT.summary.unsupported) == (QUOTES, SPANS)
    assert unpack(pack_report(REPORT), [Task.SUMMARY]).summary == REPORT.summary
    document = json.loads(json.dumps(REPORT.to_dict()))
    assert document["summary"]["sentences"][1] == {"index": 0, "start": 0, "end": 4, "truncated": True}
    assert read_report(document, [Task.SUMMARY]).summary == REPORT.summary
    assert Client(transport=FakeTransport(REPORT)).summarize("It rained.") == REPORT.summary
    assert pickle.loads(pickle.dumps(REPORT)) == REPORT
    assert hash(REPORT.summary) == hash(pickle.loads(pickle.dumps(REPORT.summary)))


def test_a_document_of_an_older_server_has_no_spans() -> None:
    document = {**REPORT.to_dict(), "summary": {"text": "He won."}}
    summary = read_report(document, [Task.SUMMARY]).summary
    assert summary is not None
    assert (summary.text, summary.sentences, summary.unsupported) == ("He won.", (), ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("summary_sentences", "no JSON"),
        ("summary_sentences", "{}"),
        ("summary_sentences", "[1]"),
        ("summary_sentences", '[{"index": 0, "start": 5, "end": 4}]'),
        ("summary_sentences", '[{"index": -1, "start": 0, "end": 4}]'),
        ("summary_sentences", '[{"index": true, "start": 0, "end": 4}]'),
        ("summary_sentences", '[{"start": 0, "end": 4}]'),
        ("summary_unsupported", '[{"start": 0, "end": 4, "text": "x"}]'),
        ("summary_unsupported", "[" * 100_000),
    ],
)
def test_spans_off_the_contract_are_refused(name: str, text: str) -> None:
    arrays = pack_report(REPORT)
    arrays[name] = np.array([[text.encode()]], dtype=np.object_)
    with pytest.raises(UnexpectedResponseError, match=name):
        unpack(arrays, [Task.SUMMARY])
    unpack(arrays, [Task.CATEGORY])


class Older(FakeTransport):
    """A server of an earlier version: it refuses the outputs that it does not have."""

    def infer(self, request: InferRequest, *, timeout_s: float) -> dict[str, NDArray[Any]]:
        for name in ("summary_sentences", "summary_unsupported"):
            if name in request.outputs:
                raise RequestRejectedError(
                    f"the server says: unexpected inference output '{name}' for model 'info_lens'"
                )
        return dict(super().infer(request, timeout_s=timeout_s))


async def test_a_server_of_an_earlier_version_answers_as_ever() -> None:
    for tasks in (None, Task.SUMMARY):
        older = Client(transport=Older(REPORT)).analyze("It rained.", tasks=tasks).summary
        async with AsyncClient(transport=Older(REPORT)) as client:
            assert (await client.analyze("It rained.", tasks=tasks)).summary == older
        assert older is not None
        assert (older.text, older.sentences, older.unsupported) == ("He 1,200 won.", (), ())
