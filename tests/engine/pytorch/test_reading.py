"""The weights of a served folder are those of the checkpoint that it was written from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.artefact import read
from engine.pytorch.executor import TorchExecutor
from engine.pytorch.model.reading import DTYPES, read_weights
from engine.pytorch.model.weights import load_weights
from engine.settings import Bucket, Settings
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.step.files import write_engine
from tests.engine.pytorch.small_bart import RULES, TARGET, Small, small_bart


@pytest.fixture(scope="module")
def small() -> Small:
    return small_bart()


def written(small: Small, folder: Path, precision: str) -> Path:
    write_engine(folder, CheckpointWeights(small.model.state_dict()), small.architecture, RULES, precision)
    return folder


def leaves(weights: Any) -> list[torch.Tensor]:
    return [weights] if isinstance(weights, torch.Tensor) else [leaf for part in weights for leaf in leaves(part)]


@pytest.mark.parametrize("precision", DTYPES)
def test_weights_are_those_of_the_checkpoint(small: Small, tmp_path: Path, precision: str) -> None:
    dtype = DTYPES[precision]
    found = read_weights(read(written(small, tmp_path, precision)), dtype, "cpu")
    wanted = load_weights(small.model.state_dict(), small.architecture, dtype, "cpu")
    for one, other in zip(leaves(found), leaves(wanted), strict=True):
        assert one.dtype == other.dtype
        assert one.is_contiguous()
        if one is found.words:  # Those of bf16 are stored in fp16.
            torch.testing.assert_close(one, other)
        else:
            rows = min(len(one), len(other))
            assert torch.equal(one[:rows], other[:rows])


def test_summaries_are_those_of_the_checkpoint(small: Small, tmp_path: Path) -> None:
    artefact = read(written(small, tmp_path, "fp32"))
    bucket = Bucket(slots=1, beams=4, source_length=24, target_length=TARGET)
    weights = read_weights(artefact, torch.float32, "cpu")
    executor = TorchExecutor(weights, artefact.architecture, artefact.rules, bucket, spacing=artefact.spacing)
    settings = Settings(num_beams=4, max_length=20, no_repeat_ngram_size=3)
    executor.join(0, small.article(0, settings))
    while not executor.done():
        executor.step()
    assert executor.summary(0).tolist() == small.generate(RULES, settings)[0].tolist()


def test_what_cannot_be_read_is_refused(small: Small, tmp_path: Path) -> None:
    artefact = read(written(small, tmp_path, "int8"))
    with pytest.raises(ValueError, match=r"in fp32, fp16, bf16, and those of .* are in int8: export the model in one"):
        read_weights(artefact, torch.float32, "cpu")
    more = replace(artefact.architecture, decoder_layers=3)
    (tmp_path / "fp32").mkdir()
    artefact = replace(read(written(small, tmp_path / "fp32", "fp32")), architecture=more)
    with pytest.raises(ValueError, match=r"has no weight model.decoder.layers.2.*: export the model again"):
        read_weights(artefact, torch.float32, "cpu")
