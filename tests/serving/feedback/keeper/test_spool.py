"""The spool: what lies in it, what a crash or a broken disk leaves of it, and who has it."""

from __future__ import annotations

import errno
import json
import random
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.feedback.records import Entry, Erasure, Prediction, Rating, Submission, Tally
from serving.feedback.spool import disk
from serving.feedback.spool.lines import TornError, UnknownEntryError, of_line, to_line
from serving.feedback.spool.spool import Spool
from serving.gateway.logs import open_log
from tests.serving.feedback.keeper.memory import SPOOL_BYTES, prediction, submission


def spool_in(folder: Path, limit_bytes: int = SPOOL_BYTES, log: BytesIO | None = None) -> Spool:
    return Spool(folder, limit_bytes, open_log(log or BytesIO()))


def drained(spool: Spool, most: int = 7) -> list[Entry]:
    """All entries, as they come out."""
    found: list[Entry] = []
    while not spool.empty:
        chunk = spool.read(most)
        found += chunk.entries
        spool.advance(chunk)
    return found


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jsonl"))


TEXT = st.text(max_size=20)
TALLY = st.builds(Tally, task=TEXT, model=TEXT, revision=TEXT, what=TEXT, bucket=TEXT, count=st.integers(0, 2**40))
RATING = st.builds(
    Rating,
    task=TEXT,
    stars=st.none() | st.integers(1, 5),
    better=st.none() | TEXT,
    right=st.none() | st.booleans(),
    label=st.none() | TEXT,
)
ENTRIES = st.one_of(
    st.builds(
        Prediction,
        id=TEXT,
        made_us=st.integers(),
        text_sha256=TEXT,
        words=st.integers(),
        text=st.none() | TEXT,
        timings=st.dictionaries(TEXT, st.floats(allow_nan=False)),
        tallies=st.lists(TALLY, max_size=3).map(tuple),
    ),
    st.builds(
        Submission,
        id=TEXT,
        made_us=st.integers(),
        prediction=TEXT,
        token=TEXT,
        digest=TEXT,
        note=st.none() | TEXT,
        ratings=st.lists(RATING, max_size=3).map(tuple),
    ),
    st.builds(Erasure, prediction=TEXT, made_us=st.integers()),
)


@given(entry=ENTRIES, data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_line_is_what_was_written_or_torn(entry: Entry, data: st.DataObject) -> None:
    line = to_line(entry)
    assert of_line(line) == entry
    assert line.isascii()
    assert line.count(b"\n") == 1
    at = data.draw(st.integers(0, len(line) - 1))
    changed = data.draw(st.binary(max_size=3).filter(lambda one: line[:at] + one + line[at + 1 :] != line))
    for torn in (line[:at], line[:at] + changed + line[at + 1 :]):
        with pytest.raises(TornError):
            of_line(torn)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_happens_in_which_order_each_entry_comes_out_once_in_order(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Appended, read, done, left and opened again at random: a model is a list."""
    chance, folder = random.Random(seed), tmp_path_factory.mktemp("spool")
    expected: list[Entry] = []
    found: list[Entry] = []
    with mock.patch.object(disk.os, "fsync"):  # nobody takes the power away
        _go_on(chance, folder, expected, found)


def _go_on(chance: random.Random, folder: Path, expected: list[Entry], found: list[Entry]) -> None:
    spool = spool_in(folder, 2**16)
    for _ in range(60):
        match chance.choice(["append", "append", "read", "crash", "leave"]):
            case "append":
                some = [submission("x" * 22) for _ in range(chance.randint(1, 20))]
                fits = spool.append(some)
                expected += [one for one, fit in zip(some, fits, strict=True) if fit]
            case "read":
                chunk = spool.read(chance.randint(1, 15))
                found += chunk.entries
                spool.advance(chunk)
            case "crash":  # read, committed, and never said to be done
                spool.read(5)
                spool.close()
                spool = spool_in(folder, 2**16)
            case "leave":
                spool.close()
                spool = spool_in(folder, 2**16)
        assert spool.entries == len(expected) - len(found)
        assert spool.size_bytes <= 2**16
    found += drained(spool)
    assert found == expected
    assert (spool.entries, spool.size_bytes, files(folder), spool.torn) == (0, 0, [], 0)
    spool.close()


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_a_line_that_a_crash_has_torn_is_left_out_and_told(tmp_path: Path, cut: int) -> None:
    spool, log = spool_in(tmp_path), BytesIO()
    first, last = submission("x" * 22), submission("x" * 22)
    spool.append([first])
    size = files(tmp_path)[0].stat().st_size
    spool.append([last])
    spool.close()
    path = files(tmp_path)[0]
    path.write_bytes(path.read_bytes()[: size + cut if cut > 0 else cut])
    spool = spool_in(tmp_path, log=log)
    later = submission("x" * 22)
    spool.append([later])
    assert drained(spool) == [first, later]
    assert spool.torn == 1
    assert json.loads(log.getvalue().splitlines()[0])["event"] == "spool torn"
    spool.close()


def test_a_line_that_the_disk_has_changed_is_left_out_and_its_neighbours_are_not(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    entries = [submission("x" * 22) for _ in range(5)]
    spool.append(entries)
    spool.close()
    path = files(tmp_path)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"\r\0\xff" + lines[1][3:], lines[2][:-1] + b"x", *lines[3:]]))
    spool = spool_in(tmp_path)
    assert drained(spool) == [entries[0], entries[4]], "the end of a line was one of the bytes"
    assert spool.torn == 3
    spool.close()


def test_files_that_somebody_has_removed_are_told_and_hold_nothing_up(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, log=(log := BytesIO()))
    spool.append([submission("x" * 22)])
    files(tmp_path)[0].unlink()
    assert drained(spool) == []
    assert b"spool torn" in log.getvalue()
    later = submission("x" * 22)
    spool.append([later])
    assert drained(spool) == [later]
    spool.close()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"segment": "00000001.jsonl", "position": 10000000}'])
def test_a_cursor_that_is_broken_has_all_read_again(tmp_path: Path, content: bytes) -> None:
    spool = spool_in(tmp_path)
    entries = [submission("x" * 22) for _ in range(3)]
    spool.append(entries)
    spool.advance(spool.read(1))
    spool.close()
    next(tmp_path.rglob("cursor.json")).write_bytes(content)
    spool = spool_in(tmp_path)
    assert drained(spool) == entries
    spool.close()


def test_what_another_version_has_written_is_kept_for_it(tmp_path: Path) -> None:
    """A server that is rolled back, or adopts the folder of a newer one, must not lose what that has acknowledged."""
    spool = spool_in(tmp_path)
    theirs = submission("x" * 22)
    spool.append([theirs])
    spool.close()
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    body = whole[9:-1].replace(b'"audit"', b'"sworn"')
    path.write_bytes(b"%08x %b\n" % (zlib.crc32(body), body))
    with pytest.raises(UnknownEntryError):
        of_line(path.read_bytes())
    spool = spool_in(tmp_path, log=(log := BytesIO()))
    assert (spool.empty, spool.torn) == (True, 0)
    assert json.loads(log.getvalue().splitlines()[0])["event"] == "spool of another version"
    mine = submission("y" * 22)
    spool.append([mine])
    assert drained(spool) == [mine]
    spool.close()
    assert files(tmp_path) == [path]
    path.write_bytes(whole)  # as the other version reads it
    spool = spool_in(tmp_path)
    assert drained(spool) == [theirs]
    spool.close()


def test_each_door_has_a_folder_and_takes_over_what_others_have_left(tmp_path: Path) -> None:
    one, other = spool_in(tmp_path), spool_in(tmp_path)
    mine, yours = submission("x" * 22), [submission("y" * 22) for _ in range(3)]
    one.append([mine])
    other.append(yours)
    assert {path.parent.name for path in files(tmp_path)} == {"1", "2"}
    one.adopt()
    assert one.entries == 1, "its door is alive"
    other.advance(other.read(1))
    other.close()
    one.adopt()
    assert one.entries == 3
    late = submission("x" * 22)
    one.append([late])
    assert one.of("y" * 22) == yours[1:]
    assert drained(one) == [mine, late, *yours[1:]]
    again = spool_in(tmp_path)
    assert again.empty
    assert (tmp_path / "2").exists()
    again.close()
    one.close()


def test_a_disk_that_is_full_is_emptied_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no room to say how far it is done: what it holds must go nevertheless, or it stays full for ever."""
    full = mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    spool = spool_in(tmp_path, log=(log := BytesIO()))
    entries = [submission("x" * 22) for _ in range(5)]
    spool.append(entries)
    monkeypatch.setattr(disk, "replace", full)
    spool.advance(spool.read(2))
    assert drained(spool, most=1) == entries[2:]
    assert (spool.size_bytes, files(tmp_path)) == (0, [])
    assert log.getvalue().count(b"spool cannot be written") == 1
    spool.close()


def test_a_disk_that_fails_at_the_first_file_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, entry = spool_in(tmp_path), submission("x" * 22)

    def fails(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    for name in ("sync_folder", "append"):
        with monkeypatch.context() as broken:
            broken.setattr(disk, name, fails)
            broken.setattr(disk, "cut", fails)
            with pytest.raises(OSError, match="Input/output"):
                spool.append([entry])
        assert spool.empty
    spool.append([entry])
    assert drained(spool) == [entry]
    spool.close()
    with pytest.raises(OSError, match="was left"):
        spool.append([entry])


def test_files_are_for_this_user_alone(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append([prediction(text="marker", title=None), submission("x" * 22)])
    spool.advance(spool.read(1))
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "spool").rglob("*")}
    assert modes == {0}
    spool.close()


def of_all(spool: Spool, ids: Sequence[str]) -> list[Entry]:
    return [entry for one in ids for entry in spool.of(one)]


def test_what_is_said_of_a_prediction_is_found(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    made = [prediction() for _ in range(3)]
    said = [submission(one.id) for one in made]
    spool.append([*made, *said, Erasure(prediction=made[0].id, made_us=1)])
    assert spool.of(made[1].id) == [made[1], said[1]]
    assert isinstance(spool.of(made[0].id)[-1], Erasure)
    assert not spool.has("z" * 22)
    spool.advance(spool.read(2))
    assert of_all(spool, [one.id for one in made])[0] == said[0]
    drained(spool)
    assert not any(spool.has(one.id) for one in made)
    spool.close()
