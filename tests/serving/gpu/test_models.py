"""What is missing of models for a GPU is told with the way out, by the version and configuration that are served."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from infolens.targets import Target
from serving.arguments import ServerOptions
from serving.errors import RepositoryError, TargetError
from serving.gpu.models import model_faults
from serving.gpu.preflight import preflight
from serving.gpu.stand_in import stand_in
from serving.launcher import TritonServer
from serving.repository import config_files
from tests.serving.gpu.machines import H100


def told(repository: Path) -> list[str]:
    """What a start refuses, a line each."""
    with pytest.raises(TargetError) as caught:
        preflight(repository, config_files(repository, "cuda"), Target.CUDA, driver=H100)
    return str(caught.value).splitlines()[1:-1]


def test_models_that_answer_and_cannot_run_there_are_named_with_the_command(repository: Path) -> None:
    (fault,) = model_faults(repository, config_files(repository, "cuda"), Target.CUDA)
    assert "the model old answers and cannot run there, as it is int8 for cpu" in fault
    assert "python -m export category --target cuda --checkpoint SOURCE" in fault
    assert "checkpoints/news" in fault


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"precision": "int8", "target": "cpu"}, "int8 for cpu (version 3): models run there in fp16, bf16, fp32, not"),
        ({"precision": "fp32", "target": "cpu"}, "a graph is written for one target, and is to be for cuda"),
        ({"target": "quantum"}, "names one of the targets cpu, cuda, tensorrt, not 'quantum'"),
        ({"task": "poems"}, "names one of the tasks summary, category, veracity, not 'poems'"),
        ({"task": "summary"}, "texts are written there in the form step, not loop"),
        (None, "artefact.json is missing"),
    ],
)
def test_the_version_that_answers_is_judged_and_not_the_configuration_beside_it(
    for_cuda: Path, facts: dict[str, str] | None, words: str
) -> None:
    for name in ("new", "new_labels"):
        shutil.copytree(for_cuda / name / "2", for_cuda / name / "3")
    (for_cuda / "new" / "3" / "artefact.json").unlink()
    if facts is not None:
        facts = {"task": "category", "precision": "fp16", "target": "cuda", **facts}
        (for_cuda / "new" / "3" / "artefact.json").write_text(json.dumps(facts))
    (fault,) = told(for_cuda)
    assert words in fault
    assert "python -m export remove new" in fault


@pytest.mark.parametrize("name", ["new", "new_labels", "ask_new"])
@pytest.mark.parametrize("content", [None, b"", b"# nothing\n", b'name: "new"\n'])
def test_every_model_that_answers_has_a_configuration_of_the_target(
    for_cuda: Path, name: str, content: bytes | None
) -> None:
    file = for_cuda / name / "configs" / "cuda.pbtxt"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    (fault,) = told(for_cuda)
    assert f"configs/cuda.pbtxt is missing or empty of {name}: write it again with `python -m export configs" in fault


def test_the_model_of_all_tasks_and_what_it_asks_have_one(for_cuda: Path) -> None:
    (for_cuda / "all" / "1").mkdir(parents=True)
    branch = 'backend: "fan_out"\nparameters { key: "branch.ask_new" value { string_value: "{}" } }\n'
    (for_cuda / "all" / "config.pbtxt").write_text(branch)
    (fault,) = told(for_cuda)
    assert "missing or empty of all: write" in fault


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"half: of {", "\N{SNOWMAN}".encode()])
def test_a_damaged_configuration_is_named_with_the_way_out(for_cuda: Path, content: bytes) -> None:
    file = for_cuda / "new" / "configs" / "cuda.pbtxt"
    file.write_bytes(content)
    (fault,) = told(for_cuda)
    assert str(file) in fault
    assert "write it again with `python -m export configs" in fault
    with pytest.raises(RepositoryError, match=r"new/configs/cuda\.pbtxt is no "):
        stand_in(for_cuda, Target.CUDA, for_cuda / "cache")
    assert not (for_cuda / "cache").exists()


def test_a_configuration_that_is_no_text_is_told_on_a_cpu_too(for_cuda: Path) -> None:
    (for_cuda / "new" / "config.pbtxt").write_bytes(b"\xff")
    with pytest.raises(RepositoryError, match=r"new/config\.pbtxt is no text in UTF-8 \(byte 0 is 0xff\)"):
        TritonServer(ServerOptions(repository=for_cuda)).prepare()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('backend: "summarizer" parameters { key: "device" value { string_value: "cpu" } }', "parameter device"),
        ('backend: "onnxruntime" instance_group { kind: KIND_CPU }', "instance_group is of KIND_GPU, not KIND_CPU"),
    ],
)
def test_a_configuration_of_the_gpu_that_has_the_cpu_compute_is_refused(
    for_cuda: Path, config: str, words: str
) -> None:
    (for_cuda / "new" / "configs" / "cuda.pbtxt").write_text(config)
    (for_cuda / "new" / "2" / "engine.json").touch()
    (fault,) = told(for_cuda)
    assert "nothing falls back to it" in fault
    assert words in fault
