"""Summarizers in steps, and the same in one graph: written from a small checkpoint for the real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration, GenerationConfig

from export import exporter
from export.checkpoint.checkpoint import Checkpoint, load_checkpoint
from export.checkpoint.tokenization import padding_of, serving_tokenizer
from export.graph.precision import Precision
from export.lineage import Lineage, Source
from export.options import ExportOptions
from export.repository.publish import ExportedModel, publish
from infolens.contract import Task
from tests.export.conftest import write_checkpoint

Written = Callable[..., Path]


def slow(folder: Path) -> Path:
    """The checkpoint in a folder with a hundred times the work for each step, so that a summary can be left midway."""
    config = BartConfig.from_pretrained(
        folder, d_model=256, encoder_ffn_dim=1024, decoder_ffn_dim=1024, decoder_layers=4, init_std=0.02
    )
    before = GenerationConfig.from_pretrained(folder)
    model = BartForConditionalGeneration(config)
    model.generation_config = before
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """A quick one and a slow one, with random weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    places = [tmp_path_factory.mktemp("summarizer") / name / "checkpoint" for name in ("quick", "slow")]
    quick, heavy = (write_checkpoint(Task.SUMMARY, place) for place in places)
    found = {
        "quick": load_checkpoint(Task.SUMMARY, str(quick)),
        "slow": load_checkpoint(Task.SUMMARY, str(slow(heavy))),
    }
    torch.set_num_threads(threads)
    return found


@pytest.fixture(scope="session")
def written(checkpoints: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Makes a repository with the summarizer alone, as an export does but for the comparison with transformers.

    A call takes the form, the precision and, for other numbers than the usual ones, the text of ``deployment.toml``;
    ``pace`` is ``quick`` or ``slow``.
    """
    made: dict[tuple[str, ...], Path] = {}

    def repository(form: str, precision: Precision, deployment: str = "", *, pace: str = "quick") -> Path:
        key = (form, precision, deployment, pace)
        if key not in made:
            checkpoint = checkpoints[pace]
            work = tmp_path_factory.mktemp(f"{form}_{precision}")
            options = ExportOptions(
                task=Task.SUMMARY, checkpoint=checkpoint.source, repository=work, precision=precision, form=form
            )
            place, folder = work / exporter._PLACES[form], work / "model_repository"
            exporter._FORMS[form](checkpoint, options, work)(precision, place)
            facts = exporter._artefact(checkpoint, options, padding_of(checkpoint), Lineage(source=Source.FOLDER))
            folder.mkdir()
            (folder / "deployment.toml").write_text(deployment)
            publish(
                ExportedModel(name="bart", artefact=facts, model=place, tokenizer=serving_tokenizer(checkpoint)), folder
            )
            made[key] = folder
        return made[key]

    return repository
