"""A summarizer in steps beside, after and before one of one graph: published, listed, removed, configured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.artefact import BEGIN, ENCODER, MANIFEST, SPACING, STEP, WEIGHTS
from export.cli import main
from export.errors import DeploymentError, RepositoryError
from export.repository.configs import from_text
from export.repository.contents import read_artefacts
from export.repository.deployment import parse_deployment
from export.repository.publish import ExportedModel, publish
from infolens.contract import Task
from tests.export.repository.artefacts import artefact, exported

FILES = sorted((ENCODER, STEP, BEGIN, WEIGHTS, SPACING, MANIFEST))


def stepwise(folder: Path, content: bytes = b"graph") -> ExportedModel:
    """An export in steps, whose files hold ``content``."""
    model = folder / "engine"
    model.mkdir(parents=True)
    for name in FILES:
        (model / name).write_bytes(content)
    made = replace(artefact(Task.SUMMARY), quotes=True, form="step")
    return ExportedModel(name="bart", artefact=made, model=model, tokenizer="{}")


def config(repository: Path, model: str = "bart") -> object:
    return from_text((repository / model / "config.pbtxt").read_text())


def backend(repository: Path) -> str:
    return str(config(repository).backend)  # type: ignore[attr-defined]


def test_all_files_of_an_engine_are_published(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    assert publish(stepwise(tmp_path / "made"), repository) == 1
    assert sorted(path.name for path in (repository / "bart" / "1").iterdir()) == sorted([*FILES, "artefact.json"])
    assert read_artefacts(repository)["bart"].form == "step"
    assert main(["configs", "--check", "--repository", str(repository)]) == 0


def test_the_configuration_asks_the_engine(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    publish(exported(Task.SUMMARY, tmp_path / "loop"), repository)
    loop = config(repository)
    publish(stepwise(tmp_path / "made"), repository)
    step = config(repository)
    assert (loop.backend, step.backend) == ("onnxruntime", "summarizer")  # type: ignore[attr-defined]
    assert step.output == loop.output  # type: ignore[attr-defined]
    assert step.max_batch_size == loop.max_batch_size  # type: ignore[attr-defined]
    assert not step.HasField("dynamic_batching")  # type: ignore[attr-defined]
    assert [group.count for group in step.instance_group] == [1]  # type: ignore[attr-defined]
    ensemble = config(repository, "summarize").ensemble_scheduling  # type: ignore[attr-defined]
    assert [one.model_name for one in ensemble.step] == ["bart_tokenizer", "bart", "bart_text"]


@pytest.mark.parametrize("replaced", [False, True])
def test_one_form_takes_the_place_of_the_other_and_leaves_no_file(tmp_path: Path, *, replaced: bool) -> None:
    repository = tmp_path / "models"
    publish(exported(Task.SUMMARY, tmp_path / "loop"), repository)
    version = publish(stepwise(tmp_path / "made"), repository, replace=replaced)
    assert version == (1 if replaced else 2)
    assert backend(repository) == "summarizer"
    assert not (repository / "bart" / str(version) / "model.onnx").exists()
    again = publish(exported(Task.SUMMARY, tmp_path / "again"), repository, replace=replaced)
    assert backend(repository) == "onnxruntime"
    assert not (repository / "bart" / str(again) / MANIFEST).exists()


def test_without_its_newest_version_the_form_of_the_one_before_answers(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    publish(exported(Task.SUMMARY, tmp_path / "loop"), repository)
    publish(stepwise(tmp_path / "made"), repository)
    assert main(["remove", "bart", "--repository", str(repository)]) == 0
    assert backend(repository) == "onnxruntime"
    assert main(["configs", "--check", "--repository", str(repository)]) == 0


def test_the_list_says_which_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository = tmp_path / "models"
    publish(stepwise(tmp_path / "made"), repository)
    assert main(["list", "--repository", str(repository)]) == 0
    assert "int8, step, 300 tokens" in capsys.readouterr().out


def test_files_that_are_not_of_the_form_are_told(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    publish(stepwise(tmp_path / "made"), repository)
    (repository / "bart" / "1" / MANIFEST).rename(repository / "bart" / "1" / "model.onnx")
    with pytest.raises(RepositoryError, match=r"of the form step, but there is no engine\.json beside it"):
        read_artefacts(repository)


def test_a_deployment_says_workers_and_slots(tmp_path: Path) -> None:
    repository, file = tmp_path / "models", tmp_path / "big.toml"
    publish(stepwise(tmp_path / "made"), repository)
    file.write_text('[summary]\ndevice = "tensorrt"\nworkers = 1\nslots = 64\nmax_waiting = 2048\n')
    to = ["--repository", str(repository)]
    assert main(["configs", "--deployment", str(file), "--config-name", "big", *to]) == 0
    text = (repository / "bart" / "configs" / "big.pbtxt").read_text()
    found = {key: value.string_value for key, value in from_text(text).parameters.items()}
    names = ("device", "workers", "slots", "max_waiting", "joins_per_step")
    assert [found[name] for name in names] == ["tensorrt", "1", "64", "2048", "1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workers = 0", "workers of summary is at least 1, not 0"),
        ("slots = -1", "slots of summary is at least 1, not -1"),
        ('device = "gpu"', "device of summary is one of auto, cpu, cuda, tensorrt, torch, not 'gpu'"),
        ("device = 1", "device is str, not 1"),
    ],
)
def test_a_wrong_deployment_is_told(text: str, words: str) -> None:
    with pytest.raises(DeploymentError, match=words):
        parse_deployment(f"[summary]\n{text}\n", "a file")
