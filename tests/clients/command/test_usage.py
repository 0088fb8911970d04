"""What was meant: mistyped options and commands, and words in the wrong place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infolens.testing import FakeTransport


@pytest.mark.parametrize(
    ("line", "usage", "words"),
    [
        ("analyze --maxlength 40 x", "infolens analyze", "no option --maxlength; did you mean --max-length?"),
        ("analyze --max-lenght=40 x", "infolens analyze", "no option --max-lenght; did you mean --max-length?"),
        ("analyze --MAX_LENGTH 40 x", "infolens analyze", "did you mean --max-length?"),
        ("analyze --zzz x", "infolens analyze", "no option --zzz"),
        ("status --jsn", "infolens status", "no option --jsn; did you mean --json?"),
        ("analyse x", "infolens analyze", "no command 'analyse'; did you mean infolens analyze?"),
        ("Status", "infolens status", "did you mean infolens status?"),
        ("--verison", "infolens [-h]", "did you mean --version?"),
        ("--server x status", "infolens [-h]", "--server comes after the command: infolens status --server ..."),
        ("frobnicate", "infolens [-h]", "frobnicate"),
    ],
)
def test_the_nearest_is_named_under_the_right_usage(run: Any, line: str, usage: str, words: str) -> None:
    code, out, err = run(*line.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"usage: {usage}")
    assert words in err.splitlines()[-1]


def test_nothing_is_suggested_that_is_not_alike(run: Any) -> None:
    assert "did you mean" not in run("analyze", "--zzz", "x")[2]
    assert "did you mean" not in run("frobnicate")[2]


def test_a_file_where_the_command_belongs(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "article.txt"
    file.touch()
    code, _, err = run(str(file))
    assert code == 2
    assert f"infolens analyze {file}" in err


def test_files_may_stand_around_options(run: Any, use: Any, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name, encoding="utf-8")
    a, b, c = (str(tmp_path / name) for name in "abc")
    fake = use(FakeTransport())
    assert run("analyze", a, "--json", b, "--in-flight", "1", c)[0] == 0
    assert [article.text for article in fake.articles] == ["a", "b", "c"]


@pytest.mark.parametrize("option", ["--api-key", "--api", "--api-key=", "--api-key-file", "--key"])
def test_a_key_on_the_command_line_is_told_to_nobody(run: Any, option: str) -> None:
    key = "il_" + "k" * 43
    words = [f"{option}{key}"] if option.endswith("=") else [option, key]
    for command in (["analyze", "x"], ["status"]):
        code, out, err = run(*command, *words)
        assert code == 2
        assert key not in out + err
        assert "--api-key-file" in err
