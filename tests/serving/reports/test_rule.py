"""Whether a server can keep reports, and the words of its command line about them."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import pytest

from serving.errors import ReportsError
from serving.reports.command import add_reports, read_reports, words_about_reports
from serving.reports.location import VARIABLE
from serving.reports.options import ReportsOptions
from serving.reports.rule import check_reports
from serving.storage.kept import file_named


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def read(*words: str) -> ReportsOptions:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_reports(parser)
    return read_reports(parser.parse_args(words))


def test_the_words_of_the_command_line() -> None:
    assert read() == ReportsOptions(keeps=None, url="", texts=False, days=30)
    given = read("--reports", "--reports-url", "sqlite:////srv/r", "--reports-texts", "--reports-days", "7")
    assert given == ReportsOptions(keeps=True, url="sqlite:////srv/r", texts=True, days=7)
    assert read("--no-reports").keeps is False
    for days in ("0", "3651", "-1", "1.5", "x"):
        with pytest.raises(argparse.ArgumentError, match="whole number of days from 1 to 3650"):
            read("--reports-days", days)


def test_by_default_they_are_kept_in_the_cache_and_nothing_is_made_by_the_look(tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    found = check_reports(ReportsOptions(days=3), cache)
    assert (found.keeps, found.days, found.why_not) == (True, 3, "")
    assert file_named(found.url) == cache / "reports" / "reports.sqlite3"
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_keeps_none_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a read-only file system says to `os.access`, which lets root do everything else."""
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with caplog.at_level(logging.INFO):
        found = check_reports(ReportsOptions(texts=True), tmp_path)
    assert (found.keeps, found.texts, found.url) == (False, False, "")
    assert found.why_not == "it has no place for them"
    assert "cannot be written" in caplog.text
    assert "--reports-url" in caplog.text
    with pytest.raises(ReportsError, match=r"cannot be written\).*or leave --reports out"):
        check_reports(ReportsOptions(keeps=True), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ReportsError, match="is no folder"):
        check_reports(ReportsOptions(keeps=True), tmp_path / "file")


def test_a_database_that_is_named_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://infolens:sesame@127.0.0.1:9/reports"
    found = check_reports(ReportsOptions(url=url), tmp_path)
    assert found.keeps
    assert found.url == "postgresql+psycopg://infolens:sesame@127.0.0.1:9/reports"
    assert "sesame" not in repr(found)
    assert file_named(found.url) is None
    monkeypatch.setenv(VARIABLE, "sqlite:////srv/reports.sqlite3")
    assert file_named(check_reports(ReportsOptions(), tmp_path).url) == Path("/srv/reports.sqlite3")
    assert check_reports(ReportsOptions(url=url), tmp_path).url == found.url, "the command line counts more"


@pytest.mark.parametrize(
    ("url", "words"), [("mysql://u:sesame@h/d", "reports are kept in sqlite or"), ("sqlite://", "names no file")]
)
def test_a_wrong_url_is_said_without_its_password(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(ReportsError, match=rf"{words}.*reports\.sqlite3.*--reports-url or {VARIABLE}") as caught:
        check_reports(ReportsOptions(url=url), tmp_path)
    assert "sesame" not in str(caught.value)


def test_who_wants_none_keeps_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sqlite:////srv/reports.sqlite3")
    found = check_reports(ReportsOptions(keeps=False, texts=True), tmp_path)
    assert (found.keeps, found.texts, found.url) == (False, False, "")
    assert found.why_not == "it was started with --no-reports"


def test_what_is_kept_is_told_people(tmp_path: Path) -> None:
    kept = check_reports(ReportsOptions(days=9), tmp_path).document()
    assert words_about_reports(kept) == (
        "  reports  kept for 9 days where a request asks for it, without the articles' texts"
    )
    assert "with the articles' texts" in words_about_reports({**kept, "texts": True})
    none = check_reports(ReportsOptions(keeps=False), tmp_path).document()
    assert "none is kept: it was started with --no-reports" in words_about_reports(none)
    assert "none is kept: there is no door" in words_about_reports({})
