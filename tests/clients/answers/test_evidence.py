"""Evidence: what the client asks for, what it makes of the answer, and how it shows it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infolens import (
    Article,
    AsyncClient,
    Client,
    Evidence,
    InferenceFailedError,
    InvalidSettingError,
    Report,
    RequestRejectedError,
    Task,
    UnexpectedResponseError,
)
from infolens import cli as command
from infolens._commands import running, usage
from infolens._commands.render import report_text
from infolens._many.rows import Asked, read_report
from infolens._transports.answering import pack_report
from infolens._transports.failures import to_error
from infolens._transports.wire import pack, unpack
from infolens.contract import INFO_LENS
from infolens.testing import FakeTransport, fake_report

TEXT = "Nobody knows 😀. A miracle cures all. The end."
MIRACLE = Evidence(index=1, start=16, end=36, weight=0.25)
FOUND = fake_report(evidence=[MIRACLE])
NONE_NOW = fake_report(failed={"evidence": "the server is broken"})


def evidence_of(report: object) -> list[tuple[Evidence, ...]]:
    assert isinstance(report, Report)
    return [report.answers[task].evidence for task in (Task.CATEGORY, Task.VERACITY)]  # type: ignore[union-attr]


def test_it_is_asked_for_only_where_it_is_wanted() -> None:
    fake = FakeTransport(FOUND)
    with Client(transport=fake) as client:
        assert evidence_of(client.analyze(TEXT)) == [(), ()]
        assert evidence_of(client.analyze(TEXT, evidence=True)) == [(MIRACLE,), (MIRACLE,)]
        assert client.verify(TEXT).evidence == ()
        veracity = client.analyze(TEXT, tasks="veracity", evidence=True).veracity
        assert veracity is not None
        assert veracity.evidence == (MIRACLE,)
        (many,), (batch,) = client.analyze_many([TEXT], evidence=True), client.analyze_batch([TEXT], evidence=True)
        assert evidence_of(many) == evidence_of(batch.report) == [(MIRACLE,), (MIRACLE,)]
    assert ["evidence" in request.outputs for request in fake.requests] == [False, True, False, True, True, True]
    given = {"evidence": True}
    assert [dict(request.parameters) for request in fake.requests] == [{}, given, {}, given, given, given]


async def test_the_async_client_too() -> None:
    async with AsyncClient(transport=FakeTransport(FOUND)) as client:
        assert evidence_of(await client.analyze(TEXT, evidence=True)) == [(MIRACLE,), (MIRACLE,)]
        async for report in client.analyze_many([TEXT], evidence=True):
            assert evidence_of(report) == [(MIRACLE,), (MIRACLE,)]
        async for result in client.analyze_batch([TEXT], evidence=True):
            assert evidence_of(result.report) == [(MIRACLE,), (MIRACLE,)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"evidence": "yes"}, "evidence is True or False, not 'yes'"),
        ({"evidence": True, "tasks": "summary"}, "only summary is asked for; ask for category or veracity too"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_sent(given: dict[str, Any], message: str) -> None:
    fake = FakeTransport(FOUND)
    with Client(transport=fake) as client:
        with pytest.raises(InvalidSettingError, match=message):
            client.analyze(TEXT, **given)
        for ask in (client.analyze_many, client.analyze_batch):
            with pytest.raises(InvalidSettingError, match=message):
                ask([TEXT], **given)
    assert fake.requests == []


def test_a_sentence_is_cut_out_of_the_text_by_code_points() -> None:
    assert MIRACLE.of(TEXT) == "A miracle cures all."


def test_a_report_has_it_in_json_where_there_is_some() -> None:
    assert "evidence" not in fake_report().to_dict()["veracity"]
    document = json.loads(json.dumps(FOUND.to_dict()))
    assert document["veracity"]["evidence"] == [{"index": 1, "start": 16, "end": 36, "weight": 0.25}]
    assert read_report(document, tuple(Task)) == FOUND
    assert pickle.loads(pickle.dumps(FOUND)) == FOUND != fake_report()
    assert evidence_of(unpack(pack_report(FOUND), tuple(Task))) == [(MIRACLE,), (MIRACLE,)]


def test_evidence_that_fails_leaves_the_answers_whole() -> None:
    with Client(transport=FakeTransport(NONE_NOW)) as client:
        report = client.analyze(TEXT, evidence=True, partial=True)
        one = client.analyze(TEXT, tasks="veracity", evidence=True, partial=True)
        with pytest.raises(InferenceFailedError, match="the server is broken"):
            client.analyze(TEXT, evidence=True)
        assert client.analyze(TEXT).failed == {}
    assert list(report.answers) == list(Task)
    assert report.failed == one.failed == {"evidence": "the server is broken"}
    assert one.veracity is not None
    assert report.to_dict()["failed"] == {"evidence": "the server is broken"}
    assert read_report(report.to_dict(), tuple(Task)) == report == pickle.loads(pickle.dumps(report))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"veracity": 7}',
        '{"veracity": [{"index": 1, "start": 16, "end": 36}]}',
        '{"veracity": [{"index": 1, "start": 36, "end": 36, "weight": 0.1}]}',
        '{"veracity": [{"index": true, "start": 1, "end": 36, "weight": 0.1}]}',
    ],
)
def test_what_the_server_may_not_say_of_it(text: str) -> None:
    arrays = {**pack_report(FOUND), "evidence": np.array([[text.encode()]], dtype=object)}
    with pytest.raises(UnexpectedResponseError, match="evidence must be a JSON object from tasks to sentences"):
        unpack(arrays, tuple(Task))


def test_a_server_of_before_is_told_from_a_broken_one() -> None:
    for code in ("INVALID_ARGUMENT", "400"):
        words = "unexpected inference output 'evidence' for model 'info_lens'"
        error = to_error(code=code, message=words, server="s", timeout_s=1.0)
        assert isinstance(error, RequestRejectedError)
        assert "it tells no evidence: leave evidence out, or update the server" in str(error)


def test_a_batch_asks_for_it_in_each_line() -> None:
    def line(*, evidence: bool) -> dict[str, Any]:
        asked = Asked(
            tasks=tuple(Task), options=None, partial=False, evidence=evidence, timeout_s=1.0, server="http://s"
        )
        document: dict[str, Any] = json.loads(asked.line(Article(text=TEXT)))
        return document

    assert line(evidence=True)["evidence"] is True
    assert "evidence" not in line(evidence=False)


def test_a_request_for_one_task_goes_to_the_model_that_has_evidence() -> None:
    article = Article(text=TEXT)
    assert pack(article, [Task.VERACITY]).model == "verify"
    request = pack(article, [Task.VERACITY], evidence=True, partial=True)
    assert request.model == INFO_LENS
    assert request.outputs[-2:] == ("evidence", "failed")
    assert request.parameters == {"evidence": True, "partial": True}


def test_people_see_the_sentence_under_the_verdict() -> None:
    shown = report_text("a.txt", None, FOUND, text=TEXT)
    _, _, veracity = shown.partition("  Veracity")
    assert (
        veracity.splitlines()[-1]
        == "            likeness to the real ones falls by 25.0 points without: A miracle cures all."
    )
    assert shown.count("without") == 2


def test_the_command_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeTransport(FOUND)
    monkeypatch.setattr(running, "Client", lambda *_, **__: Client(transport=fake))
    file = tmp_path / "a.txt"
    file.write_text(TEXT, encoding="utf-8")
    assert command.main(["analyze", str(file)]) == command.main(["analyze", "--evidence", str(file)]) == 0
    assert [request.parameters.get("evidence", False) for request in fake.requests] == [False, True]
    shown = " ".join(capsys.readouterr().out.split())  # however wide the terminal is
    assert shown.count("falls by 25.0 points without: A miracle cures all.") == 2
    assert command.main(["analyze", "--evidence", "--json", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["category"]["evidence"] == [MIRACLE.to_dict()]
    assert command.main(["analyze", "--evidence", "--task", "summary", str(file)]) == usage.USAGE
