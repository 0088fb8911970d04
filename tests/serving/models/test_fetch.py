"""A folder of models comes here whole, by its hashes, or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ModelsError
from serving.models.sums import LIST, STAGING, write_sums
from tests.conftest import REPOSITORY
from tests.serving.models.conftest import FILES, Failing, Told, contents, fill, set_store


def upload(bucket: Any, folder: Path, prefix: str) -> str:
    for name, content in contents(folder).items():
        bucket.put_object(Key=f"{prefix}/{name}", Body=content)
    return f"s3://models/{prefix}"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "serving", "models", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=REPOSITORY.parent)


@pytest.fixture
def stored(bucket: Any, source: Path, request: pytest.FixtureRequest) -> str:
    """The source in a bucket, under a prefix of the test's own."""
    return upload(bucket, source, request.node.name)


def test_a_bucket_comes_whole_and_once(stored: str, source: Path, tmp_path: Path, told: Told) -> None:
    there = tmp_path / "new" / "models"
    found = told.fetch(f"{stored}/", there)
    assert contents(there) == contents(source)
    assert (found.files, found.downloaded, found.bytes_downloaded) == (5, 5, sum(map(len, FILES.values())))
    assert any(line.endswith("(5 of 5)") for line in told.lines)
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*") if path.name != LIST}
    assert told.fetch(stored, there).downloaded == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert told.pauses_s == []


def test_only_what_is_missing_or_changed_is_asked_for(failing: Failing, tmp_path: Path, told: Told) -> None:
    failing.fails = 0
    there = fill(tmp_path / "there", {**FILES, "deployment.toml": b"changed"})
    (there / "bart" / "config.pbtxt").unlink()
    assert told.fetch(f"{failing.url}/models", there).downloaded == 2
    assert {path.rpartition("/")[2] for path in failing.asked} == {LIST, "deployment.toml", "config.pbtxt"}
    assert {name: content for name, content in contents(there).items() if name != LIST} == FILES


def test_what_the_list_before_named_is_deleted_and_nothing_else(source: Path, tmp_path: Path, told: Told) -> None:
    there = tmp_path / "there"
    told.fetch(source, there)
    (source / "bart" / "1" / "model.onnx").rename(source / "bart" / "model.onnx")
    (source / "bart" / "1").rmdir()
    write_sums(source)
    (there / "mine.txt").write_text("my own")
    before = contents(there)
    with pytest.raises(ModelsError, match=r"nobody knows mine\.txt: delete it, or fetch into an empty folder"):
        told.fetch(source, there)
    assert contents(there) == before
    (there / "mine.txt").unlink()
    found = told.fetch(source, there)
    assert (found.downloaded, found.deleted) == (1, 1)
    assert contents(there) == contents(source)
    assert not (there / "bart" / "1").exists()


@pytest.mark.parametrize("kind", ["http", "s3"])
def test_a_source_that_fails_is_asked_again(
    kind: str, failing: Failing, source: Path, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_store(monkeypatch, failing.url)
    place = f"{failing.url}/models" if kind == "http" else "s3://models"
    there = tmp_path / "there"
    told.fetch(place, there)
    assert contents(there) == contents(source)
    again = [line for line in told.lines if "asking again" in line]
    assert len(again) >= len(FILES) + 1
    assert len(again) == len(told.pauses_s)
    assert set(told.pauses_s) == {0.5, 1.0}


@pytest.mark.parametrize("kind", ["http", "s3"])
def test_a_source_that_never_answers_leaves_the_folder_as_it_was(
    kind: str, failing: Failing, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_store(monkeypatch, failing.url)
    failing.fails = 10**9
    there = fill(tmp_path / "there", {"deployment.toml": b"old"})
    with pytest.raises(ModelsError, match=rf"^{LIST} could not be had in 5 attempts: "):
        told.fetch(f"{failing.url}/models" if kind == "http" else "s3://models", there)
    assert told.pauses_s == [0.5, 1.0, 2.0, 4.0]
    assert contents(there) == {"deployment.toml": b"old"}


@pytest.mark.parametrize("what", ["swapped", "missing", "cut"])
def test_a_broken_fetch_leaves_the_folder_as_it_was(what: str, source: Path, tmp_path: Path, told: Told) -> None:
    there = tmp_path / "there"
    told.fetch(source, there)
    fill(source, {"deployment.toml": b"new", "more/a.txt": b"more"})
    write_sums(source)
    model = source / "more" / "a.txt"
    if what == "missing":
        model.unlink()
    else:
        model.write_bytes(b"evil" if what == "swapped" else b"mor")
    before = contents(there)
    with pytest.raises(ModelsError, match=r"more/a\.txt"):
        told.fetch(source, there)
    assert contents(there) == before
    assert not (there / STAGING).exists()


def test_the_pin_keeps_out_another_list(source: Path, tmp_path: Path, told: Told) -> None:
    _, pin = write_sums(source)
    assert pin == hashlib.sha256((source / LIST).read_bytes()).hexdigest()
    there = tmp_path / "there"
    told.fetch(source, there, pin)
    (source / "bart" / "1" / "model.onnx").write_bytes(b"evil")
    assert write_sums(source)[1] != pin
    before = contents(there)
    with pytest.raises(ModelsError, match=f"must have the SHA-256 {pin}, and has [0-9a-f]{{64}}: it was changed"):
        told.fetch(source, there, pin)
    assert contents(there) == before


def test_links_are_refused_here_and_there(source: Path, tmp_path: Path, told: Told) -> None:
    outside = fill(tmp_path / "outside", {"config.pbtxt": FILES["bart/config.pbtxt"]})
    there = tmp_path / "there"
    there.mkdir()
    (there / "bart").symlink_to(outside, target_is_directory=True)
    with pytest.raises(ModelsError, match=r"there/bart is a link: put the file there"):
        told.fetch(source, there)
    (there / "bart").unlink()
    (there / STAGING).symlink_to(outside, target_is_directory=True)
    with pytest.raises(ModelsError, match="cannot be written"):
        told.fetch(source, there)
    (there / STAGING).unlink()
    for name in ("bart/config.pbtxt", "bart"):
        (source / name).rename(tmp_path / "moved")
        (source / name).symlink_to(tmp_path / "moved")
        with pytest.raises(ModelsError, match=f"source/{name} is a link"):
            told.fetch(source, there)
        (source / name).unlink()
        (tmp_path / "moved").rename(source / name)
    assert contents(there) == {}
    assert contents(outside) == {"config.pbtxt": FILES["bart/config.pbtxt"]}


def test_a_pipe_is_refused_and_not_waited_for(source: Path, tmp_path: Path) -> None:
    (source / "deployment.toml").unlink()
    os.mkfifo(source / "deployment.toml")
    done = run("fetch", str(source), str(tmp_path / "there"))
    assert done.returncode == 1
    assert "deployment.toml is none" in done.stderr


def test_what_a_killed_fetch_left_is_cleared_away(source: Path, tmp_path: Path, told: Told) -> None:
    there = fill(tmp_path / "there", {f"{STAGING}/bart/1/model.onnx": b"half"})
    told.fetch(source, there)
    assert contents(there) == contents(source)


def test_two_fetches_do_not_write_one_folder(source: Path, tmp_path: Path, told: Told) -> None:
    there = tmp_path / "there"
    there.mkdir()
    handle = os.open(there, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ModelsError, match="another does so now"):
            told.fetch(source, there)
    finally:
        os.close(handle)
    assert told.fetch(source, there).downloaded == 5


def test_folders_and_files_in_each_other_s_place(source: Path, tmp_path: Path, told: Told) -> None:
    for files, words in (({"bart": b""}, "nobody knows bart"), ({"deployment.toml/x": b""}, "nobody knows deploy")):
        there = fill(tmp_path / next(iter(files)).partition("/")[0], files)
        with pytest.raises(ModelsError, match=words):
            told.fetch(source, there)
    there = tmp_path / "empty"
    (there / "deployment.toml").mkdir(parents=True)
    with pytest.raises(ModelsError, match=r"deployment\.toml is a file, and .* a folder"):
        told.fetch(source, there)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/nowhere/at/all", "is no folder here"),
        ("http://host/models?token=secret", r"^http://host/models comes with a \? or # after it"),
        ("http://[::1/models", "is no URL"),
        ("s3://", r"a bucket is named as s3://bucket/prefix"),
        ("s3://models/nothing", f"s3://models/nothing has no {LIST}: make it with"),
        ("s3://no-such-bucket/x", f"has no {LIST}"),
        ("memory://nothing", f"memory://nothing has no {LIST}"),
        ("gopher://old:secret@place/x", r"gopher://place/x is no folder, no s3://bucket/prefix, and no URL"),
    ],
)
def test_a_source_that_is_none(bucket: Any, place: str, words: str, tmp_path: Path, told: Told) -> None:
    with pytest.raises(ModelsError, match=words) as caught:
        told.fetch(place, tmp_path / "there")
    assert "secret" not in str(caught.value)
    assert told.pauses_s == []


def test_the_committed_models_travel_and_are_checked_without_this_program(tmp_path: Path) -> None:
    """From the command line, by way of ``sha256sum``."""
    source, there = tmp_path / "source", tmp_path / "there"
    fill(source, {name: content for name, content in contents(REPOSITORY).items() if len(content) < 1_000_000})

    pin = run("sums", str(source)).stdout.strip()
    wrong = run("fetch", str(source), str(there), "--sha256", "0" * 64)
    assert (wrong.returncode, list(there.iterdir())) == (1, [])
    assert wrong.stderr.startswith("error: ")
    done = run("fetch", str(source), str(there), "--sha256", pin.upper())
    assert (done.returncode, done.stdout) == (0, "")
    assert f"has the {len(contents(source)) - 1} files of {LIST}" in done.stderr
    subprocess.run(["sha256sum", "--strict", "--status", "-c", LIST], cwd=there, check=True)
    assert contents(there) == contents(source)
    assert run("fetch", str(source), str(there), "--sha256", "short").returncode == 2
