"""Lists of hashes: what they may say, and what nobody believes them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ModelsError
from serving.models.command import main
from serving.models.sums import LIST, MAX_FILES, MAX_LIST_BYTES, STAGING, format_sums, parse_sums, write_sums
from tests.serving.models.conftest import FILES, Told, contents, fill

HASH = "0f" * 32


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "a/..",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        "a//b",
        "./a",
        "a/",
        ".",
        "a/./b",
        "a\\b",
        "..\\evil",
        "a\tb",
        "a\rb",
        "a\x00b",
        "a\x1b[2Jb",
        "a\u202eb",
        "a\u2028b",
        LIST,
        f"{STAGING}/a",
        f"{STAGING}.x",
        "a" * 256,
        "/".join(["abcdefghi"] * 120),
    ],
)
def test_a_name_that_does_not_stay_in_its_folder_is_refused(name: str, tmp_path: Path, told: Told) -> None:
    source = fill(tmp_path / "a" / "source", {"good": b""})
    (source / LIST).write_bytes(f"{HASH}  {name}\n".encode())
    with pytest.raises(ModelsError, match=r"line 1 of .*do not trust this list"):
        told.fetch(source, tmp_path / "there")
    assert contents(tmp_path / "there") == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1 is ''"),
        (b"\n", "line 1 is ''"),
        (f"{HASH}  a\n\n".encode(), "line 2 is ''"),
        (f"{HASH} a\n".encode(), "lines of a SHA-256, two spaces and a name"),
        (f"{HASH[:-1]}  a\n".encode(), "line 1"),
        (f"{HASH.upper()}  a\n".encode(), "line 1"),
        (f"\\{HASH}  a\\nb\n".encode(), "line 1"),
        (b"<html>no such bucket</html>", "line 1"),
        (f"{HASH}  a\xff\n".encode("latin-1"), "is UTF-8"),
        (f"{HASH}  a\n{HASH}  b\n{HASH} *a\n".encode(), "names each file once, and a stands there again in line 3"),
        (f"{HASH}  a/b\n{HASH}  a\n".encode(), "has a as a file, and a/b in a folder of that name"),
        (b"x" * (MAX_LIST_BYTES + 1), "has at most 4,194,304 bytes"),
        ("".join(f"{HASH}  {n}\n" for n in range(MAX_FILES + 1)).encode(), "has at most 10,000 files, not 10,001"),
    ],
)
def test_what_is_no_list_is_refused(content: bytes, words: str, tmp_path: Path, told: Told) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / LIST).write_bytes(content)
    with pytest.raises(ModelsError, match=words):
        told.fetch(source, tmp_path / "there")
    assert contents(tmp_path / "there") == {}


@given(st.text(min_size=1))
def test_whatever_is_read_as_a_name_stays_in_its_folder(name: str) -> None:
    try:
        found = parse_sums(f"{HASH}  {name}\n".encode("utf-8", "surrogatepass"), LIST)
    except ModelsError:
        return
    for one in found:
        path = os.path.normpath(f"/models/{one}")
        assert path == f"/models/{one}"
        assert path.startswith("/models/")


def test_a_list_is_sha256sum_s(source: Path) -> None:
    subprocess.run(["sha256sum", "--strict", "--status", "-c", LIST], cwd=source, check=True)
    theirs = subprocess.run(["sha256sum", "-b", *FILES], cwd=source, check=True, capture_output=True).stdout
    ours = (source / LIST).read_bytes()
    assert parse_sums(theirs, LIST) == parse_sums(ours, LIST) == parse_sums(ours.rstrip(b"\n"), LIST)
    assert format_sums(parse_sums(theirs, LIST)) == ours
    (source / STAGING).mkdir()
    (source / "lost+found").mkdir()
    assert write_sums(source)[0] == len(FILES)
    assert (source / LIST).read_bytes() == ours


def test_the_command_says_what_cannot_be_in_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fill(tmp_path / "models", {"a/model.onnx": b""})
    (folder / "classify" / "1").mkdir(parents=True)
    assert main(["sums", str(folder)]) == 1
    assert "the empty folder" in capsys.readouterr().err
    (folder / "classify" / "1").rmdir()
    (folder / "classify").rmdir()
    (folder / "link").symlink_to("a")
    assert main(["sums", str(folder)]) == 1
    assert f"{folder}/link is a link" in capsys.readouterr().err
    (folder / "link").unlink()
    (folder / "two\nlines").touch()
    assert main(["sums", str(folder)]) == 1
    assert "rename it" in capsys.readouterr().err
    (folder / "two\nlines").unlink()
    assert main(["sums", str(tmp_path / "none")]) == 1
    assert "none is none" in capsys.readouterr().err
    (tmp_path / "nothing").mkdir()
    assert main(["sums", str(tmp_path / "nothing")]) == 1
    assert "there is no file in" in capsys.readouterr().err
    assert contents(folder) == {"a/model.onnx": b""}
    assert main(["sums", str(folder)]) == 0
    assert len(capsys.readouterr().out.strip()) == 64
