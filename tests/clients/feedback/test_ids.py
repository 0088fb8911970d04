"""The id of a prediction comes with its report, whatever the transport."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from infolens import AsyncClient, Client, Report
from infolens._many.rows import read_report
from infolens.contract import Task
from infolens.tables import to_row
from infolens.testing import FakeTransport, fake_report
from tests.clients.feedback.server import ID
from tests.clients.loopback import grpc_server, http_server
from tests.clients.v1.server import Script, v1_server

Serve = Callable[[FakeTransport], AbstractContextManager[str]]
NO_IDS = ("", "short", f"{ID}x", f"{ID[:-1]}/", f"{ID[:-1]}\u00e9")


def ask(kind: str, url: str) -> Report:
    if kind == "blocking":
        with Client(url) as client:
            return client.analyze("The home side won.")

    async def asked() -> Report:
        async with AsyncClient(url) as client:
            return await client.analyze("The home side won.")

    return asyncio.run(asked())


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
@pytest.mark.parametrize("serve", [http_server, grpc_server])
def test_a_report_has_the_id_that_the_server_says(kind: str, serve: Serve) -> None:
    with serve(FakeTransport(fake_report(prediction=ID))) as url:
        assert ask(kind, url).prediction == ID
    with serve(FakeTransport(fake_report())) as url:
        assert ask(kind, url).prediction is None
    with serve(FakeTransport(fake_report(prediction="no id"))) as url:
        assert ask(kind, url).prediction is None


def test_rows_of_a_batch_have_theirs() -> None:
    ids = {"one": ID, "two": "A" * 22, "three": None}
    script = Script(answer=lambda row: fake_report(prediction=ids[row["text"]]))
    with v1_server(script) as url, Client(url) as client:
        found = [result.report for result in client.analyze_batch(ids)]
    assert [report and report.prediction for report in found] == [*ids.values()]


@pytest.mark.parametrize("told", [None, 7, *NO_IDS])
def test_what_is_no_id_is_none(told: object) -> None:
    assert read_report({**fake_report().to_dict(), "prediction": told}, tuple(Task)).prediction is None


def test_the_id_is_no_part_of_what_a_report_says() -> None:
    report = fake_report(prediction=ID)
    assert report == fake_report()
    assert ID not in repr(report)
    assert pickle.loads(pickle.dumps(report)).prediction == replace(report, trace_id="0" * 32).prediction == ID
    assert report.to_dict()["prediction"] == to_row(report.to_dict())["prediction"] == ID
    assert read_report(report.to_dict(), tuple(Task)).prediction == ID
    assert "prediction" not in fake_report().to_dict()
