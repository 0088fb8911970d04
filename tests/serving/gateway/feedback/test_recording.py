"""Answers of KServe and of batches are noted after they went out, beside the event loop, and never in their way."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infolens.contract import CATEGORIES, CONTRACTS, Task
from infolens.wire import unpack
from serving.feedback.records import Prediction
from serving.gateway.kserve.datatypes import join_strings
from serving.gateway.kserve.messages import to_arrays
from serving.gateway.recording import inferred, making, recorder
from serving.gateway.recording.making import Said
from serving.gateway.recording.recorder import Recorder
from tests.serving.gateway.api.conftest import lines, make_fake
from tests.serving.gateway.feedback.asking import TEXT, TITLE, analyze, keeping, kept, kept_in, rate
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor, infer_body
from tests.serving.gateway.scripted import ScriptedTriton, infer_request, opened, options

HEADER = "Infolens-Prediction"


@pytest.fixture
def fake() -> FakeTriton:
    return make_fake()


def asked(door: RunningDoor, model: str, route: str, body: Mapping[str, Any]) -> Answer:
    answer = door.ask("POST", f"/v2/models/{model}/{route}", json.dumps(body))
    assert answer.status == 200, answer.body
    return answer


def test_an_answer_of_kserve_is_what_an_answer_of_the_api_is(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake) as door:
        plain = kept(door, analyze(door)["prediction"])
        tensors = [
            {"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [value]}
            for name, value in (("text", TEXT), ("title", TITLE))
        ]
        whole = {one.name for contract in CONTRACTS.values() for one in contract.ensemble_outputs()}
        wanted = [{"name": name} for name in sorted(whole & {one.name for one in fake.configs["info_lens"].output})]
        for answer in (
            asked(door, "info_lens", "infer", {"inputs": tensors, "outputs": wanted}),
            asked(door, "info_lens", "infer", {"inputs": tensors}),
            asked(door, "info_lens", "generate", {"text": TEXT, "title": TITLE}),
        ):
            found = kept(door, answer.headers[HEADER])
            assert found["article"] == plain["article"]
            for task in ("summary", "category", "veracity"):
                one = {name: value for name, value in found["answers"][task].items() if name != "evidence"}
                assert one == plain["answers"][task]
        alone = asked(door, "classify", "generate", {"text": TEXT})
        assert kept(door, alone.headers[HEADER])["answers"].keys() == {"category"}
        assert rate(door, alone.headers[HEADER], ratings={"category": {"right": True}}).status == 200


def test_what_is_no_answer_about_one_article_has_no_id(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake) as door:
        for model, body in (
            ("classify", infer_body(["Oil rises.", "Gold falls."])),
            ("classify", infer_body(outputs=[{"name": "category"}])),
            ("info_lens", infer_body(outputs=[{"name": "summary_tokens"}])),
        ):
            answer = door.infer(model, body)
            assert (answer.status, HEADER in answer.headers) == (200, False), body
        classes = [{"name": "category_probabilities", "parameters": {"classification": 2}}]
        names = [{"name": one.name} for one in CONTRACTS[Task.CATEGORY].ensemble_outputs()]
        wanted = [one for one in names if one["name"] != "category_probabilities"] + classes
        found = door.infer("classify", infer_body(TEXT, outputs=wanted))
        assert len(kept(door, found.headers[HEADER])["answers"]["category"]["probabilities"]) == len(CATEGORIES)
        assert door.ask("POST", "/v2/models/classify/infer", b"{}").headers.get(HEADER) is None


def test_each_row_of_a_batch_has_an_id_of_its_own(tmp_path: Path, fake: FakeTriton) -> None:
    rows = [{"text": TEXT}, {"text": ""}, {"text": "Gold rises.", "tasks": ["category"]}]
    with keeping(tmp_path, fake) as door:
        answer = door.ask("POST", "/v1/analyze/batch", "".join(json.dumps(row) + "\n" for row in rows))
        first, refused, last = lines(answer.body)
        assert "prediction" not in refused
        assert first["prediction"] != last["prediction"]
        assert kept(door, str(first["prediction"]))["answers"].keys() == {"summary", "category", "veracity"}
        assert kept(door, str(last["prediction"]))["answers"].keys() == {"category"}


def test_tensors_are_read_beside_the_event_loop(
    tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    read = inferred.read_report

    def seen(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return read(*args)

    monkeypatch.setattr(making, "read_report", seen)
    with keeping(tmp_path, fake) as door:
        kept(door, door.infer("classify", infer_body(TEXT)).headers[HEADER])
    assert [one.name for one in threads] != ["door"]
    assert len(threads) == 1


def test_an_answer_that_breaks_the_contract_goes_out_and_is_told_once(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake) as door:
        fake.values = {**fake.values, "category": join_strings([b"no label"])}
        for _ in range(2):
            broken = door.infer("classify", infer_body(TEXT))
            assert broken.status == 200
            assert door.ask("GET", f"/v1/predictions/{broken.headers[HEADER]}").status == 404
        assert door.log.getvalue().count(b"answer not noted") == 1
        assert b"no label" not in door.log.getvalue()


async def test_grpc_says_the_id_in_its_trailing_metadata(tmp_path: Path) -> None:
    fake, triton = make_fake(), ScriptedTriton()

    async def answer(request: bytes, _: Any) -> bytes:
        return await fake.infer(request)

    triton.answer = answer
    typed = infer_request()
    typed.inputs[0].contents.bytes_contents.append(b"Oil rises.")
    del typed.raw_input_contents[:]
    async with triton.listening() as address:
        settings = options(tmp_path, address, feedback=kept_in(tmp_path))
        async with opened(settings) as door:
            ids = []
            for message in (infer_request(), typed):
                call = door.call("ModelInfer", message)
                await call
                ids.append(dict(await call.trailing_metadata())[HEADER.lower()])
            for prediction_id in ids:
                await door.parts.recorder.settled(prediction_id)
                found = await door.parts.feedback.find(prediction_id)
                assert found is not None
                assert (found.route, found.words) == ("infer", 2)
                assert [one.label for one in found.answers] == ["Business"]
            two = infer_request(outputs=("category",))
            call = door.call("ModelInfer", two)
            await call
            assert HEADER.lower() not in dict(await call.trailing_metadata())
    assert ids[0] != ids[1]


class Kept:
    """A keeper that remembers what it was given."""

    keeps, texts, audit_share, salt = True, False, 0.0, "salt"

    def __init__(self) -> None:
        self.noted: list[Prediction] = []

    def note(self, prediction: Prediction, text: str = "", title: str | None = None) -> None:
        self.noted.append(prediction)


class Nothing:
    """No model serves."""

    async def tasks(self) -> Mapping[Task, Any]:
        return {}


async def said(fake: FakeTriton, text: str = TEXT) -> Said:
    report = unpack(to_arrays(await fake.infer(infer_request("classify").SerializeToString())), [Task.CATEGORY])
    return Said(report=report, served={}, text=text, title=None, key="", route="analyze", timings={})


def made(keeper: Kept, **more: Any) -> Recorder:
    return Recorder(keeper, Nothing(), None, **more)  # type: ignore[arg-type]


async def test_what_was_said_is_handed_over_at_the_end(fake: FakeTriton) -> None:
    keeper, one = Kept(), await said(fake)
    async with made(keeper, linger_s=3600.0).running() as noting:
        ids = [noting.note(one) for _ in range(3)]
        assert keeper.noted == []
    assert [found.id for found in keeper.noted] == ids


async def test_one_that_is_asked_for_is_made_at_once(fake: FakeTriton) -> None:
    keeper, one = Kept(), await said(fake)
    async with made(keeper, linger_s=3600.0).running() as noting:
        for _ in range(3):
            found = noting.note(one)
            assert found is not None
            async with asyncio.timeout(30.0):
                await noting.settled(found)
            assert keeper.noted[-1].id == found
            remembered = noting.recent(found)
            assert remembered is not None
            assert remembered.text is None
        assert len(keeper.noted) == 3


async def test_what_waits_is_bounded(fake: FakeTriton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_HELD_BYTES", 5000)
    monkeypatch.setattr(recorder, "MAX_RECENT", 2)
    keeper, one = Kept(), await said(fake, "x" * 1000)
    async with made(keeper, linger_s=3600.0).running() as noting:
        first = [noting.note(one) for _ in range(4)]
        assert [found is None for found in first] == [False, False, True, True]
        await noting.settled(str(first[0]))
        later: Sequence[str | None] = [noting.note(one) for _ in range(2)]
        await noting.settled(str(later[-1]))
        assert None not in later
        assert noting.recent(str(first[0])) is None
        assert noting.recent(str(later[0])) is not None
    assert len(keeper.noted) == 4
