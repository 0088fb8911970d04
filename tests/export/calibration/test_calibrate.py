"""A calibration from the command line to the files of a repository, with answers that are made up."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.calibration import calibrate as calibrating
from export.calibration.asking import Answers
from export.calibration.calibrate import CalibrateOptions, calibrate
from export.calibration.held_out import HeldOut
from export.calibration.tables import Row
from export.cli import main
from export.errors import RepositoryError, TableError
from export.repository.artefact import Artefact, read_artefact
from export.repository.configs import from_text
from export.repository.generated_files import check_generated
from export.repository.model_card import BEGIN, END, with_section
from export.repository.publish import publish
from infolens.contract import Task
from tests.export.repository.artefacts import exported


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with an export of every task; no graph among them is a real one."""
    folder = tmp_path / "model_repository"
    for task in Task:
        publish(exported(task, tmp_path / "made"), folder)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Texts of two collections; the last word of each is how sure the model is made to be that it is real."""
    lines = ["text,label,source"]
    for number in range(400):
        sure = (number % 50 + 0.5) / 50
        label = "real" if sure > 0.5 else "fake"
        if abs(sure - 0.5) < 0.3 and number // 50 % 2:  # Where it is not sure, it is as often wrong as right.
            label = "fake" if label == "real" else "real"
        lines.append(f"text {number} {sure},{label},{'north' if number % 4 else 'south'}")
    path = tmp_path / "unseen.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def answered(repository: Path, name: str, artefact: Artefact, rows: Sequence[Row], *, short: int = 0) -> Answers:
    real = np.array([float(row.text.split()[-1]) for row in rows])
    clear = np.arange(len(rows)) >= short
    return Answers(rows=tuple(rows), probabilities=np.stack([real, 1 - real], axis=1), clear=clear)


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating.asking, "ask", answered)
    monkeypatch.setattr(calibrating, "calibrate", partial(calibrate, ask=answered))


def parameters(repository: Path, model: str) -> dict[str, str]:
    config = from_text((repository / model / "config.pbtxt").read_text(encoding="utf-8"))
    return {key: value.string_value for key, value in config.parameters.items()}


def test_an_artefact_that_was_never_calibrated_is_always_sure(repository: Path) -> None:
    path = repository / "xlnet" / "1" / "artefact.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for name in ("temperature", "threshold", "calibration"):
        del document[name]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert (read_artefact(path).temperature, read_artefact(path).threshold) == (1, 0)
    assert check_generated(repository) == []
    found = parameters(repository, "xlnet_labels")
    assert (found["temperature"], found["threshold"], found["doubt_word"]) == ("1.0", "0.0", "no clear signal")
    assert parameters(repository, "distilbert_labels")["doubt_word"] == "unsure"


@pytest.mark.parametrize(("name", "value"), [("temperature", 0), ("temperature", True), ("threshold", 1.01)])
def test_an_artefact_with_an_impossible_band_is_refused(repository: Path, name: str, value: object) -> None:
    path = repository / "xlnet" / "1" / "artefact.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), name: value}), encoding="utf-8")
    with pytest.raises(RepositoryError, match=name):
        read_artefact(path)


def test_the_command_writes_artefact_configuration_card_and_picture(
    repository: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["calibrate", "veracity", str(table), "--repository", str(repository)]
    assert main(words) == 0
    artefact = read_artefact(repository / "xlnet" / "1" / "artefact.json")
    assert 0.5 < artefact.threshold < 1
    assert artefact.calibration["reached"]
    names = [figures["collection"] for figures in artefact.calibration["figures"]]
    assert names == ["north", "south", "all, each the same"]
    for figures in artefact.calibration["figures"]:
        assert figures["accuracy_answered"] > figures["accuracy"]
        assert 0.4 < figures["coverage"] < 1
    fitted, judged = artefact.calibration["fitted_on"], artefact.calibration["figures"][-1]["articles"]
    assert (sum(fitted.values()), judged) == (400, 400)
    found = parameters(repository, "xlnet_labels")
    assert (found["temperature"], found["threshold"]) == (str(artefact.temperature), str(artefact.threshold))
    assert check_generated(repository) == []
    card = (repository / "xlnet" / "README.md").read_text(encoding="utf-8")
    assert f"**{artefact.threshold:g}**" in card
    assert "| south |" in card
    picture = repository / "xlnet" / "calibration.png"
    assert picture.stat().st_size < 60_000
    with Image.open(picture) as image:
        assert image.format == "PNG"
    assert "sure from" in capsys.readouterr().out
    assert main(words) == 0
    assert "everything is as it was" in capsys.readouterr().out
    assert (repository / "xlnet" / "README.md").read_text(encoding="utf-8") == card


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """Texts of the collections that the model was trained on, and one of `table`'s; three of four of the former fit."""
    lines = ["text,label,source,split"]
    for number in range(80):
        label = "real" if number % 4 else "fake"
        lines.append(f"known {number} 0.9,{label},home,{'train' if number < 40 else 'test'}")
        lines.append(f"strange {number} 0.9,fake,north,test")
    path = tmp_path / "known.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_accuracy_in_domain_is_measured_and_stays(
    repository: Path,
    table: Path,
    known: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    words = ["calibrate", "veracity", str(table), "--repository", str(repository)]
    path, card = repository / "xlnet" / "1" / "artefact.json", repository / "xlnet" / "README.md"
    assert main(words) == 0
    without = read_artefact(path)
    assert "in_domain" not in without.calibration
    assert "trained on, which it had not seen" not in card.read_text(encoding="utf-8")
    assert main([*words, "--in-domain", str(known), "--in-domain-split", "test"]) == 0
    found = read_artefact(path)
    assert found.calibration == {**without.calibration, "in_domain": {"articles": 40, "accuracy": 0.75}}
    assert "as collections that it was trained on: home: 40 articles" in caplog.text
    assert (found.temperature, found.threshold) == (without.temperature, without.threshold)
    assert "the label of **0.750** is right (40 articles" in card.read_text(encoding="utf-8")
    assert "in domain: 40 articles, accuracy 0.750" in capsys.readouterr().out
    assert main([*words, "--risk", "0.1"]) == 0
    assert read_artefact(path).calibration["in_domain"] == {"articles": 40, "accuracy": 0.75}
    assert main([*words, "--in-domain", str(known)]) == 0
    assert read_artefact(path).calibration["in_domain"]["articles"] == 80


@pytest.mark.parametrize(
    ("split", "message"),
    [("holdout", "no row among those of the split 'holdout' has both"), ("", "labels that the model does not")],
)
def test_tables_in_domain_that_cannot_be_used_change_nothing(
    repository: Path, table: Path, known: Path, split: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not split:
        known.write_text(known.read_text(encoding="utf-8").replace(",real,", ",true,"), encoding="utf-8")
    before = (repository / "xlnet" / "1" / "artefact.json").read_bytes()
    words = ["calibrate", "veracity", str(table), "--repository", str(repository), "--in-domain", str(known)]
    assert main([*words, "--in-domain-split", split]) == 1
    assert message in capsys.readouterr().err
    assert (repository / "xlnet" / "1" / "artefact.json").read_bytes() == before


def test_what_cannot_be_reached_is_said_aloud(
    repository: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = {",fake,": ",real,", ",real,": ",fake,"}
    text = re.sub(",(fake|real),", lambda found: turned[found.group()], table.read_text(encoding="utf-8"))
    table.write_text(text, encoding="utf-8")
    assert main(["calibrate", "veracity", str(table), "--repository", str(repository), "--risk", "0.1"]) == 0
    assert "warning: no threshold makes at most 10% of the answers wrong" in capsys.readouterr().out
    assert "**no threshold does that**" in (repository / "xlnet" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name", "distilbert"], "has no model 'distilbert' for veracity; it has: xlnet"),
        (["--text-column", "body"], "has no column 'body'"),
        (["--sources", "east"], "no article is of the collection 'east'"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    repository: Path, table: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    assert main(["calibrate", "veracity", str(table), "--repository", str(repository), *words]) == 1
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()} == before


def test_too_few_texts_that_are_enough_to_judge_by_are_refused(repository: Path, table: Path) -> None:
    options = CalibrateOptions(task=Task.VERACITY, files=(table,), repository=repository)
    with pytest.raises(TableError, match=r"\d+ articles of one half .* and 20 are needed"):
        calibrate(replace(options, held_out=HeldOut.HALF), ask=partial(answered, short=370))
    with pytest.raises(TableError, match="summary writes texts"):
        CalibrateOptions(task=Task.SUMMARY, files=(table,))


def test_the_section_of_a_card_is_written_anew_and_stands_before_the_limits() -> None:
    section = f"{BEGIN}\nnew\n{END}\n"
    assert with_section("# a\n\n## Limits\n\n- b\n", section) == f"# a\n\n{section}\n## Limits\n\n- b\n"
    assert with_section("# a\n", section) == f"# a\n\n{section}"
    assert with_section(f"# a\n\n{BEGIN}\nold\n{END}\n\n# c\n", section) == f"# a\n\n{section}\n# c\n"
    with pytest.raises(RepositoryError, match="only one of"):
        with_section(f"# a\n{BEGIN}\n", section)


def test_an_export_may_be_calibrated_at_once(
    checkpoints: dict[Task, Path], table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "served"
    words = ["veracity", "--checkpoint", str(checkpoints[Task.VERACITY]), "--repository", str(repository)]
    words += ["--precision", "fp32", "--calibrate", str(table)]
    assert main([*words, "--label-column", "verdict"]) == 1
    assert "has no column 'verdict'" in capsys.readouterr().err
    assert not repository.exists()  # It was known before anything was written.
    assert main(words) == 0
    artefact = read_artefact(repository / "xlnet" / "1" / "artefact.json")
    assert artefact.threshold > 0
    assert parameters(repository, "xlnet_labels")["threshold"] == str(artefact.threshold)
    card = repository / "xlnet" / "README.md"
    calibrated = card.read_text(encoding="utf-8")
    assert calibrated.startswith("# xlnet: the veracity of an article\n")
    assert (f"**{artefact.threshold:g}**" in calibrated, "never calibrated" in calibrated) == (True, False)
    assert main(words[:-2]) == 0
    assert "always sure of its answers until: python -m export calibrate veracity" in capsys.readouterr().out
    assert read_artefact(repository / "xlnet" / "2" / "artefact.json").threshold == 0
    assert "never calibrated" in card.read_text(encoding="utf-8")
    assert not (repository / "xlnet" / "calibration.png").exists()
    assert (repository / "xlnet" / "1" / "README.md").read_text(encoding="utf-8") == calibrated
    assert main(["remove", "xlnet", "--repository", str(repository)]) == 0
    assert card.read_text(encoding="utf-8") == calibrated
    assert (repository / "xlnet" / "calibration.png").is_file()
    assert not (repository / "xlnet" / "1" / "README.md").exists()


def test_articles_of_one_label_are_refused(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    path.write_text("text,label\n" + "".join(f"text {number},real\n" for number in range(400)), encoding="utf-8")
    with pytest.raises(TableError, match=r"every article is 'real'.*several labels"):
        calibrate(CalibrateOptions(task=Task.VERACITY, repository=repository, files=(path,)))
