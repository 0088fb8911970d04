"""Signal and doubt of classifiers in the SDK: from tensors and lines, on the screen, and from servers without them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from infolens import AsyncClient, Client, ModelUnavailableError, RequestRejectedError, Task, UnexpectedResponseError
from infolens._commands.render import report_text
from infolens._many.rows import read_report
from infolens._transports.answering import pack_report
from infolens._transports.wire import unpack
from infolens.contract import CONTRACTS
from infolens.testing import FakeTransport, InferRequest, fake_report

TASKS = [Task.CATEGORY, Task.VERACITY]
NEW = {f"{task}_{what}" for task in TASKS for what in ("signal", "doubt", "unread")} | {
    "summary_sentences",
    "summary_unsupported",
    "summary_unread",
}


def test_without_doubt_the_signal_is_the_label() -> None:
    report = unpack(pack_report(fake_report(category="Travel")), TASKS)
    assert report.category is not None
    assert (report.category.signal, report.category.doubt) == ("Travel", "")


def test_doubt_leaves_the_label_as_it_is() -> None:
    report = unpack(pack_report(fake_report(veracity="fake", doubt="text too short")), TASKS)
    assert report.veracity is not None
    assert report.category is not None
    assert (report.veracity.label, report.veracity.probability) == ("fake", 0.9)
    assert (report.veracity.signal, report.veracity.doubt) == ("no clear signal", "text too short")
    assert report.category.signal == "unsure"
    assert read_report(json.loads(json.dumps(report.to_dict())), TASKS) == report


@pytest.mark.parametrize(("signal", "doubt"), [(b"fake", b""), (b"real", b"text too short")])
def test_a_signal_that_contradicts_its_label_is_refused(signal: bytes, doubt: bytes) -> None:
    arrays = pack_report(fake_report(veracity="real"))
    arrays["veracity_signal"] = np.array([[signal]], np.object_)
    arrays["veracity_doubt"] = np.array([[doubt]], np.object_)
    with pytest.raises(UnexpectedResponseError, match="veracity_signal must be the label 'real', or 'no clear signal'"):
        unpack(arrays, [Task.VERACITY])


def test_doubt_stands_above_the_labels_on_the_screen() -> None:
    lines = report_text("a.txt", None, fake_report(veracity="fake", doubt="text too short")).splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("  Veracity"))
    assert lines[at] == "  Veracity  no clear signal (text too short)"
    assert lines[at + 1].split() == ["like", "the", "fake", "ones", "90.0%", "##################"]
    sure = report_text("a.txt", None, fake_report(veracity="fake"))
    assert "  Veracity  written like the fake articles that the model learned from\n" in sure
    assert "            like the fake ones    90.0%" in sure
    assert "            judged by wording, not checked\n" in sure
    assert "(" not in sure


class OlderServer(FakeTransport):
    """Refuses a request for outputs that it does not have, as the door of a server of an earlier version does."""

    def infer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        found = super().infer(request, timeout_s=timeout_s)
        if unknown := sorted(NEW.intersection(request.outputs)):
            raise ModelUnavailableError(f"unexpected inference output '{unknown[0]}' for model '{request.model}'")
        return found


async def test_a_server_of_an_earlier_version_is_asked_for_what_it_has() -> None:
    server = OlderServer()
    report = Client(transport=server).analyze("A text.")
    assert report.veracity is not None
    assert (report.veracity.label, report.veracity.signal, report.veracity.doubt) == ("real", "", "")
    first, second = server.requests
    assert set(first.outputs) - set(second.outputs) == NEW
    assert first.inputs == second.inputs
    async with AsyncClient(transport=OlderServer()) as client:
        assert (await client.classify("A text.")).signal == ""


def test_another_refusal_is_raised_at_once() -> None:
    refused = ModelUnavailableError("unexpected inference output 'mood' for model 'x'")
    for error in (RequestRejectedError("no"), refused):
        server = FakeTransport(error)
        with pytest.raises(type(error)):
            Client(transport=server).analyze("A text.")
        assert len(server.requests) == 1


def test_a_line_of_an_earlier_version_is_read() -> None:
    document = fake_report().to_dict()
    for task in TASKS:
        del document[task]["signal"], document[task]["doubt"]
    report = read_report(document, TASKS)
    assert report.category is not None
    assert (report.category.label, report.category.signal) == ("Business", "")


def test_every_classifier_has_a_word_of_doubt_that_is_none_of_its_labels() -> None:
    for contract in CONTRACTS.values():
        assert contract.doubt_word
        assert contract.doubt_word not in contract.default_labels
