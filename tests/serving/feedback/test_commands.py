"""`python -m serving feedback`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.cli import main
from serving.feedback.location import KEPT
from serving.feedback.store import FeedbackStore
from tests.serving.feedback.said import Clock, kept_in, labelled, predicted, said, stars, store_in


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def store(cache: Path) -> Iterator[FeedbackStore]:
    """Two predictions of the newsroom and one of the desk; desk-7 rates them all, and desk-8 one."""
    store = store_in(KEPT.file_in(cache), Clock())
    store.write([predicted("p", text="Sie schließt."), predicted("q"), predicted("-r", key="desk")])
    store.write([said(f"s{name}", name, stars(4), labelled("Politics")) for name in ("p", "q", "-r")])
    store.write([said("t", "p", stars(1), rater="desk-8", key="desk"), said("w", "later", stars(1))])
    yield store
    store.close()


def test_the_status_says_what_is_there(store: FeedbackStore, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback", "status", "--cache", str(cache)]) == 0
    told = capsys.readouterr().out
    assert f"{KEPT.file_in(cache)} (tables in version 0001" in told
    assert "predictions  3 (1 with the article's text), made from 2027-01-15 to 2027-01-15" in told
    assert "submissions  5 (1 wait for their predictions)" in told
    lines = [line.split() for line in told.splitlines() if line.startswith(("category", "veracity", "summary"))]
    assert lines == [
        ["category", "classify", "c1", "3", "3", "0"],
        ["summary", "bart", "s1", "3", "4", "0"],
        ["veracity", "verify", "v1", "3", "0", "0"],
    ]
    assert main(["feedback", "status", "--json", "--cache", str(cache)]) == 0
    assert json.loads(capsys.readouterr().out)["models"][1]["ratings"] == 4


def test_nothing_is_made_by_a_look(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback", "status", "--cache", str(cache)]) == 0
    told = capsys.readouterr().out
    assert "nothing is kept" in told
    assert "there is no such store yet: if a server keeps it, name the same --feedback-url" in told
    assert main(["feedback", "forget", "--days", "3", "--cache", str(cache)]) == 0
    assert not cache.exists()


def test_an_export_is_what_the_name_of_the_file_says(
    store: FeedbackStore, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ratings.jsonl"
    assert main(["feedback", "export", "--out", str(out), "--cache", str(cache)]) == 0
    assert f"{out} has 7 ratings" in capsys.readouterr().err
    assert [json.loads(line)["prediction"] for line in out.read_text("utf-8").splitlines()].count("p") == 3
    assert main(["feedback", "export", "--out", str(tmp_path / "ratings"), "--cache", str(cache)]) == 1
    assert "'ratings' does not say its format: say --format csv, jsonl" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["feedback", "export", "--out", str(tmp_path / "none" / "a.csv"), "--cache", str(cache)])


def test_a_mistyped_store_takes_no_earlier_export_away(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ratings.csv"
    out.write_text("of before")
    assert main(["feedback", "export", "--out", str(out), "--cache", str(cache)]) == 1
    assert f"there is no feedback in {KEPT.file_in(cache)}: if a server keeps it" in capsys.readouterr().err
    assert out.read_text() == "of before"


def test_nothing_is_erased_by_mistake(store: FeedbackStore, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["p"], ["--key", "newsroom"], ["--all"]):
        assert main(["feedback", "delete", *words, "--cache", str(cache)]) == 1
        assert "say --yes too" in capsys.readouterr().err
    assert main(["feedback", "migrate", "--to", "base", "--cache", str(cache)]) == 1
    for words in ([], ["p", "--all"], ["p", "--key", "newsroom"]):
        with pytest.raises(SystemExit):
            main(["feedback", "delete", *words, "--yes", "--cache", str(cache)])
    assert store.contents().predictions == 3


def test_predictions_are_erased_by_id(store: FeedbackStore, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback", "delete", "--yes", "--cache", str(cache), "p", "--", "-r"]) == 0
    assert "erased 2 predictions" in capsys.readouterr().err
    assert (store.prediction("p"), store.prediction("-r")) == (None, None)
    assert b"Sie schlie" not in kept_in(KEPT.file_in(cache))
    assert main(["feedback", "delete", "--yes", "--cache", str(cache), "p"]) == 1
    told = capsys.readouterr().err
    assert "error: of 1 of the ids there is no prediction in " in told
    assert str(KEPT.file_in(cache)) in told


def test_all_of_a_key_or_a_person_is_erased(store: FeedbackStore, cache: Path) -> None:
    assert main(["feedback", "delete", "--key", "desk", "--yes", "--cache", str(cache)]) == 0
    assert store.prediction("-r") is None
    assert [one.id for one in store.submissions("p")] == ["sp"], "what was said with the key of others' predictions too"
    assert main(["feedback", "delete", "--rater", "desk-7", "--key", "desk", "--yes", "--cache", str(cache)]) == 0
    assert len(store.submissions("q")) == 1
    assert main(["feedback", "delete", "--rater", "desk-7", "--yes", "--cache", str(cache)]) == 0
    assert store.contents().submissions == 0
    assert store.contents().predictions == 2
    assert main(["feedback", "delete", "--all", "--yes", "--cache", str(cache)]) == 0
    assert store.contents().models == ()
    assert b"desk-7" not in kept_in(KEPT.file_in(cache))
    assert store.write([predicted("new")])[0].outcome.value == "kept"


def test_the_tables_are_brought_to_a_version(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        ([], "base -> 0001"),
        ([], "has version 0001 already"),
        (["--to", "base", "--yes"], "0001 -> base"),
    ):
        assert main(["feedback", "migrate", *words, "--cache", str(cache)]) == 0
        assert told in capsys.readouterr().err
    assert main(["feedback", "migrate", "--to", "7", "--cache", str(cache)]) == 1
    assert "there is no version '7' of the tables" in capsys.readouterr().err


def test_help_waits_for_no_database(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["feedback", "--help"])
    told = capsys.readouterr().out
    assert "datasette ratings.sqlite" in told
    assert "INFOLENS_FEEDBACK_URL" in told
