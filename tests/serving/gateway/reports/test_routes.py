"""Kept reports over HTTP: asked for with an answer, given back, removed, and never in the way of an answer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.keys.records import Role
from serving.reports.options import ReportsOptions
from serving.reports.records import is_id
from tests.serving.gateway.access.keyed import has, made
from tests.serving.gateway.api.conftest import lines, make_fake
from tests.serving.gateway.api.test_schemathesis import run
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor, fake_door
from tests.serving.reports.kept import changed, contents

TITLE = "Tankers wait"
SECRET = "The harbour master counted forty grey gulls on the quay"
TEXT = f"Oil rises as tankers wait. {SECRET}."
GONE = "A" * 22


@pytest.fixture
def fake() -> FakeTriton:
    return make_fake()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "reports.sqlite3"


@contextmanager
def keeping(folder: Path, fake: FakeTriton, file: Path, *, wrong: bool = False, **more: Any) -> Iterator[RunningDoor]:
    """A door that keeps reports in a file; ``wrong`` says whether something may be told of that."""
    reports = ReportsOptions(keeps=True, url=f"sqlite:///{file}", **more.pop("reports", {}))
    with fake_door(folder, fake, reports=reports, **more) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []
    assert (b"reports away" in door.log.getvalue()) == wrong


def analyze(door: RunningDoor, key: str = "", **more: Any) -> Answer:
    body = {"text": TEXT, "title": TITLE, "keep": True, **more}
    return door.ask("POST", "/v1/analyze", json.dumps(body), has(key) if key else None)


def test_a_report_is_kept_given_back_and_removed(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    with keeping(tmp_path, fake, file, reports={"days": 3}) as door:
        answer = analyze(door, id="desk-1").json
        report = answer.pop("report")
        assert is_id(report["id"])
        given = door.ask("GET", f"/v1/reports/{report['id']}")
        assert given.status == 200
        found = given.json
        assert found["answer"] == answer
        assert found["answer"]["id"] == "desk-1"
        assert (found["id"], found["until"]) == (report["id"], report["until"])
        assert (found["article"]["title"], found["article"]["text"], found["article"]["words"]) == (TITLE, None, 15)
        assert given.headers["Cache-Control"] == "private, no-store"
        assert given.headers["X-Robots-Tag"] == "noindex"
        assert given.headers["Referrer-Policy"] == "no-referrer"
        assert door.ask("DELETE", f"/v1/reports/{report['id']}").json == {"id": report["id"], "deleted": True}
        for method in ("GET", "DELETE"):
            assert door.ask(method, f"/v1/reports/{report['id']}").status == 404
        keeps = door.ask("GET", "/v1/models").json["keeps"]
        assert keeps == {"reports": True, "texts": False, "days": 3, "where": "in a database of this server"}
    assert report["id"].encode() not in door.log.getvalue()


def test_without_keep_nothing_is_kept(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    with keeping(tmp_path, fake, file) as door:
        answer = analyze(door, keep=False).json
        assert "report" not in answer
        assert door.ask("GET", f"/v1/reports/{GONE}").status == 404
    assert not file.exists()


@pytest.mark.parametrize("texts", [False, True])
def test_the_text_lies_in_the_database_only_where_the_operator_wants_it(
    tmp_path: Path, fake: FakeTriton, file: Path, texts: bool
) -> None:
    with keeping(tmp_path, fake, file, reports={"texts": texts}) as door:
        report = analyze(door).json["report"]
        found = door.ask("GET", f"/v1/reports/{report['id']}").json
        assert door.ask("GET", "/v1/models").json["keeps"]["texts"] is texts
    assert found["article"]["text"] == (TEXT if texts else None)
    assert (SECRET.encode() in contents(file)) is texts
    assert TITLE.encode() in contents(file)
    assert SECRET.encode() not in door.log.getvalue()


@pytest.mark.parametrize("report_id", [GONE, "x", "A" * 21 + "%20", "..%2F..%2Fetc", "A" * 22 + "%00", "%F0%9F%92%A9"])
def test_what_is_no_report_is_not_found_in_words(tmp_path: Path, fake: FakeTriton, file: Path, report_id: str) -> None:
    with keeping(tmp_path, fake, file) as door:
        analyze(door)
        for method in ("GET", "DELETE"):
            answer = door.ask(method, f"/v1/reports/{report_id}")
            assert answer.status == 404
            assert "no such report here: one is kept for 30 days" in answer.json["detail"]
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Cache-Control"] == "private, no-store"
            assert answer.headers["X-Robots-Tag"] == "noindex"


def test_a_server_that_keeps_none_answers_and_says_so(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake, reports=ReportsOptions(keeps=False, why_not="it has no place for them")) as door:
        answer = analyze(door)
        assert (answer.status, answer.json["report"]) == (200, None)
        assert answer.json["report_problem"] == "this server keeps no reports: it has no place for them"
        gone = door.ask("GET", f"/v1/reports/{GONE}")
        assert (gone.status, gone.json["detail"]) == (404, "this server keeps no reports: it has no place for them")
        assert door.ask("GET", "/v1/models").json["keeps"]["reports"] is False


def test_a_broken_store_breaks_no_answer(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"this is no database, whatever its name says" * 100)
    with keeping(tmp_path, fake, file, wrong=True) as door:
        answer = analyze(door)
        assert (answer.status, answer.json["report"]) == (200, None)
        assert answer.json["category"]["label"]
        assert "could not be kept" in answer.json["report_problem"]
        assert str(file) not in answer.json["report_problem"]
        gone = door.ask("GET", f"/v1/reports/{GONE}")
        assert (gone.status, gone.json["type"]) == (503, "/v1/problems/away")
        assert str(file) not in gone.json["detail"]
        assert gone.headers["Retry-After"] == "5"
    assert str(file).encode() in door.log.getvalue(), "for who runs the server"


def test_a_file_that_was_deleted_meanwhile_is_made_anew(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    with keeping(tmp_path, fake, file) as door:
        first = analyze(door).json["report"]
        file.unlink()
        assert door.ask("GET", f"/v1/reports/{first['id']}").status == 404
        second = analyze(door).json["report"]
        assert door.ask("GET", f"/v1/reports/{second['id']}").status == 200


def test_a_store_that_somebody_holds_breaks_no_answer(
    tmp_path: Path, fake: FakeTriton, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.storage.location._TIMEOUT_S", 0)
    with keeping(tmp_path, fake, file, wrong=True) as door:
        kept = analyze(door).json["report"]
        holder = sqlite3.connect(file)
        holder.execute("BEGIN EXCLUSIVE")
        try:
            assert analyze(door).json["report"] is None
            assert door.ask("GET", f"/v1/reports/{kept['id']}").status == 503
        finally:
            holder.close()
        assert door.ask("GET", f"/v1/reports/{kept['id']}").status == 200
        assert is_id(analyze(door).json["report"]["id"])


def test_a_report_whose_time_is_up_is_gone(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    with keeping(tmp_path, fake, file) as door:
        report = analyze(door).json["report"]
        changed(file, "UPDATE infolens_reports SET until_s = 1")
        for method in ("GET", "DELETE"):
            assert door.ask(method, f"/v1/reports/{report['id']}").status == 404


def test_a_report_that_is_too_long_is_answered_and_not_kept(
    tmp_path: Path, fake: FakeTriton, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.reports.store.MAX_DOCUMENT_BYTES", 5000)
    long = f"{TEXT} " * 100
    with keeping(tmp_path, fake, file, reports={"texts": True}) as door:
        answer = analyze(door, text=long)
        assert (answer.status, answer.json["report"]) == (200, None)
        assert "at most 5,000 bytes" in answer.json["report_problem"]
        assert is_id(analyze(door).json["report"]["id"])
    with keeping(tmp_path, fake, file) as door:
        assert is_id(analyze(door, text=long).json["report"]["id"])


def test_a_line_of_a_batch_is_not_kept(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    rows = [{"text": TEXT, "keep": True, "id": "1"}, {"text": TEXT, "keep": False}, {"text": TEXT}]
    with keeping(tmp_path, fake, file) as door:
        answer = door.ask("POST", "/v1/analyze/batch", "".join(json.dumps(row) + "\n" for row in rows))
        refused, *answered = lines(answer.body)
        assert refused["id"] == "1"
        assert refused["error"]["errors"][0]["pointer"] == "/keep"  # type: ignore[index]
        assert [one["index"] for one in answered if "error" not in one] == [1, 2]
    assert not file.exists()


@pytest.mark.parametrize("value", ["true", 1, None])
def test_keep_is_true_or_false(tmp_path: Path, fake: FakeTriton, file: Path, value: object) -> None:
    with keeping(tmp_path, fake, file) as door:
        answer = analyze(door, keep=value)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (400, "/keep")


def test_who_may_remove_a_report_where_callers_need_keys(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    store, url = made(tmp_path)
    keys = {name: store.create(name, role)[0] for name, role in
            (("maker", Role.READ), ("reader", Role.READ), ("desk", Role.FEEDBACK), ("chief", Role.ADMIN))}  # fmt: skip
    with keeping(tmp_path, fake, file) as door:
        before = analyze(door).json["report"]["id"]  # while nobody needed a key
    with keeping(tmp_path, fake, file, keys=True, keys_url=url) as door:
        first, second = (analyze(door, keys["maker"]).json["report"]["id"] for _ in range(2))

        def remove(report_id: str, key: str | None) -> int:
            return door.ask("DELETE", f"/v1/reports/{report_id}", headers=has(keys[key]) if key else None).status

        assert remove(first, None) == 401
        for other in ("reader", "desk"):
            assert remove(first, other) == 403
        assert door.ask("GET", f"/v1/reports/{first}").status == 200, "whoever has the id may read it"
        assert remove(first, "maker") == remove(second, "chief") == 200
        assert remove(first, "maker") == 404
        assert remove(before, "maker") == 403
        assert remove(before, "chief") == 200
    store.close()


def test_a_kept_report_takes_one_of_the_rate(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    store, url = made(tmp_path)
    key, _ = store.create("newsroom", Role.READ, rate_per_minute=2)
    with keeping(tmp_path, fake, file, keys=True, keys_url=url) as door:
        assert [analyze(door, key).status for _ in range(3)] == [200, 200, 429]
    store.close()


def test_it_answers_as_its_document_says(tmp_path: Path, fake: FakeTriton, file: Path) -> None:
    with keeping(tmp_path, fake, file) as door:
        run(door.url, 10, tmp_path, "--include-path-regex", "^/v1/(reports|analyze$)")
