"""Which pieces of a text a model did not read: in the SDK, on the screen, and from servers that do not say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from infolens import AsyncClient, Client, ModelUnavailableError, Reading, Report, Span, Task, UnexpectedResponseError
from infolens._commands.render import report_text
from infolens._many.rows import read_report
from infolens._transports.answering import pack_report
from infolens._transports.wire import unpack
from infolens.testing import FakeTransport, InferRequest, fake_report

TASKS = (Task.SUMMARY, Task.CATEGORY, Task.VERACITY)
SPANS = (Span(start=3, end=9), Span(start=12, end=20))
UNREAD = {f"{task}_unread" for task in TASKS}
SIGNALS = {f"{task}_{what}" for task in TASKS[1:] for what in ("signal", "doubt")}


@pytest.mark.parametrize("unread", [SPANS, (), None], ids=["some", "nothing", "not told"])
def test_what_was_not_read_comes_as_it_was_told(unread: tuple[Span, ...] | None) -> None:
    report = fake_report(tokens=9, truncated_tokens=2, unread=unread)
    tensors = pack_report(report)
    assert UNREAD & tensors.keys() == (set() if unread is None else UNREAD)
    assert unpack(tensors, TASKS).readings == report.readings
    document = json.loads(json.dumps(report.to_dict()))
    told = {} if unread is None else {"unread": [{"start": one.start, "end": one.end} for one in unread]}
    assert document["readings"]["summary"] == {"tokens": 9, "truncated_tokens": 2, **told}
    assert read_report(document, TASKS).readings == report.readings
    assert SPANS[0].of("0123456789") == "345678"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "7",
        "[[1]]",
        "[[1, 2, 3]]",
        "[[2, 1]]",
        "[[-1, 2]]",
        "[[0, true]]",
        "[[0, 5], [4, 9]]",
        "[" * 100_000,
    ],
)
def test_places_off_the_contract_are_refused(text: str) -> None:
    arrays = pack_report(fake_report())
    arrays["veracity_unread"] = np.array([[text.encode()]], dtype=np.object_)
    with pytest.raises(UnexpectedResponseError, match="veracity_unread must be a JSON list of spans"):
        unpack(arrays, TASKS)
    unpack(arrays, [Task.CATEGORY])


@pytest.mark.parametrize("unread", [7, [[1, 2], {"start": 0, "end": 1}], [{"start": 1}]])
def test_a_line_with_other_places_is_refused(unread: Any) -> None:
    document = fake_report().to_dict()
    document["readings"]["summary"]["unread"] = unread
    with pytest.raises(ValueError, match=r"spans|whole number"):
        read_report(document, TASKS)


class Older(FakeTransport):
    """Refuses the outputs that it does not have, naming one of them, as servers of earlier versions do."""

    def __init__(self, lacks: set[str], named: Callable[[list[str]], str] = min) -> None:
        super().__init__(fake_report(veracity="fake", unread=SPANS))
        self.lacks = lacks
        self.named = named

    def infer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        found = super().infer(request, timeout_s=timeout_s)
        if unknown := [name for name in request.outputs if name in self.lacks]:
            raise ModelUnavailableError(
                f"unexpected inference output '{self.named(unknown)}' for model '{request.model}'"
            )
        return found


async def test_a_server_of_the_version_before_keeps_its_signals() -> None:
    server = Older(UNREAD)
    report = Client(transport=server).analyze("A text.")
    assert report.veracity is not None
    assert (report.veracity.signal, report.veracity.reading.unread) == ("fake", None)
    first, second = server.requests
    assert set(first.outputs) - set(second.outputs) == UNREAD
    async with AsyncClient(transport=Older(UNREAD)) as client:
        assert (await client.classify("A text.")).signal == "Business"


def test_a_server_of_before_signals_is_asked_for_what_it_has() -> None:
    for first in (min, max):  # whichever of them it names
        server = Older(UNREAD | SIGNALS, first)
        answer = Client(transport=server).verify("A text.")
        assert (answer.label, answer.signal, answer.reading.unread) == ("fake", "", None)
        assert not (UNREAD | SIGNALS).intersection(server.requests[-1].outputs)


def shown(report: Report, text: str = "") -> str:
    return report_text("a.txt", None, report, text=text)


def test_the_screen_says_which_part_was_not_read() -> None:
    text = "x" * 100
    end = Reading(tokens=50, truncated_tokens=20, unread=(Span(start=60, end=99),))
    between = Reading(tokens=50, truncated_tokens=9, unread=(Span(start=10, end=20), Span(start=30, end=35)))
    report = fake_report(tokens=50, truncated_tokens=20, unread=())
    assert report.summary is not None
    assert report.category is not None
    assert report.veracity is not None
    told = replace(
        report,
        summary=replace(report.summary, reading=end),
        category=replace(report.category, reading=between),
        veracity=replace(report.veracity, reading=end),
    )
    blank_end = text[:99] + "\n"
    assert "  Note      not read: the last 39% (summary, veracity), 15% in 2 places (category)\n" in shown(
        told, blank_end
    )
    # Without the text, and where the server does not say, it is told in tokens.
    assert "  Note      not read: 20 of 50 tokens (summary, veracity), 9 of 50 tokens (category)\n" in shown(told)
    one = replace(told, category=replace(report.category, reading=replace(between, unread=(Span(start=0, end=1),))))
    assert "1% in 1 place (category)" in shown(one, text * 9)
    assert "Note" not in shown(fake_report(), text)
