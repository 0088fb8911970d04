"""What a calibration is judged by: collections, or a half, that its temperature and threshold have not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.calibration import calibrate as calibrating
from export.calibration import card
from export.calibration.asking import Answers
from export.calibration.calibrate import CalibrateOptions, calibrate
from export.calibration.held_out import HeldOut
from export.calibration.tables import Row
from export.calibration.turns import Fits, fits
from export.cli import main
from export.errors import TableError
from export.repository.artefact import Artefact, read_artefact
from export.repository.publish import publish
from infolens.contract import Task
from tests.export.repository.artefacts import exported

NAMES = ("real", "fake")
NORTH, SOUTH, WEST = "north", "south", "west"


def answers(counts: dict[str, int], *, turned: str = "", clear: Callable[[Row], bool] = lambda row: True) -> Answers:
    """Answers that are right about as often as they say; of the collection ``turned`` the labels are the other ones."""
    random = np.random.default_rng(0)
    rows, probabilities = [], []
    for source, count in counts.items():
        for number in range(count):
            real, drawn = random.beta(0.7, 0.7), random.random()
            label = NAMES[int((drawn > real) != (source == turned))]
            rows.append(Row(text=f"{source} {number} {real}", title=None, label=label, source=source))
            probabilities.append([real, 1 - real])
    return Answers(
        rows=tuple(rows), probabilities=np.array(probabilities), clear=np.array([clear(row) for row in rows])
    )


def fit(given: Answers, held_out: HeldOut) -> Fits:
    return fits(given, NAMES, held_out=held_out, risk=0.2)


def test_a_collection_is_judged_by_what_was_fitted_without_it() -> None:
    counts = {NORTH: 300, SOUTH: 120, WEST: 60}
    before = fit(answers(counts), HeldOut.COLLECTION)
    after = fit(answers(counts, turned=SOUTH), HeldOut.COLLECTION)
    assert after.judged.bands[SOUTH] == before.judged.bands[SOUTH]
    for name in (NORTH, WEST):
        assert after.judged.bands[name].temperature != before.judged.bands[name].temperature
        assert after.judged.bands[name].threshold != before.judged.bands[name].threshold
    assert after.served.temperature != before.served.temperature
    # All articles are judged, and what is served was fitted on all of them.
    assert before.fitted_on == counts
    assert [before.judged.figures(name)["articles"] for name in before.judged.names()] == [300, 120, 60, 480]


def test_a_turn_is_the_fit_of_the_other_collections() -> None:
    """What is served where there is no south is what south is judged by where there is."""
    three, two = answers({NORTH: 300, WEST: 60, SOUTH: 120}), answers({NORTH: 300, WEST: 60})
    assert three.rows[:360] == two.rows
    assert fit(three, HeldOut.COLLECTION).judged.bands[SOUTH] == fit(two, HeldOut.COLLECTION).served


def test_a_half_is_judged_by_what_was_fitted_on_the_other() -> None:
    given = answers({NORTH: 300, SOUTH: 120})
    found = fit(given, HeldOut.HALF)
    fitted = sum(row.fits for row in given.rows)
    assert sum(found.fitted_on.values()) == fitted
    assert len(found.judged.labels) == 420 - fitted
    assert found.judged.bands == {NORTH: found.served, SOUTH: found.served}
    other = [replace(row, label="real") if not row.fits else row for row in given.rows]
    assert fit(replace(given, rows=tuple(other)), HeldOut.HALF).served == found.served


def test_a_turn_needs_articles_of_two_labels_that_are_enough_to_judge_by() -> None:
    few = answers({NORTH: 300, SOUTH: 120}, clear=lambda row: row.source == NORTH or int(row.text.split()[1]) < 12)
    words = r"12 articles of the collections other than 'north' .* 20 are .*held-out half"
    with pytest.raises(TableError, match=words):
        fit(few, HeldOut.COLLECTION)
    same = answers({NORTH: 300, SOUTH: 120}, clear=lambda row: row.source == NORTH or row.label == "fake")
    with pytest.raises(TableError, match=r"while the collection 'north' is held out.* every one is 'fake': give"):
        fit(same, HeldOut.COLLECTION)
    assert fit(same, HeldOut.HALF).served.temperature > 0
    half = answers({NORTH: 300}, clear=lambda row: not row.fits or row.label == "real")
    with pytest.raises(TableError, match=r"among the articles of the half that is fitted on .* every one is 'real'"):
        fit(half, HeldOut.HALF)


def answered(repository: Path, name: str, artefact: Artefact, rows: Sequence[Row], *, dropped: str = "") -> Answers:
    kept = tuple(row for row in rows if row.source != dropped)
    real = np.array([float(row.text.split()[-1]) for row in kept])
    said = np.stack([real if name == "real" else 1 - real for name in artefact.labels], axis=1)
    return Answers(
        rows=kept, probabilities=said, clear=np.ones(len(kept), bool), refused=("no",) * (len(rows) - len(kept))
    )


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose veracity is asked without a server."""
    monkeypatch.setattr(calibrating, "calibrate", partial(calibrate, ask=answered))
    publish(exported(Task.VERACITY, tmp_path / "made"), tmp_path / "model_repository")
    return tmp_path / "model_repository"


def table(folder: Path, counts: dict[str, int]) -> Path:
    lines = [f"{row.text},{row.label},{row.source}" for row in answers(counts).rows]
    path = folder / "unseen.csv"
    path.write_text("\n".join(["text,label,source", *lines]) + "\n", encoding="utf-8")
    return path


def run(repository: Path, counts: dict[str, int], *words: str) -> dict[str, Any]:
    """The calibration that the command writes."""
    path = table(repository.parent, counts)
    assert main(["calibrate", "veracity", str(path), "--repository", str(repository), *words]) == 0
    return read_artefact(repository / "xlnet" / "1" / "artefact.json").calibration


def test_several_collections_are_held_out_one_by_one_unless_a_half_is_asked_for(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(repository, {NORTH: 300, SOUTH: 120})
    assert found["held_out"] == "collection"
    assert found["fitted_on"] == {NORTH: 300, SOUTH: 120}
    north, south, every = found["figures"]
    assert north["temperature"] != south["temperature"]
    assert {"temperature", "threshold"}.isdisjoint(every)
    assert every["macro_f1"] == pytest.approx((north["macro_f1"] + south["macro_f1"]) / 2, abs=1e-4)
    text = (repository / "xlnet" / "README.md").read_text(encoding="utf-8")
    assert (
        "For each collection both were fitted on the others; the figures are those of articles of a collection" in text
    )
    assert "What is served was fitted on all of them." in text
    assert "one half" not in text
    assert (
        "| collection | articles | enough to judge by | sure from | answered | accuracy of all | macro-F1 of all"
        in text
    )
    assert f"| south | 120 | 100% | {south['threshold']:.3f} | {south['coverage']:.0%} |" in text
    assert "| all, each the same | 420 | 100% | - |" in text
    printed = capsys.readouterr().out
    assert f"south: 120 articles, threshold {south['threshold']:.3f}, coverage" in printed
    assert f"accuracy {south['accuracy']:.3f}, macro_f1 {south['macro_f1']:.3f}, " in printed
    half = run(repository, {NORTH: 300, SOUTH: 120}, "--held-out", "half")
    assert half["held_out"] == "half"
    assert sum(half["fitted_on"].values()) + half["figures"][-1]["articles"] == 420
    assert all("threshold" not in figures for figures in half["figures"])
    text = (repository / "xlnet" / "README.md").read_text(encoding="utf-8")
    assert "Both were fitted on one half of collections that the model was not trained on" in text
    assert "sure from |" not in text
    assert "fitted on the others" not in text


def test_of_one_collection_a_half_is_held_out_and_nothing_else_can_be(
    repository: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(repository, {NORTH: 300})["held_out"] == "half"
    words = ["calibrate", "veracity", str(table(repository.parent, {NORTH: 300})), "--repository", str(repository)]
    assert main([*words, "--held-out", "collection"]) == 1
    message = "a collection is held out where there are at least two, and every article is of 'north': give tables"
    assert message in capsys.readouterr().err
    # The same where the server takes the articles of one alone.
    options = CalibrateOptions(
        task=Task.VERACITY, files=(table(repository.parent, {NORTH: 300, SOUTH: 120}),), repository=repository
    )
    one = partial(answered, dropped=SOUTH)
    assert calibrate(options, ask=one).artefact.calibration["held_out"] == "half"
    assert "every article that was answered is of one collection" in caplog.text
    with pytest.raises(TableError, match="every article is of 'north'"):
        calibrate(replace(options, held_out=HeldOut.COLLECTION), ask=one)


def test_what_cannot_be_held_out_is_known_before_a_model_is_asked_or_exported(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "unseen.csv"
    lines = [f"text {number},{NAMES[number % 2]},{(NORTH, SOUTH)[number % 2]}" for number in range(100)]
    path.write_text("\n".join(["text,label,source", *lines]) + "\n", encoding="utf-8")
    message = "while the collection 'north' is held out, two labels are needed"
    options = ["--repository", str(repository)]
    assert main(["calibrate", "veracity", str(path), *options]) == 1
    assert message in capsys.readouterr().err
    assert main(["veracity", "--checkpoint", str(tmp_path / "none"), "--calibrate", str(path), *options]) == 1
    assert message in capsys.readouterr().err
    few = table(tmp_path, {NORTH: 300, SOUTH: 12})
    assert main(["veracity", "--checkpoint", str(tmp_path / "none"), "--calibrate", str(few), *options]) == 1
    assert "12 articles of the collections other than 'north'" in capsys.readouterr().err
    half = [*options, "--held-out", "half"]
    few = table(tmp_path, {NORTH: 24})
    assert main(["veracity", "--checkpoint", str(tmp_path / "none"), "--calibrate", str(few), *half]) == 1
    assert "articles of one half of the tables are enough to judge by, and 20 are needed" in capsys.readouterr().err


def test_a_calibration_of_before_held_out_a_half(repository: Path) -> None:
    run(repository, {NORTH: 300, SOUTH: 120}, "--held-out", "half")
    path = repository / "xlnet" / "1" / "artefact.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["calibration"]["held_out"]
    for figures in document["calibration"]["figures"]:
        del figures["macro_f1"]
    path.write_text(json.dumps(document), encoding="utf-8")
    old = read_artefact(path)
    text = card.section(old.calibration, old.temperature, old.threshold, doubt_word="no clear signal")
    assert "Both were fitted on one half" in text
    assert "macro-F1" not in text
    assert run(repository, {NORTH: 300, SOUTH: 120})["held_out"] == "collection"


def test_the_card_has_the_risk_as_it_was_asked_for_and_one_cell_for_a_name(repository: Path) -> None:
    run(repository, {NORTH: 300, "a|b": 120}, "--risk", "0.125")
    text = (repository / "xlnet" / "README.md").read_text(encoding="utf-8")
    assert "at most 12.5% of the answers wrong" in text
    assert r"| a\|b | 120 |" in text
