"""`infolens rate`, `forget` and `quality`, and the id that `infolens analyze` shows."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infolens import PermissionDeniedError, RequestRejectedError, RetryPolicy
from infolens._commands import running
from infolens._commands.feedback import running as feedback
from infolens.testing import FakeTransport, fake_report
from tests.clients.feedback.server import ID, QUALITY, Desk
from tests.clients.loopback import free_port, http_server

HYPHEN = f"-{ID[1:]}"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(feedback, "RetryPolicy", lambda **_: RetryPolicy(attempts=2, backoff_s=0))
    return Desk(known={ID, HYPHEN})


@pytest.fixture
def server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with desk.listening() as url:
        monkeypatch.setenv("INFOLENS_URL", url)
        yield url


@pytest.mark.usefixtures("server")
def test_rating(run: Any, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    better = tmp_path / "better.txt"
    better.write_text("\ufeffShorter.\n", encoding="utf-8")
    said = ["--stars", "2", "--better", str(better), "--category", "Politics", "--veracity", "wrong"]
    assert run("rate", ID, *said, "--note", "a column", "--rater", "desk-7", "--consent") == (
        0,
        "rated: the server has it\n",
        "",
    )
    (document,) = desk.ratings.values()
    assert document == {
        "prediction": ID,
        "rater": "desk-7",
        "note": "a column",
        "consent": True,
        "ratings": {
            "summary": {"stars": 2, "better": "Shorter."},
            "category": {"label": "Politics"},
            "veracity": {"right": False},
        },
    }
    desk.kept = "spool"
    assert "once its database is back" in run("rate", ID, "--veracity", "right")[1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"From a pipe.")))
    code, out, _ = run("rate", ID, "--stars", "3", "--better", "-", "--json")
    assert (code, json.loads(out)["kept"]) == (0, "spool")
    assert [*desk.ratings.values()][-1]["ratings"]["summary"]["better"] == "From a pipe."


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "words", [["rate", HYPHEN, "--stars", "3"], ["rate", "--stars", "3", f"'{HYPHEN}"], ["forget", HYPHEN]]
)
def test_an_id_may_begin_with_a_hyphen(run: Any, words: list[str]) -> None:
    assert run(*words)[0] == 0


@pytest.mark.usefixtures("server")
def test_forgetting(run: Any, desk: Desk) -> None:
    assert run("forget", ID) == (0, "forgotten, with all that was said of it\n", "")
    code, out, err = run("forget", ID)
    assert (code, out) == (1, "")
    assert "there is no such prediction here" in err
    assert ID not in err
    desk.kept = "spool"
    assert run("forget", HYPHEN)[1].startswith("noted: it is forgotten as soon as")


@pytest.mark.usefixtures("server")
def test_quality_fits_a_terminal_and_speaks_in_words(run: Any, desk: Desk) -> None:
    code, out, err = run("quality", "--days", "7")
    assert (code, err) == (0, "")
    assert desk.asked[-1][1] == "/v1/quality?days=7"
    assert max(map(len, out.splitlines())) <= 79
    flat = " ".join(out.split())
    assert "summary: bart 0f3c9a12, served now, 1,234 answers" in flat
    assert "satisfaction, of 5 3.9 between 3.6 and 4.1, from 212 ratings" in flat
    assert "accuracy ? 7 ratings: too few to say" in flat
    assert "batch 20 Nov - 21 Nov ? 19 ratings: too few to say" in flat
    assert "accuracy, blind audit 81 % between 74 % and 87 %, from 140 audits" in flat
    assert "trusted no the lower bound, 74 %, is below 75 %" in flat
    assert "drift of lengths moved index 0.31, from 1,234" in flat
    assert QUALITY["bias"] in flat
    assert json.loads(run("quality", "--json")[1]) == QUALITY


@pytest.mark.usefixtures("server")
def test_quality_of_nothing_and_of_earlier(run: Any, desk: Desk) -> None:
    desk.answers = lambda _: {**QUALITY, "models": [], "stale_s": 125}
    out = run("quality")[1]
    assert "No model has answers that could be rated" in out
    assert "2 minutes old" in out


@pytest.mark.usefixtures("server")
def test_exit_codes(run: Any, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.refusals = [RequestRejectedError("a label is one of Business, Sports")]
    code, _, err = run("rate", ID, "--category", "Weather")
    assert (code, "one of Business, Sports" in err) == (1, True)
    desk.refusals = [PermissionDeniedError("needs the role feedback")]
    assert run("quality")[0] == 2
    assert run("rate", ID)[0] == 2
    assert run("rate", ID, "--stars", "6")[0] == 2
    assert run("rate", ID, "--stars", "1", "--better", str(tmp_path / "none"))[0] == 2
    (tmp_path / "empty").write_text(" \n")
    assert "is empty" in run("rate", ID, "--stars", "1", "--better", str(tmp_path / "empty"))[2]
    code, _, err = run("quality", "--server", "grpc://127.0.0.1:8001")
    assert (code, "is an address of gRPC" in err) == (2, True)
    assert run("quality", "--server", f"http://127.0.0.1:{free_port()}")[0] == 3
    code, _, err = run("rate", "short", "--stars", "3")
    assert (code, "an id has 22 letters, digits" in err) == (2, True)


def test_without_an_address_feedback_goes_to_the_usual_one_of_http(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFOLENS_URL", raising=False)
    asked = []

    def client(url: str | None = None, **_: Any) -> Any:
        asked.append(url)
        raise RequestRejectedError("seen")

    monkeypatch.setattr(running, "Client", client)
    run("quality")
    assert asked == ["http://127.0.0.1:8000"]


def test_analyze_shows_how_answers_can_be_rated(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(FakeTransport(fake_report(prediction=ID))) as url:
        out = run("analyze", "--text", "The home side won.", "--server", url)[1]
        assert out.splitlines()[-1] == f"  Rate it   infolens rate {ID} --stars 1..5"
        assert json.loads(run("analyze", "--text", "He won.", "--json", "--server", url)[1])["prediction"] == ID
        (tmp_path / "a.txt").write_text("The home side won.")
        table = tmp_path / "out.jsonl"
        run("analyze", str(tmp_path / "a.txt"), "--out", str(table), "--server", url)
        assert json.loads(table.read_text())["prediction"] == ID
    with http_server(FakeTransport(fake_report())) as url:
        assert "Rate it" not in run("analyze", "--text", "The home side won.", "--server", url)[1]
