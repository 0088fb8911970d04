"""One article in JSON: what it gives, and what a document must be."""

from __future__ import annotations

import gzip
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infolens.contract import CATEGORIES, SUMMARY_SETTINGS
from serving.gateway.api.requests import SummarySettings
from serving.gateway.configuration import RoomLimits
from serving.gateway.kserve.datatypes import join_strings
from serving.gateway.refusals import Refusal, RefusedError
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor, fake_door

TEXT = "Oil rises as tankers wait."


def analyze(door: RunningDoor, document: Any, **headers: str) -> Answer:
    return door.ask("POST", "/v1/analyze", json.dumps(document), headers)


def test_an_answer_has_all_that_is_known(door: RunningDoor) -> None:
    answer = analyze(door, {"text": TEXT, "title": "Oil", "id": "desk-1"}, **{"X-Request-Id": "r1"})
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Request-Id"] == "r1"
    found = answer.json
    assert found["id"] == "desk-1"
    assert found["summary"] == {"text": "A summary.", "sentences": [], "unsupported": []}
    assert found["category"]["label"] == CATEGORIES[0]
    assert list(found["category"]["probabilities"]) == list(CATEGORIES)
    assert found["veracity"]["label"] == "real"
    assert found["truncated"] is False
    assert found["readings"]["summary"] == {"tokens": 12, "truncated_tokens": 0, "unread": []}
    assert found["models"]["category"]["model"] == "distilbert"
    assert len(found["models"]["category"]["revision"]) == 12
    assert found["models"]["category"]["revision"] != found["models"]["veracity"]["revision"]
    assert set(found["timings"]) == {"waiting_ms", "models_ms", "total_ms"}
    assert "failed" not in found


def test_an_answer_says_which_pieces_of_the_text_were_not_read(door: RunningDoor, fake: FakeTriton) -> None:
    told = {"veracity_unread": join_strings([b"[[3,8],[9,20]]"]), "veracity_truncated_tokens": struct.pack("<i", 5)}
    fake.values = {**fake.values, **told}
    reading = analyze(door, {"text": TEXT}).json["readings"]["veracity"]
    spans = [{"start": 3, "end": 8}, {"start": 9, "end": 20}]
    assert reading == {"tokens": 12, "truncated_tokens": 5, "unread": spans}


def test_without_an_id_of_its_own_an_answer_has_that_of_the_request(door: RunningDoor) -> None:
    answer = analyze(door, {"text": TEXT})
    assert answer.json["id"] == answer.headers["X-Request-Id"]


def test_what_is_asked_reaches_the_models(door: RunningDoor, fake: FakeTriton) -> None:
    settings = {"min_length": 4, "max_length": 20, "num_beams": 3, "length_penalty": 0.5, "style": "extractive"}
    analyze(door, {"text": TEXT, "tasks": ["summary", "category"], "summary": settings, "partial": True})
    (asked,) = fake.requests
    assert asked.model_name == "info_lens"
    assert {one.name for one in asked.inputs} == {"text", *settings}
    assert {one.name for one in asked.outputs} >= {"summary", "category", "failed"}
    assert not any(one.name.startswith("veracity") for one in asked.outputs)
    assert asked.parameters["partial"].bool_param is True
    analyze(
        door, {"text": TEXT, "tasks": ["summary"], "summary": {"temperature": 0.5, "top_p": 0.9, "seed": 2**31 - 1}}
    )
    given = {
        one.name: raw for one, raw in zip(fake.requests[-1].inputs, fake.requests[-1].raw_input_contents, strict=True)
    }
    assert given["seed"] == (2**31 - 1).to_bytes(4, "little")
    assert {"temperature", "top_p"} < given.keys()


def test_one_task_is_asked_of_its_own_model(door: RunningDoor, fake: FakeTriton) -> None:
    found = analyze(door, {"text": TEXT, "title": "Oil", "tasks": ["category"]}).json
    assert fake.requests[0].model_name == "classify"
    assert "summary" not in found
    assert set(found["models"]) == {"category"}


def test_a_failed_task_is_told(door: RunningDoor, fake: FakeTriton) -> None:
    fake.values = {**fake.values, "failed": b"\x17\x00\x00\x00" + b'{"summary": "it broke"}'}
    found = analyze(door, {"text": TEXT, "partial": True}).json
    assert found["failed"] == {"summary": "it broke"}
    assert "summary" not in found
    assert set(found["models"]) == {"category", "veracity"}


def test_evidence_is_asked_for_on_request_alone(door: RunningDoor, fake: FakeTriton) -> None:
    found = analyze(door, {"text": TEXT, "tasks": ["category"], "evidence": True}).json
    assert found["category"]["evidence"] == [{"index": 1, "start": 3, "end": 7, "weight": 0.25}]
    assert fake.requests[0].model_name == "info_lens"
    assert fake.requests[0].parameters["evidence"].bool_param is True
    assert "evidence" in [one.name for one in fake.requests[0].outputs]
    assert "evidence" not in analyze(door, {"text": TEXT}).json["category"]
    assert "evidence" not in [one.name for one in fake.requests[1].outputs]
    assert "evidence" not in fake.requests[1].parameters
    refused = json.dumps({"evidence": "it broke"}).encode()
    fake.values = {**fake.values, "failed": join_strings([refused])}
    broken = analyze(door, {"text": TEXT, "evidence": True, "partial": True}).json
    assert broken["failed"] == {"evidence": "it broke"}
    assert set(broken["models"]) == {"summary", "category", "veracity"}


def test_evidence_that_finds_no_place_is_refused_at_once(tmp_path: Path, fake: FakeTriton) -> None:
    fake.answering.clear()
    asked = {"text": TEXT, "evidence": True}
    with fake_door(tmp_path, fake, room=RoomLimits(places={"evidence": 1})) as door, ThreadPoolExecutor(1) as pool:
        first = pool.submit(analyze, door, asked)
        assert fake.arrived.wait(60)
        second = analyze(door, asked)
        fake.answering.set()
        assert first.result(60).status == 200
    assert (second.status, second.headers["Retry-After"]) == (429, "1")
    assert "1 requests for evidence are ahead" in second.json["detail"]


def test_a_server_without_the_model_of_evidence_says_so(tmp_path: Path, fake: FakeTriton) -> None:
    del fake.configs["evidence"]
    with fake_door(tmp_path, fake) as door:
        answer = analyze(door, {"text": TEXT, "evidence": True})
    assert answer.status == 400
    assert "this server has no model that finds evidence: leave evidence out" in answer.json["detail"]


def test_the_deadline_reaches_the_models(door: RunningDoor, fake: FakeTriton) -> None:
    analyze(door, {"text": TEXT, "deadline_ms": 5000})
    assert fake.times_s[0] is not None
    assert 0 < fake.times_s[0] <= 5


def test_an_answer_is_compressed_for_those_who_like_that(door: RunningDoor) -> None:
    answer = analyze(door, {"text": TEXT}, **{"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body))["category"]["label"] == CATEGORIES[0]


def test_a_compressed_request_is_read(door: RunningDoor) -> None:
    body = gzip.compress(json.dumps({"text": TEXT}).encode())
    assert door.ask("POST", "/v1/analyze", body, {"Content-Encoding": "gzip"}).status == 200


@pytest.mark.parametrize(
    ("document", "pointer", "words"),
    [
        ({}, "/text", "needed"),
        ({"text": ""}, "/text", "it is empty"),
        ({"text": " \n "}, "/text", "blank"),
        ({"text": "x" * 262_145}, "/text", "262,144 bytes"),
        ({"text": 7}, "/text", "string"),
        ({"text": None}, "/text", "string"),
        ({"text": "a \ud800 b"}, "/text", "surrogate"),
        ({"text": TEXT, "title": ["no"]}, "/title", "string"),
        ({"text": TEXT, "titel": "Oil"}, "/titel", "there are text, title, id, tasks"),
        ({"text": TEXT, "a/b~c": 1}, "/a~1b~0c", "no such field"),
        ({"text": TEXT, "tasks": []}, "/tasks", "leave the field out for all"),
        ({"text": TEXT, "tasks": ["mood"]}, "/tasks/0", "one of summary, category, veracity"),
        ({"text": TEXT, "tasks": "summary"}, "/tasks", "an array, not a string"),
        ({"text": TEXT, "tasks": ["summary"] * 1000}, "/tasks", "at most"),
        (
            {"text": TEXT, "summary": {"max_length": 3}},
            "/summary/max_length",
            "from 4 to 256; leave it out for the model's own, 80 as a rule; it is 3",
        ),
        ({"text": TEXT, "summary": {"max_length": 10.0}}, "/summary/max_length", "whole number"),
        ({"text": TEXT, "summary": {"max_length": True}}, "/summary/max_length", "it is true"),
        ({"text": TEXT, "summary": {"beams": 2}}, "/summary/beams", "there are min_length"),
        ({"text": TEXT, "summary": {"min_length": 50, "max_length": 20}}, "/summary", "min_length may not exceed"),
        ({"text": TEXT, "summary": {"length_penalty": 9}}, "/summary/length_penalty", "from -4 to 4"),
        ({"text": TEXT, "summary": {"style": "loose"}}, "/summary/style", "one of free, extractive; leave it out for"),
        ({"text": TEXT, "summary": {"temperature": 2.5}}, "/summary/temperature", "from 0 to 2; leave it out for 0"),
        ({"text": TEXT, "summary": {"seed": 7}}, "/summary", "seed is for samples"),
        ({"text": TEXT, "summary": {"seed": 2**31}}, "/summary/seed", "a new one for each request"),
        ({"text": TEXT, "deadline_ms": 0}, "/deadline_ms", "from 1 to 300000"),
        ({"text": TEXT, "deadline_ms": 10**30}, "/deadline_ms", "from 1 to 300000"),
        ({"text": TEXT, "partial": "yes"}, "/partial", "true or false, not a string"),
        ({"text": TEXT, "evidence": 1}, "/evidence", "true or false, not"),
        ({"text": TEXT, "evidence": True, "tasks": ["summary"]}, "/evidence", "and summary has none: ask for a task"),
        ({"text": TEXT, "id": "x" * 129}, "/id", "128 characters, not 129"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else None,
)
def test_a_document_that_breaks_a_rule_is_told_where(
    door: RunningDoor, fake: FakeTriton, document: Any, pointer: str, words: str
) -> None:
    answer = analyze(door, document)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = answer.json
    assert found["type"] == "/v1/problems/invalid"
    assert found["instance"] == answer.headers["X-Request-Id"]
    assert found["errors"][0]["pointer"] == pointer
    assert words in found["errors"][0]["detail"]
    assert found["errors"][0]["detail"] in found["detail"]
    assert fake.requests == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b"{", "not JSON"),
        (b"[]", "a JSON object, not an array"),
        (b'{"text": "a", "text": "b"}', "comes twice"),
        (b'{"text": NaN}', "finite"),
        (b'{"text": "\xff"}', "UTF-8"),
        (b'{"text": ' + b"[" * 30 + b"]" * 30 + b"}", "nested"),
    ],
)
def test_a_body_that_is_no_document_is_refused(door: RunningDoor, body: bytes, words: str) -> None:
    answer = door.ask("POST", "/v1/analyze", body)
    assert (answer.status, answer.json["type"]) == (400, "/v1/problems/invalid")
    assert words in answer.json["detail"]


def test_no_word_of_the_article_is_told_or_logged(door: RunningDoor) -> None:
    answer = analyze(door, {"text": TEXT, "title": 7, "Zebra": "secret words"})
    assert "secret" not in str(answer.json)
    assert b"secret" not in door.log.getvalue()
    assert b"tankers" not in door.log.getvalue()


def test_a_busy_server_says_when_to_come_again(tmp_path: Path, fake: FakeTriton) -> None:
    fake.failure = RefusedError(Refusal.BUSY, "the server is busy: try again later", retry_after_s=1.2)
    with fake_door(tmp_path, fake, room=RoomLimits(max_running=1)) as door:
        fake.failure, failure = None, fake.failure
        assert analyze(door, {"text": TEXT}).status == 200  # the models are known now
        fake.failure = failure
        answer = analyze(door, {"text": TEXT})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json["type"] == "/v1/problems/busy"
    assert answer.json["retry_after_ms"] == 1200


def test_an_answer_that_breaks_the_contract_is_no_answer(tmp_path: Path, fake: FakeTriton) -> None:
    fake.values = {**fake.values, "category_probability": b"\x00\x00\xc0\x7f"}  # not a number
    with fake_door(tmp_path, fake) as door:
        answer = analyze(door, {"text": TEXT})
    assert (answer.status, answer.json["type"]) == (503, "/v1/problems/failed")


def test_every_setting_of_the_contract_can_be_set() -> None:
    assert list(SummarySettings.model_fields) == [setting.name for setting in SUMMARY_SETTINGS]


def test_a_repository_of_an_earlier_version_is_asked_for_what_it_gives(tmp_path: Path, fake: FakeTriton) -> None:
    """Its configurations know nothing of signal and doubt, nor of what was not read."""
    new = {f"{task}_{what}" for task in ("category", "veracity") for what in ("signal", "doubt", "unread")}
    for config in fake.configs.values():
        kept = [output for output in config.output if output.name not in new]
        del config.output[:]
        config.output.extend(kept)
    with fake_door(tmp_path, fake) as door:
        answer = analyze(door, {"text": TEXT})
    assert answer.status == 200, answer.body
    assert (answer.json["category"]["signal"], answer.json["veracity"]["doubt"]) == ("", "")
    readings = answer.json["readings"]
    assert ("unread" in readings["veracity"], readings["summary"]["unread"]) == (False, [])
    assert {output.name for output in fake.requests[0].outputs}.isdisjoint(new)
