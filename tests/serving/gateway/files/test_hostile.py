"""Files that were made to do harm: each gets a clear answer within the limits, and the door stays as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.serving.gateway.files.conftest import send
from tests.serving.gateway.files.hostile import ARTICLES, READ, TABLES, Hostile
from tests.serving.gateway.http.running import Answer, RunningDoor
from tests.serving.intake.made import WORDS


def judged(answer: Answer, hostile: Hostile) -> dict[str, Any]:
    """Hold an answer against what is expected of it."""
    assert len(answer.body) < 64 * 2**20
    document: dict[str, Any] = answer.json
    if answer.status == 200:
        assert hostile.expected in (READ, ".") or "READ" in hostile.expected, document
    else:
        assert (answer.status, document["type"]) == (400, "/v1/problems/invalid")
        assert re.search(hostile.expected, document["detail"]), document["detail"]
        assert len(document["detail"]) < 600
    return document


@pytest.mark.parametrize("name", ARTICLES)
def test_a_hostile_file_does_no_harm(files: RunningDoor, name: str) -> None:
    hostile = ARTICLES[name]
    found = judged(send(files, f"/v1/extract?name={hostile.name}", hostile.make()), hostile)
    assert "root:" not in str(found.get("text")), "nothing of this machine"
    assert "lollol" not in str(found)
    assert len(str(found.get("text")).encode("utf-8", "surrogatepass")) <= 262_144
    assert send(files, "/v1/extract", WORDS.encode()).json["text"] == WORDS, "the next one is read"


@pytest.mark.parametrize("name", TABLES)
def test_a_hostile_table_does_no_harm(files: RunningDoor, name: str) -> None:
    pytest.importorskip("infolens.tables")
    hostile = TABLES[name]
    found = judged(send(files, "/v1/tables/read", hostile.make()), hostile)
    rows = found.get("rows", [])
    assert len(rows) <= 10_000
    assert "lollol" not in str(rows)[:100_000]
    assert not Path("/tmp/climbed.txt").exists()
    if "bomb" in name:
        assert all(row["error"] for row in rows)
    assert send(files, "/v1/tables/read", b"text,title\nThe bridge closes.,Bridge\n").json["rows"][0]["error"] is None


def test_there_are_thirty_and_more() -> None:
    assert len(ARTICLES) + len(TABLES) >= 40
