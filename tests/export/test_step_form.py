"""Exports of a tiny summarizer in steps from end to end: the engine's answers are held against the checkpoint's."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

from engine.artefact import ENCODER, MANIFEST, WEIGHTS, read
from export.architectures import architecture_of, bart_steps
from export.checkpoint.checkpoint import load_checkpoint
from export.cli import build_parser, main
from export.errors import CheckpointError, ParityError
from export.exporter import build, export
from export.graph.model_file import write_model
from export.graph.precision import Precision, precisions_of
from export.graph.step.files import write_engine
from export.options import ExportOptions
from export.parity.check import running_graph
from export.parity.engines import running_engine
from export.parity.summaries import with_settings
from export.parity.summary_options import summary_options
from infolens.contract import SUMMARY_SETTINGS, AnswerKind, Task
from infolens.targets import Target
from tests.export.conftest import RANDOM

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")


@pytest.mark.parametrize("precision", precisions_of("step"))
def test_an_engine_has_parity_and_is_published_whole(
    checkpoints: dict[Task, Path], tmp_path: Path, precision: Precision
) -> None:
    options = ExportOptions(
        task=Task.SUMMARY,
        checkpoint=str(checkpoints[Task.SUMMARY]),
        repository=tmp_path,
        precision=precision,
        form="step",
        tolerances=RANDOM,
    )
    result = export(options)
    figures = result.parity.figures()
    assert figures["fp32_same_summaries"] == figures["fp32_alone_or_in_a_batch"] == 1
    assert figures[f"{precision}_alone_or_in_a_batch"] >= precision.number_format.same_alone
    folder = tmp_path / "bart" / "1"
    document = json.loads((folder / "artefact.json").read_text())
    assert (document["form"], document["precision"]) == ("step", precision)
    assert document["parity"] == figures
    assert result.file_bytes[WEIGHTS] == (folder / WEIGHTS).stat().st_size > 0
    artefact = read(folder)
    assert artefact.precision == precision
    assert (artefact.rules.first_token, artefact.rules.last_token, artefact.no_repeat_ngram_size) == (0, 2, 3)
    assert main(["configs", "--check", "--repository", str(tmp_path)]) == 0


@pytest.mark.long
def test_an_engine_reads_long_articles_in_windows(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    options = ExportOptions(
        task=Task.SUMMARY,
        checkpoint=str(checkpoints[Task.SUMMARY]),
        repository=tmp_path,
        precision=Precision.FP32,
        form="step",
        window=96,
        max_tokens=384,
        tolerances=RANDOM,
    )
    assert export(options).parity.figures()["fp32_same_summaries"] == 1
    assert read(tmp_path / "bart" / "1").architecture.window == 96


@pytest.mark.long
def test_an_engine_that_answers_otherwise_is_not_published(
    checkpoints: dict[Task, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(folder: Path, *words: object, **more: object) -> None:
        write_engine(folder, *words, **more)  # type: ignore[arg-type]
        document = json.loads((folder / MANIFEST).read_text())
        document["rules"]["first_token"] = 7
        (folder / MANIFEST).write_text(json.dumps(document))
        encoder = onnx.load(str(folder / ENCODER), load_external_data=False)
        scale = next(one for one in encoder.graph.initializer if "layernorm" in one.name)
        del scale.external_data[:]
        scale.data_location = onnx.TensorProto.DEFAULT
        scale.raw_data = b"\x00\x00\x80\x3e" * scale.dims[0]
        (folder / ENCODER).write_bytes(encoder.SerializeToString())

    monkeypatch.setattr(bart_steps, "write_engine", spoilt)
    options = ExportOptions(
        task=Task.SUMMARY,
        checkpoint=str(checkpoints[Task.SUMMARY]),
        repository=tmp_path / "models",
        precision=Precision.FP32,
        form="step",
    )
    with pytest.raises(ParityError, match=r"(?s)repository is as it was before.*FAILED"):
        export(options)
    assert not list((tmp_path / "models").glob("*"))


def test_only_summaries_have_forms(capsys: pytest.CaptureFixture[str]) -> None:
    words = build_parser().parse_args(["summary", "--checkpoint", "x"])
    assert {target: summary_options(words, target)["form"] for target in Target} == {
        Target.CPU: "loop",
        Target.CUDA: "step",
        Target.TENSORRT: "step",
    }
    assert build_parser().parse_args(["summary", "--checkpoint", "x", "--form", "step"]).form == "step"
    with pytest.raises(SystemExit):
        build_parser().parse_args(["category", "--checkpoint", "x", "--form", "step"])
    capsys.readouterr()
    assert architecture_of("distilbert", AnswerKind.LABELS).write_steps is None


def test_a_family_without_steps_is_refused(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    source = str(checkpoints[Task.CATEGORY])
    with pytest.raises(CheckpointError, match="a distilbert has no form for steps: leave --form out"):
        export(ExportOptions(task=Task.CATEGORY, checkpoint=source, repository=tmp_path / "models", form="step"))


def test_padding_between_windows_is_not_read(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    """As the server lays windows out, which end where sentences do: both forms write the same."""
    checkpoint = load_checkpoint(Task.SUMMARY, str(checkpoints[Task.SUMMARY]), window=96, max_tokens=384)
    write_model(tmp_path / "model.onnx", partial(build, checkpoint, Precision.FP32))
    (tmp_path / "engine").mkdir()
    bart_steps.write_steps(checkpoint.trained, Precision.FP32, tmp_path / "engine")
    chance = np.random.default_rng(3)
    ids = chance.integers(5, 400, (3, 288), np.int32)
    mask = np.ones_like(ids)
    for row, (first, second) in enumerate(((90, 70), (96, 41), (33, 95))):
        mask[row, first:96] = mask[row, 96 + second : 192] = mask[row, 250:] = 0
    ids[mask == 0] = 1
    values = {one.name: one.default for one in SUMMARY_SETTINGS}
    feeds = with_settings({"input_ids": ids, "attention_mask": mask}, values)
    with running_graph(tmp_path / "model.onnx", None) as loop, running_engine(384)(tmp_path / "engine", None) as step:
        found = step(feeds)
        assert found.tolist() == loop(feeds).tolist()
        read = step({**feeds, "attention_mask": np.ones_like(mask)})
    assert (found != read).any(axis=1).all(), "the padding makes a difference"
