"""The SDK and its command on a real door: every transport says the id, and what is said of it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import infolens.cli
from infolens import AsyncClient, Client, PredictionNotFoundError, RequestRejectedError
from serving.feedback.options import FeedbackOptions
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import RunningDoor, fake_door
from tests.serving.gateway.scripted import Door, ScriptedTriton, opened, options

TEXT = "Oil rises as tankers wait."


def feedback(folder: Path) -> FeedbackOptions:
    return FeedbackOptions(keeps=True, url=f"sqlite:///{folder / 'feedback.sqlite3'}", spool=str(folder / "spool"))


@pytest.fixture
async def both_doors(tmp_path: Path, scripted: ScriptedTriton) -> AsyncIterator[Door]:
    fake = make_fake()

    async def answer(request: bytes, _: Any) -> bytes:
        return await fake.infer(request)

    scripted.answer = answer
    async with (
        scripted.listening() as address,
        opened(options(tmp_path, address, feedback=feedback(tmp_path))) as door,
    ):
        yield door


@pytest.fixture
def http_door(tmp_path: Path) -> Iterator[RunningDoor]:
    with fake_door(tmp_path, make_fake(), feedback=feedback(tmp_path)) as door:
        yield door


async def test_every_transport_says_the_id_of_what_is_kept(both_doors: Door) -> None:
    grpc, http = (f"{kind}://127.0.0.1:{both_doors.ports[f'{kind}_port']}" for kind in ("grpc", "http"))

    def blocking(url: str) -> str | None:
        with Client(url) as client:
            return client.analyze(TEXT).prediction

    async def waiting(url: str) -> str | None:
        async with AsyncClient(url) as client:
            return (await client.analyze(TEXT)).prediction

    ids = [*await asyncio.gather(*(asyncio.to_thread(blocking, url) for url in (grpc, http)))]
    ids += [await waiting(url) for url in (grpc, http)]
    assert len({*ids}) == 4
    async with AsyncClient(http) as client:
        for one in ids:
            assert one is not None
            kept = await client.prediction(one)
            assert (kept.article.words, [*kept.answers]) == (5, ["summary", "category", "veracity"])


def test_what_is_said_is_kept_once_and_told(http_door: RunningDoor) -> None:
    with Client(http_door.url) as client:
        (result,) = client.analyze_batch([TEXT])
        report = result.report
        assert report is not None
        said = {"stars": 4, "better": "Shorter.", "category": "Politics", "veracity": True, "rater": "desk-7"}
        first = client.rate(report, **said, note="a column", consent=True, idempotency_key="one")
        again = client.rate(report, **said, note="a column", consent=True, idempotency_key="one")
        assert (first.kept, first.repeated, again.repeated, again.id) == ("database", False, True, first.id)
        with pytest.raises(RequestRejectedError, match="used for something else"):
            client.rate(report, stars=1, idempotency_key="one")
        with pytest.raises(RequestRejectedError, match="the model has no such label: it has Business"):
            client.rate(report, category="Weather")
        kept = client.prediction(report)
        assert [one["ratings"] for one in kept.feedback] == [
            {
                "summary": {"stars": 4, "better": "Shorter."},
                "category": {"right": False, "label": "Politics"},
                "veracity": {"right": True},
            }
        ]
        assert client.forget(report).done
        for call in (client.forget, client.prediction):
            with pytest.raises(PredictionNotFoundError, match="no such prediction"):
                call(report)


def test_the_command_rates_and_forgets(
    http_door: RunningDoor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFOLENS_URL", http_door.url)
    assert infolens.cli.main(["analyze", "--text", TEXT]) == 0
    name = capsys.readouterr().out.rpartition("infolens rate ")[2].split()[0]
    assert infolens.cli.main(["rate", name, "--stars", "5", "--category", "right"]) == 0
    assert infolens.cli.main(["rate", name, "--category", "Weather"]) == 1
    assert infolens.cli.main(["forget", name]) == 0
    assert infolens.cli.main(["forget", name]) == 1
