"""Both forms of a checkpoint, written without a comparison, are of the same weights."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from engine.artefact import read
from export.graph.model_file import MODEL_FILE
from export.uncompared.forms import STEPS, main
from infolens.contract import Task

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")


def weights(graph: Path) -> dict[str, bytes]:
    return {tensor.name: tensor.raw_data for tensor in onnx.load(str(graph)).graph.initializer}


def test_both_forms_have_the_same_integers_and_scales(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    out = tmp_path / "both"
    assert main([str(checkpoints[Task.SUMMARY]), "--out", str(out)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["both"]
    artefact = read(out / STEPS)
    assert (artefact.precision, artefact.no_repeat_ngram_size, artefact.early_stopping) == ("int8", 3, True)
    whole = weights(out / MODEL_FILE)
    parts = weights(out / STEPS / "encoder.onnx") | weights(out / STEPS / "step.onnx")
    names = {name for name in whole if name.startswith("model.") and name.endswith((".weight_int8", ".scale"))}
    assert len(names) > 20
    assert {name: parts[name] for name in names} == {name: whole[name] for name in names}


def test_an_earlier_folder_is_left_alone(
    checkpoints: dict[Task, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoints[Task.SUMMARY]), "--out", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_form_that_cannot_be_written(
    checkpoints: dict[Task, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("export.architectures.bart_steps.write_engine", full)
    assert main([str(checkpoints[Task.SUMMARY]), "--out", str(tmp_path / "both")]) == 1
    assert not list(tmp_path.iterdir())


def test_what_writes_no_texts_is_refused(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    source = str(checkpoints[Task.CATEGORY])
    assert main([source, "--out", str(tmp_path / "both")]) == 1
    assert not list(tmp_path.iterdir())
