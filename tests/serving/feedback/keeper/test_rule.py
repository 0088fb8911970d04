"""Whether a server can keep feedback and where its spool is, and the words of its command line about them."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import pytest

from serving.arguments import ServerOptions
from serving.cli import make_parser
from serving.commands.door import make_parser as door_parser
from serving.errors import FeedbackError
from serving.feedback.command import add_feedback, read_feedback, words_about_feedback
from serving.feedback.location import VARIABLE
from serving.feedback.options import FeedbackOptions
from serving.feedback.rule import SPOOL_VARIABLE, check_feedback
from serving.storage.kept import file_named
from serving.supervisor.assembling import Plan, assemble_supervisor

URL = "postgresql://infolens:sesame@127.0.0.1:9/feedback"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(SPOOL_VARIABLE, raising=False)


def read(*words: str) -> FeedbackOptions:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_feedback(parser)
    return read_feedback(parser.parse_args(words))


def test_the_words_of_the_command_line() -> None:
    assert read() == FeedbackOptions()
    given = read(
        *("--feedback", "--feedback-url", "sqlite:////srv/f", "--feedback-texts", "--feedback-days", "7"),
        *("--feedback-batch", "50", "--feedback-spool", "/srv/spool", "--feedback-spool-mb", "2"),
        *("--audit-share", "0", "--trust-bar", "0.9"),
    )
    assert given == FeedbackOptions(
        keeps=True,
        url="sqlite:////srv/f",
        texts=True,
        days=7,
        batch=50,
        spool="/srv/spool",
        spool_bytes=2**21,
        audit_share=0.0,
        trust=0.9,
    )
    assert given.problem == ""
    assert read("--no-feedback").keeps is False


@pytest.mark.parametrize(
    ("option", "wrong", "words"),
    [
        ("--feedback-days", ("0", "3651", "-1", "1.5", "x", ""), "whole number of days from 1 to 3650"),
        ("--feedback-batch", ("0", "10001"), "whole number of ratings from 1 to 10000"),
        ("--feedback-spool-mb", ("0", "16385"), "whole number of MiB from 1 to 16384"),
        ("--audit-share", ("-0.1", "1.01", "nan", "inf", "x", ""), "number from 0 to 1"),
        ("--trust-bar", ("75",), "number from 0 to 1, not '75'"),
    ],
)
def test_a_wrong_word_is_told_its_rule(option: str, wrong: tuple[str, ...], words: str) -> None:
    for one in wrong:
        with pytest.raises(argparse.ArgumentError, match=words):
            read(f"{option}={one}")


def test_by_default_it_is_kept_in_the_cache_and_nothing_is_made_by_the_look(tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    found = check_feedback(FeedbackOptions(days=3), cache, tmp_path / "run")
    assert (found.keeps, found.days, found.why_not) == (True, 3, "")
    assert file_named(found.url) == cache / "feedback" / "feedback.sqlite3"
    assert Path(found.spool) == cache / "feedback" / "spool"
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_keeps_none_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a read-only file system says to `os.access`, which lets root do everything else."""
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path or not mode & os.W_OK)
    (tmp_path / "run").mkdir()
    with caplog.at_level(logging.INFO):
        found = check_feedback(FeedbackOptions(texts=True), tmp_path)
    assert (found.keeps, found.texts, found.url, found.spool) == (False, False, "", "")
    assert found.why_not == "it has no place for it"
    assert "cannot be written" in caplog.text
    assert "--feedback-url" in caplog.text
    with pytest.raises(FeedbackError, match=r"cannot be written\).*or leave --feedback out"):
        check_feedback(FeedbackOptions(keeps=True), tmp_path)
    shared = check_feedback(FeedbackOptions(url=URL), tmp_path, tmp_path / "run")
    assert Path(shared.spool) == tmp_path / "run" / "feedback" / "spool"
    caplog.clear()
    with caplog.at_level(logging.INFO):
        bare = check_feedback(FeedbackOptions(url=URL), tmp_path)
    assert (bare.keeps, bare.spool) == (True, "")
    assert "while the database is away is refused" in caplog.text
    with pytest.raises(FeedbackError, match=r"spool .* cannot be kept in .*name another folder with --feedback-spool"):
        check_feedback(FeedbackOptions(url=URL, spool=str(tmp_path / "spool")), tmp_path)


def test_what_is_named_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check_feedback(FeedbackOptions(url=URL, spool=str(tmp_path / "mine")), tmp_path)
    assert found.url == "postgresql+psycopg://infolens:sesame@127.0.0.1:9/feedback"
    assert "sesame" not in repr(found)
    assert found.spool == str(tmp_path / "mine")
    monkeypatch.setenv(VARIABLE, "sqlite:////srv/feedback.sqlite3")
    monkeypatch.setenv(SPOOL_VARIABLE, str(tmp_path / "yours"))
    named = check_feedback(FeedbackOptions(), tmp_path)
    assert (file_named(named.url), named.spool) == (Path("/srv/feedback.sqlite3"), str(tmp_path / "yours"))
    assert check_feedback(FeedbackOptions(url=URL), tmp_path).url == found.url, "the command line counts more"
    with pytest.raises(FeedbackError, match=rf"kept in sqlite or.*--feedback-url or {VARIABLE}") as caught:
        check_feedback(FeedbackOptions(url="mysql://u:sesame@h/d"), tmp_path)
    assert "sesame" not in str(caught.value)
    none = check_feedback(FeedbackOptions(keeps=False, texts=True), tmp_path)
    assert (none.keeps, none.texts, none.url, none.spool) == (False, False, "", "")
    assert none.why_not == "it was started with --no-feedback"


def test_without_a_door_nobody_keeps_feedback(tmp_path: Path) -> None:
    plan = Plan(server=ServerOptions(cache=tmp_path), door=False, feedback=FeedbackOptions(keeps=True))
    with pytest.raises(FeedbackError, match="with --no-door nobody keeps feedback: leave --no-door or --feedback out"):
        assemble_supervisor(plan)


@pytest.mark.parametrize(("parser", "more"), [(make_parser(), []), (door_parser(), ["--run", "x"])])
def test_both_commands_take_the_words(parser: argparse.ArgumentParser, more: list[str]) -> None:
    assert read_feedback(parser.parse_args([*more, "--feedback-days", "3"])) == FeedbackOptions(days=3)


def test_what_is_kept_is_told_people(tmp_path: Path) -> None:
    kept = check_feedback(FeedbackOptions(days=9), tmp_path).document()
    assert words_about_feedback(kept) == (
        "  feedback answers and ratings kept for 9 days, without the articles' texts, 5 % of articles audited blindly"
    )
    assert "audited" not in words_about_feedback({**kept, "audit_share": 0.0})
    assert "with the articles' texts" in words_about_feedback({**kept, "texts": True})
    none = check_feedback(FeedbackOptions(keeps=False), tmp_path).document()
    assert "none is kept: it was started with --no-feedback" in words_about_feedback(none)
    assert "none is kept: there is no door" in words_about_feedback({})
