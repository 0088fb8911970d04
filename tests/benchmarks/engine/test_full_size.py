"""What is measured of BART large, with a small model in its place: both forms, and the same summaries from both."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common.fixtures import FixtureSize
from benchmarks.common.server import BenchmarkError
from benchmarks.engine.cases import LONG_BEAMS, LONG_IN_FLIGHT
from benchmarks.engine.comparing import LOOP, SLOTS, Group, compare
from benchmarks.engine.models import full, in_both_forms
from benchmarks.engine.sides import LoopSide, SlotsSide
from operators.library import ensure_operators


def test_both_forms_write_the_same_summaries(tmp_path: Path) -> None:
    model = full(3, FixtureSize.SMALL, tmp_path)
    assert [(case.group, case.in_flight, len(case.articles)) for case in model.cases] == [
        (Group.ALONE, 1, 1),
        *((Group.BUSY, number, 3) for number in LONG_IN_FLIGHT),
    ] * len(LONG_BEAMS)
    assert model.beams == LONG_BEAMS
    assert (model.source_length, model.target_length, len(model.typical.ids)) == (512, 60, 512)
    native = ensure_operators().path
    loop = LoopSide(model.graph, operators=native, instances=1, pad_token=model.artefact.rules.pad_token)
    slots = SlotsSide(
        model.artefact, operators=native, workers=1, slots=2, beams=model.beams, source_length=512, target_length=60
    )
    try:
        found = compare(model.cases, {LOOP: loop, SLOTS: slots}, rounds=1)
    finally:
        slots.close()
        loop.close()
    assert all(one.same == len(one.case.articles) for one in found)
    assert {one.mean_tokens_out for one in found} == {60}


def test_both_forms_are_written_once_and_only_the_newest_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, cache = tmp_path / "bart-full", tmp_path / "engine"
    checkpoint.mkdir()
    cache.mkdir()
    (cache / "another").mkdir()

    def write(config: str) -> Path:
        (checkpoint / "config.json").write_text(config, encoding="utf-8")
        return in_both_forms(checkpoint, cache)

    monkeypatch.setattr("benchmarks.engine.models.subprocess.run", _Writer())
    first = write("{}")
    assert write("{}") == first
    second = write("[]")
    assert {folder.name for folder in cache.iterdir()} == {second.name, "another"}
    assert first != second
    with pytest.raises(BenchmarkError, match=r"export\.uncompared\.forms .* failed: no room"):
        write("broken")


class _Writer:
    """Stands in for the process of the room `export`: makes the folder twice, and fails at the third call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, words: list[str], **_: object) -> object:
        self.calls += 1
        if self.calls == 3:
            return type("Done", (), {"returncode": 1, "stderr": "no room", "stdout": ""})
        Path(words[words.index("--out") + 1]).mkdir()
        return type("Done", (), {"returncode": 0, "stderr": "", "stdout": ""})
