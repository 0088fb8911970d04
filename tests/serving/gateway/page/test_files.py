"""The page as the door sends it: small, whole, its own, and with words for everything that it says."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from serving.gateway.page.assets import PAGE, read_assets
from serving.gateway.page.routes import POLICY
from tests.serving.gateway.http.running import RunningDoor

MAX_BYTES = 300_000
"""All that the page can ever load, before it is compressed."""
OURS = [path for path in sorted(PAGE.rglob("*.js")) if "vendor" not in path.parts]
ENGLISH = PAGE / "words" / "en.js"


def names(path: Path) -> set[str]:
    """The files that a module loads, by their paths in the page's folder."""
    found = re.findall(r'(?:from |import\(|import )"(\.[^"]+)"', path.read_text("utf-8"))
    return {(path.parent / one).resolve().relative_to(PAGE).as_posix() for one in found}


@pytest.mark.parametrize("path", ["/", "/quality"])
def test_it_comes_as_html_with_its_policy(door: RunningDoor, path: str) -> None:
    answer = door.ask("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("name", sorted(read_assets()))
def test_each_file_comes_as_it_is_and_compressed_and_once(door: RunningDoor, name: str) -> None:
    plain = door.ask("GET", f"/page/{name}")
    assert (plain.status, plain.body) == (200, (PAGE / name).read_bytes())
    packed = door.ask("GET", f"/page/{name}", headers={"Accept-Encoding": "gzip, br"})
    assert (packed.headers["Content-Encoding"], gzip.decompress(packed.body)) == ("gzip", plain.body)
    again = door.ask("GET", f"/page/{name}", headers={"If-None-Match": plain.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert "no-cache" in again.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/page/nothing.js", "/page/../routes.py", "/page/vendor/lit-html/LICENSE", "/page/"])
def test_there_are_no_other_files(door: RunningDoor, path: str) -> None:
    assert door.ask("GET", path).status == 404


def test_it_is_light() -> None:
    assert sum(len(one.body) for one in read_assets().values()) < MAX_BYTES


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.relative_to(PAGE).as_posix())
def test_what_a_module_loads_is_there_and_nothing_comes_from_elsewhere(path: Path) -> None:
    assert names(path) <= read_assets().keys()
    text = path.read_text("utf-8")
    assert not re.search(r"""(from|import\()\s*["']https?:|\beval\(|innerHTML|\bunsafe""", text)


@pytest.mark.parametrize(("name", "starts"), [("index.html", "app.js"), ("quality/index.html", "quality/start.js")])
def test_html_and_styles_load_what_is_there(name: str, starts: str) -> None:
    index = (PAGE / name).read_text("utf-8")
    loaded = re.findall(r'(?:href|src)="page/([^"]+)"', index)
    assert {starts, "style.css"} <= set(loaded) <= read_assets().keys()
    assert not re.search(r"<style|\bstyle=|\bon\w+=|https?:", index)
    for style in PAGE.rglob("*.css"):
        assert not re.search(r"@import|url\(", style.read_text("utf-8"))


def test_every_string_is_in_the_one_file() -> None:
    known = set(re.findall(r"^  (\w+):", ENGLISH.read_text("utf-8"), re.MULTILINE))
    code = "\n".join(path.read_text("utf-8") for path in OURS if path != ENGLISH)
    asked = set(re.findall(r'\bt\(\s*"(\w+)"', code))
    asked |= {name for pair in re.findall(r'\bt\([^"`()]*\? "(\w+)" : "(\w+)"', code) for name in pair}
    assert asked - known == set()
    built = tuple(re.findall(r"`(\w+_)\$\{", code))
    ended = tuple(re.findall(r"`\$\{\w+\}(_\w+)`", code))
    quoted = set(re.findall(r'"(\w+)"', code))
    unused = {name for name in known - asked - quoted if not name.startswith(built) and not name.endswith(ended)}
    assert unused == set()


def test_the_vendored_library_has_its_licence() -> None:
    folders = [path for path in (PAGE / "vendor").iterdir() if path.is_dir()]
    assert folders
    assert all((path / "LICENSE").is_file() for path in folders)
