"""A summarizer in int8 is read back from its graph as it was: written again, it is the same graph."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from engine.artefact import read
from export.architectures import bart
from export.checkpoint.read_back import read_back
from export.cli import main
from export.errors import CheckpointError
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from serving.runtime import ROOT

VERSION = ROOT / "model_repository" / "bart" / "1"


def weights(model: onnx.ModelProto) -> dict[str, bytes]:
    return {tensor.name: tensor.raw_data for tensor in model.graph.initializer}


def writing(model: onnx.ModelProto) -> dict[str, bytes]:
    """The weights of what writes: without the head that chooses, which is not read back, and the constants."""
    return {name: data for name, data in weights(model).items() if not name.startswith(("choice.", "constant_"))}


def test_the_committed_summarizer_is_written_again_bit_for_bit() -> None:
    trained = read_back(VERSION / "model.onnx", max_tokens=512)
    again = bart.write(trained, Precision.INT8, Initializers())
    assert writing(again) == writing(onnx.load(VERSION / "model.onnx"))


def test_the_steps_of_the_committed_summarizer_have_its_weights(tmp_path: Path) -> None:
    out = tmp_path / "steps"
    assert main(["steps", str(VERSION), "--out", str(out)]) == 0
    assert (out / "reference.json").read_bytes() == (VERSION / "reference.json").read_bytes()
    artefact = read(out)
    assert (artefact.precision, artefact.no_repeat_ngram_size, artefact.early_stopping) == ("int8", 3, True)
    assert artefact.rules.first_token == 0
    before = weights(onnx.load(VERSION / "model.onnx"))
    after = weights(onnx.load(out / "step.onnx"))
    name = "model.decoder.layers.1.fc1"
    assert after[f"{name}.weight_int8"] == before[f"{name}.weight_int8"]
    assert after[f"{name}.scale"] == before[f"{name}.scale"]
    assert [path.name for path in tmp_path.iterdir()] == ["steps"]


def test_the_starter_is_served_in_steps_and_goes_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As engine/README.md says it."""
    repository = tmp_path / "copy"
    shutil.copytree(VERSION.parents[1], repository)
    version = repository / "bart" / "1"
    shutil.rmtree(version)
    assert main(["steps", str(VERSION), "--out", str(version)]) == 0
    assert "export configs --repository" in capsys.readouterr().out
    assert main(["configs", "--check", "--repository", str(repository)]) == 1
    assert main(["configs", "--repository", str(repository)]) == 0
    assert 'backend: "summarizer"' in (repository / "bart" / "config.pbtxt").read_text()
    shutil.rmtree(version)
    shutil.copytree(VERSION, version)
    assert main(["configs", "--repository", str(repository)]) == 0
    config = (repository / "bart" / "config.pbtxt").read_text()
    assert config == (VERSION.parent / "config.pbtxt").read_text()


def test_an_earlier_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["steps", str(VERSION), "--out", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_another_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.load(ROOT / "model_repository" / "distilbert" / "1" / "model.onnx"), path)
    with pytest.raises(CheckpointError, match="export its checkpoint again"):
        read_back(path, max_tokens=512)
    path.write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match="export its checkpoint again"):
        read_back(path, max_tokens=512)


def test_weights_have_the_shapes_of_a_checkpoint() -> None:
    trained = read_back(VERSION / "model.onnx", max_tokens=512)
    config = trained.config
    assert trained.weights["model.shared.weight"].shape == (config.vocab_size, config.d_model)
    assert trained.weights["model.decoder.layers.0.fc1.weight"].shape == (config.decoder_ffn_dim, config.d_model)
    assert trained.weights["model.encoder.embed_positions.weight"].shape == (config.max_position_embeddings + 2, 256)
    assert trained.weights["final_logits_bias"].shape == (1, config.vocab_size)
    assert trained.weights["model.shared.weight"].dtype == np.float64
