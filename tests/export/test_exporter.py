"""Exports of tiny checkpoints from end to end: what they write, and what they refuse to write."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.checkpoint.checkpoint import Checkpoint
from export.cli import build_parser, main
from export.errors import ParityError
from export.exporter import ExportResult, build, export
from export.graph.initializers import Initializers
from export.graph.precision import Precision, precisions_of
from export.options import ExportOptions
from infolens.contract import CONTRACTS, Task
from infolens.targets import Target
from tests.export.conftest import RANDOM

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")

Exported = tuple[Path, dict[Task, ExportResult]]


@pytest.mark.parametrize("task", list(Task))
def test_an_export_has_parity_and_says_so_in_its_artefact(exported: Exported, task: Task) -> None:
    repository, results = exported
    parity = results[task].parity.figures()
    if task is Task.SUMMARY:
        assert parity["fp32_same_summaries"] == 1
        assert parity["int8_alone_or_in_a_batch"] == 1
    else:
        assert parity["fp32_largest_difference"] < 1e-4
        assert parity["int8_alone_or_in_a_batch"] < 1e-6
    artefact = json.loads((repository / CONTRACTS[task].model / "1" / "artefact.json").read_text())
    assert (artefact["precision"], artefact["max_tokens"], artefact["checkpoint"]) == ("int8", 160, "checkpoint")
    assert artefact["parity"] == parity


@pytest.mark.parametrize("precision", [one for one in precisions_of("loop") if not one.number_format.integers])
def test_another_precision_is_published(checkpoints: dict[Task, Path], tmp_path: Path, precision: Precision) -> None:
    source = str(checkpoints[Task.CATEGORY])
    options = ExportOptions(
        task=Task.CATEGORY, checkpoint=source, repository=tmp_path, precision=precision, tolerances=RANDOM
    )
    result = export(options)
    kinds = {tensor.data_type for tensor in onnx.load(tmp_path / result.name / "1" / "model.onnx").graph.initializer}
    assert (onnx.TensorProto.FLOAT16 in kinds) == precision.number_format.half
    assert result.artefact.precision == precision


def test_repository_is_complete_and_in_step(exported: Exported) -> None:
    repository, _ = exported
    assert main(["configs", "--check", "--repository", str(repository)]) == 0
    assert {"info_lens", "summarize", "classify", "verify"} <= {path.name for path in repository.iterdir()}
    for contract in CONTRACTS.values():
        tokenizer = json.loads((repository / contract.served().tokenizer / "1" / "tokenizer.json").read_text())
        assert tokenizer["padding"] is None
        assert tokenizer["truncation"] is None


def test_failed_parity_leaves_the_repository_untouched(
    checkpoints: dict[Task, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(
        checkpoint: Checkpoint, precision: Precision, initializers: Initializers, target: Target
    ) -> onnx.ModelProto:
        model = build(checkpoint, precision, initializers, target)
        bias = next(tensor for tensor in model.graph.initializer if tensor.name == "classifier.bias")
        wrong = np.linspace(-9, 9, bias.dims[0], dtype=np.float32)
        bias.CopyFrom(onnx.numpy_helper.from_array(wrong, bias.name))
        return model

    monkeypatch.setattr("export.exporter.build", broken)
    repository = tmp_path / "model_repository"
    with pytest.raises(ParityError, match=r"(?s)repository is as it was before.*FAILED"):
        export(ExportOptions(task=Task.CATEGORY, checkpoint=str(checkpoints[Task.CATEGORY]), repository=repository))
    assert not any(tmp_path.iterdir())


@pytest.mark.long
def test_a_low_token_f1_names_the_option_that_accepts_it(
    checkpoints: dict[Task, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "model_repository"
    arguments = ["summary", "--checkpoint", str(checkpoints[Task.SUMMARY]), "--repository", str(repository)]
    assert main([*arguments, "--min-token-f1", "1"]) == 1
    message = capsys.readouterr().err
    assert "--min-token-f1 F" in message
    assert "must be at least 1" in message
    assert not repository.exists()


@pytest.mark.long
def test_a_summarizer_that_reads_windows_and_quotes(
    checkpoints: dict[Task, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["summary", "--checkpoint", str(checkpoints[Task.SUMMARY]), "--repository", str(tmp_path / "models")]
    said = ["--window", "64", "--max-tokens", "256", "--style", "extractive", "--min-token-f1", "0.1"]
    assert main([*arguments, *said]) == 0
    assert "reads 256 tokens" in capsys.readouterr().out
    artefact = json.loads((tmp_path / "models" / "bart" / "1" / "artefact.json").read_text())
    assert [artefact[name] for name in ("quotes", "style", "window", "max_tokens")] == [True, "extractive", 64, 256]
    assert artefact["parity"]["fp32_same_summaries"] == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["--window", "512"], r"--window must be between 3 .* \(256\), not 512"),
        (["--window", "2"], "--window must be between 3"),
        (
            ["--window", "64", "--max-tokens", "100"],
            "must be a multiple of it up to 4096, not 100; leave it out for 4096",
        ),
        (["--window", "60", "--max-tokens", "4140"], "up to 4096, not 4140; leave it out for 4080"),
    ],
)
def test_windows_that_no_model_reads_are_refused(
    checkpoints: dict[Task, Path], capsys: pytest.CaptureFixture[str], said: list[str], message: str
) -> None:
    assert main(["summary", "--checkpoint", str(checkpoints[Task.SUMMARY]), *said]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_token_f1_is_a_share(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["summary", "--checkpoint", "anywhere"]
    assert build_parser().parse_args([*arguments, "--min-token-f1", "0.1"]).min_token_f1 == 0.1
    for wrong in ("1.5", "nan", "much"):
        with pytest.raises(SystemExit):
            build_parser().parse_args([*arguments, "--min-token-f1", wrong])
        assert "a share is between 0 and 1" in capsys.readouterr().err


def test_only_what_another_export_left_is_warned_of(
    checkpoints: dict[Task, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = tmp_path / ".model_repository-left.partial"
    left.mkdir()
    repository = tmp_path / "model_repository"
    export(
        ExportOptions(
            task=Task.CATEGORY, checkpoint=str(checkpoints[Task.CATEGORY]), repository=repository, tolerances=RANDOM
        )
    )
    warnings = [record.getMessage() for record in caplog.records if "partial belongs to" in record.getMessage()]
    assert warnings
    assert all(message.startswith(str(left)) for message in warnings)
