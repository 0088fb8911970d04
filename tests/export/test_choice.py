"""A summarizer with a head that chooses sentences: its graph, its export, and the forms that have no head."""

from __future__ import annotations

import json
import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from export.checkpoint.checkpoint import load_checkpoint
from export.checkpoint.tokenization import encode, padding_of, serving_tokenizer
from export.cli import main
from export.errors import CheckpointError, ParityError
from export.exporter import build, export
from export.graph.graph import Graph
from export.graph.initializers import Initializers
from export.graph.model_file import write_model
from export.graph.precision import Precision, precisions_of
from export.options import ExportOptions
from export.parity.articles import ARTICLES
from export.parity.check import check_graph, reference_of
from export.parity.choice import ChoiceReference
from export.parity.reference import Reference
from export.parity.report import ParityReport
from export.parity.summaries import SummaryReference, with_settings
from export.parity.tolerances import Tolerances
from infolens.contract import INPUT_IDS, SENTENCE_ENDS, SUMMARY_SETTINGS, Task
from operators.library import ensure_operators
from reading.choice import WORDS_SCALE
from tests.export.conftest import add_head
from tests.export.graph.rows import session_of

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")

LOOSE = Tolerances(token_f1=0.1, choice_probability=0.1, choice_length=0.5, choice_rank=0.8)
"""Random weights hardly tell one word from another, which int8 does not either."""
DEFAULTS = {setting.name: setting.default for setting in SUMMARY_SETTINGS}


def load(folder: Path, **changes: Any) -> Any:
    return load_checkpoint(Task.SUMMARY, str(folder), choice=True, **changes)


def feeds_of(checkpoint: Any, *texts: str) -> dict[str, Any]:
    """A batch whose rows quote."""
    batch = encode(serving_tokenizer(checkpoint), texts, padding_of(checkpoint), max_tokens=160)
    return with_settings(batch | {SENTENCE_ENDS.name: batch[INPUT_IDS.name]}, DEFAULTS)


@pytest.fixture(scope="module")
def reference(choosing: Path) -> Reference:
    checkpoint = load(choosing)
    return reference_of(checkpoint, serving_tokenizer(checkpoint), padding_of(checkpoint))


@pytest.mark.parametrize("precision", precisions_of("loop"))
def test_both_branches_are_as_the_checkpoint_says(
    choosing: Path, reference: Reference, tmp_path: Path, precision: Precision
) -> None:
    path = tmp_path / "model.onnx"
    write_model(path, partial(build, load(choosing), precision))
    for native in dict.fromkeys((None, ensure_operators().path if precision is Precision.INT8 else None)):
        report = ParityReport()
        check_graph(report, reference, precision, path, tolerances=LOOSE, operators=native)
        assert report.passed, report.table()
        found = report.figures()
        assert found[f"{precision}{'_native' if native else ''}_choice_alone_or_in_a_batch"] < 5e-3


def test_free_summaries_are_those_of_a_graph_without_a_head(choosing: Path) -> None:
    graphs = [build(load_checkpoint(Task.SUMMARY, str(choosing), choice=on), Precision.INT8, Initializers())
              for on in (False, True)]  # fmt: skip
    checkpoint = load(choosing)
    free = feeds_of(checkpoint, *ARTICLES[:4]) | {SENTENCE_ENDS.name: np.zeros((4, 1), np.int32)}
    for native in dict.fromkeys((None, ensure_operators().path)):
        without, head = (session_of(graph, native).run(None, free)[0] for graph in graphs)
        np.testing.assert_array_equal(without, head)


def test_nothing_is_decoded_where_the_head_chooses(choosing: Path) -> None:
    graph = build(load(choosing), Precision.FP32, Initializers()).graph
    loop = next(node for node in graph.node if node.op_type == "Loop")
    cross = "model.decoder.layers.0.encoder_attn.k_proj+model.decoder.layers.0.encoder_attn.v_proj.weight"
    # No step: the loop's condition is that the rows are free. No keys and values: they stand in a branch.
    makers = {output: node for node in graph.node for output in node.output}
    condition = makers[makers[loop.input[1]].input[0]]
    assert [condition.op_type, makers[condition.input[0]].input[0]] == ["Equal", SENTENCE_ENDS.name]
    assert not [node.name for node in graph.node if cross in node.input]


@pytest.mark.parametrize("layers", [0, 2])
def test_a_head_has_any_number_of_layers_and_reads_windows(
    checkpoints: dict[Task, Path], tmp_path: Path, layers: int
) -> None:
    shutil.copytree(checkpoints[Task.SUMMARY], tmp_path / "checkpoint")
    checkpoint = load(add_head(tmp_path / "checkpoint", layers), window=40, max_tokens=160)
    tokenizer, padding = serving_tokenizer(checkpoint), padding_of(checkpoint)
    asked = reference_of(checkpoint, tokenizer, padding, articles=ARTICLES[:6])
    assert isinstance(asked, SummaryReference)
    assert isinstance(asked.choice, ChoiceReference)
    assert asked.choice.odds.shape[2] == 160
    report = ParityReport()
    session = session_of(build(checkpoint, Precision.FP32, Initializers()))
    asked.choice.compare(report, Precision.FP32, "fp32", lambda feeds: session.run(None, feeds)[0], Tolerances())
    assert report.passed, report.table()


def test_the_expected_words_stay_within_the_integers(choosing: Path, tmp_path: Path) -> None:
    shutil.copytree(choosing, tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / "model.safetensors"
    tensors = load_file(path) | {"choice.length.bias": torch.tensor([60.0])}
    save_file(tensors, path, {"format": "pt"})
    checkpoint = load(path.parent)
    session = session_of(build(checkpoint, Precision.FP32, Initializers()))
    feeds = feeds_of(checkpoint, ARTICLES[1])
    (row,) = session.run(None, feeds)[0]
    assert row.dtype == np.int32
    assert row.shape == (1 + 2 * feeds[INPUT_IDS.name].shape[1],)
    assert row[0] > 1_000_000 * WORDS_SCALE
    assert 0 <= row[1:].min() <= row[1:].max() <= 1_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice.words.weight": None}, "lacks choice.words.weight"),
        ({"choice.layers.0.fc1.bias": torch.zeros(3)}, r"choice.layers.0.fc1.bias has the shape \[3\].*says \[64\]"),
        ({"choice.length.bias": torch.tensor([float("nan")])}, "not finite: choice.length.bias has 1 NaN"),
    ],
)
def test_a_head_that_is_none_is_refused(choosing: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    shutil.copytree(choosing, tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / "model.safetensors"
    tensors = {name: one for name, one in (load_file(path) | change).items() if one is not None}
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(CheckpointError, match=message):
        load(path.parent)
    assert load_checkpoint(Task.SUMMARY, str(path.parent)).head is None


def test_a_number_of_layers_that_is_none_is_refused(choosing: Path, tmp_path: Path) -> None:
    shutil.copytree(choosing, tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"choice_layers": -1}))
    with pytest.raises(CheckpointError, match=r"choice_layers .* must be a whole number from 0, not -1"):
        load(path.parent)


def options(checkpoint: Path, repository: Path, **changes: Any) -> ExportOptions:
    given = {"style": "extractive", "extraction": "choice", "tolerances": LOOSE} | changes
    return ExportOptions(task=Task.SUMMARY, checkpoint=str(checkpoint), repository=repository, **given)


def test_an_export_chooses_and_its_steps_write_drafts(
    choosing: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository = tmp_path / "models"
    result = export(options(choosing, repository))
    assert result.artefact.extraction == "choice"
    head = sum(one.numel() for one in load(choosing).head.values())
    assert result.artefact.parameters == load(choosing).model.num_parameters() + head
    figures = json.loads((repository / "bart" / "1" / "artefact.json").read_text())["parity"]
    assert {"fp32_choice_probability", "int8_native_choice_rank"} <= figures.keys()
    assert 'string_value: "choice"' in (repository / "bart_tokenizer" / "config.pbtxt").read_text()
    warm = (repository / "bart" / "config.pbtxt").read_text()
    assert warm.count("dims: 160") == 3  # the longest of the warm-ups: tokens, mask, and ends of sentences

    caplog.set_level(logging.INFO)
    version = repository / "bart" / "1"
    out = tmp_path / "steps"
    assert main(["steps", str(version), "--out", str(out)]) == 0
    assert "no head that chooses" in caplog.text
    facts = json.loads((out / "artefact.json").read_text())
    assert (facts["form"], facts["extraction"]) == ("step", "nearest")
    shutil.rmtree(version)
    shutil.copytree(out, version)
    assert main(["configs", "--repository", str(repository)]) == 0
    assert 'string_value: "nearest"' in (repository / "bart_tokenizer" / "config.pbtxt").read_text()


def test_an_export_in_steps_writes_drafts(choosing: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result = export(options(choosing, tmp_path, form="step", compared=False))
    assert result.artefact.extraction == "nearest"
    assert "no head that chooses" in caplog.text


def test_a_checkpoint_without_a_head_cannot_choose(
    checkpoints: dict[Task, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["summary", "--checkpoint", str(checkpoints[Task.SUMMARY]), "--repository", str(tmp_path / "models")]
    assert main([*asked, "--extraction", "choice"]) == 1
    assert "has no head that chooses sentences (choice_layers in its config.json)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_head_that_is_not_asked_for_is_left_out(choosing: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    checkpoint = load_checkpoint(Task.SUMMARY, str(choosing))
    assert "its head that chooses sentences is left out" in caplog.text
    assert "UNEXPECTED" not in caplog.text
    graph = build(checkpoint, Precision.INT8, Initializers()).graph
    assert not [tensor.name for tensor in graph.initializer if tensor.name.startswith("choice")]


def test_a_head_that_says_something_else_is_not_published(
    choosing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = Graph.dense

    def spoilt(graph: Graph, x: str, name: str, *parts: Any) -> str:
        return dense(graph, x, name, parts[0], parts[1] + np.float32(0.002))

    monkeypatch.setattr(Graph, "dense", spoilt)
    with pytest.raises(ParityError, match=r"fp32_choice_probability.*FAILED"):
        export(options(choosing, tmp_path / "models", precision=Precision.FP32))
    assert not list((tmp_path / "models").glob("*"))
