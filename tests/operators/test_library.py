"""The library of native operators is built once, and a machine that cannot have it is told why."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from operators import library
from operators.library import build_ahead, ensure_operators

FLAGS = "flags\t\t: fpu sse avx512f avx512bw avx512vl avx512dq avx512_vnni"


@pytest.fixture(autouse=True)
def able_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A description of a processor that has all that is needed."""
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{FLAGS}\n")
    monkeypatch.setattr(library, "_CPU", path)
    return path


def compiler(folder: Path, script: str) -> str:
    path = folder / "compiler"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo one && exit 0\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


WRITES = 'while [ "$1" != -o ]; do shift; done; echo built >"$2"; echo . >>"$(dirname "$0")/count"'


def test_it_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path, WRITES))
    first, second = ensure_operators(tmp_path / "cache"), ensure_operators(tmp_path / "cache")
    assert first == second
    assert first.path is not None
    assert first.path.read_text() == "built\n"
    assert (tmp_path / "count").read_text() == ".\n"
    assert [path.name for path in first.path.parent.iterdir()] == [library.FILE_NAME]
    assert str(first) == "native (AVX-512 VNNI)"


def test_a_failed_build_leaves_nothing_and_tells_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path, 'echo "x.cc:1: error: no such thing" >&2; exit 1'))
    found = ensure_operators(tmp_path / "cache")
    assert found.path is None
    assert "x.cc:1: error: no such thing" in str(found)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "missing"))
    assert "there is no C++ compiler" in str(ensure_operators(tmp_path))


def test_one_that_was_built_ahead_needs_no_compiler_and_the_right_processor(
    able_processor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("CXX", compiler(tmp_path, WRITES))
    able_processor.write_text("flags\t\t: fpu sse\n")  # of the machine that builds
    ahead = build_ahead(cache)
    monkeypatch.setenv("CXX", str(tmp_path / "missing"))
    assert ensure_operators(cache).path is None
    assert "lacks" in ensure_operators(cache).reason
    able_processor.write_text(f"{FLAGS}\n")  # of the machine that runs
    assert ensure_operators(cache).path == ahead
    assert ahead.read_text() == "built\n"
    assert stat.S_IMODE(ahead.stat().st_mode) == 0o755


def test_building_ahead_without_a_compiler_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "missing"))
    with pytest.raises(OSError, match=r"no C\+\+ compiler"):
        build_ahead(tmp_path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (FLAGS.replace("avx512_vnni", ""), "this processor lacks avx512_vnni"),
        (f"{FLAGS} amx_int8", "this processor has AMX"),
    ],
)
def test_another_processor(able_processor: Path, tmp_path: Path, flags: str, words: str) -> None:
    able_processor.write_text(flags)
    assert words in str(ensure_operators(tmp_path))


def test_a_processor_with_amx_gets_a_library_of_its_own_to_be_measured(
    able_processor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path, 'all="$*"; while [ "$1" != -o ]; do shift; done; echo "$all" >"$2"'))
    usual = ensure_operators(tmp_path / "cache")
    able_processor.write_text(f"{FLAGS} amx_tile amx_int8")
    measured = ensure_operators(tmp_path / "cache", ignore_amx=True)
    assert usual.path is not None
    assert measured.path is not None
    assert measured.path != usual.path
    macro = re.search(r"#ifdef (\w+)", (library.NATIVE / "register.cc").read_text("utf-8"))
    assert macro is not None
    assert f"-D{macro[1]}" in measured.path.read_text().split()
    assert f"-D{macro[1]}" not in usual.path.read_text().split()
    assert "this processor has AMX" in str(ensure_operators(tmp_path / "cache"))


def test_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert "on aarch64" in str(ensure_operators(tmp_path))
