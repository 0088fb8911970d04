"""Configurations for GPUs, beside those for CPUs: of models that can run there, and of no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tritonclient.grpc import model_config_pb2 as pb

from export.cli import main
from export.errors import CheckpointError, DeploymentError
from export.graph.precision import Precision
from export.options import ExportOptions
from export.repository.artefact import Artefact, read_artefact
from export.repository.configs import all_configs, from_text
from export.repository.deployment import BASES, parse_deployment, parse_stored, stored_texts
from export.repository.generated_files import check_generated, generated_files, write_generated
from export.repository.publish import publish
from infolens.contract import CONTRACTS, Task
from infolens.targets import TARGETS, Target
from tests.export.repository.artefacts import artefact, exported

GPUS = [target for target in Target if target.record.on_gpu]


def for_gpu(task: Task, target: Target = Target.CUDA, precision: str = "fp16") -> Artefact:
    """An artefact as an export for a GPU writes it."""
    form = target.record.default_text_form if task is Task.SUMMARY else "loop"
    return replace(
        artefact(task, 512), precision=precision, target=target.value, form=form, quotes=task is Task.SUMMARY
    )


def models(target: Target, **other: Artefact) -> dict[str, Artefact]:
    return {CONTRACTS[task].model: for_gpu(task, target) for task in Task} | other


def parsed(artefacts: dict[str, Artefact], texts: dict[str | None, str] | None = None) -> dict[str, pb.ModelConfig]:
    """Every generated configuration, read through Triton's own protobuf, by its path."""
    files = generated_files(artefacts, texts or {None: ""})
    return {path: from_text(content.decode()) for path, content in files.items() if path.endswith(".pbtxt")}


def parameters(config: pb.ModelConfig) -> dict[str, str]:
    return {key: one.string_value for key, one in config.parameters.items()}


@pytest.mark.parametrize("target", GPUS)
def test_every_model_has_a_configuration_for_the_target_that_it_was_written_for(target: Target) -> None:
    configs = parsed(models(target))
    name = f"configs/{target.record.config_name}.pbtxt"
    every = {path.partition("/")[0] for path in configs}
    assert {path.partition("/")[0] for path in configs if path.endswith(name)} == every
    for model in every:
        ours, usual = configs[f"{model}/{name}"], configs[f"{model}/config.pbtxt"]
        assert (ours.name, list(ours.input), list(ours.output)) == (model, list(usual.input), list(usual.output))


@pytest.mark.parametrize("target", GPUS)
def test_classifiers_run_on_the_gpu_and_summaries_in_an_engine_that_does(target: Target) -> None:
    configs = parsed(models(target))
    category = configs[f"distilbert/configs/{target.record.config_name}.pbtxt"]
    (group,) = category.instance_group
    assert (category.backend, group.kind, group.count) == ("onnxruntime", pb.ModelInstanceGroup.KIND_GPU, 1)
    assert (category.max_batch_size, parameters(category)["lengths"]) == (32, "128,256,512")
    assert 0 < category.dynamic_batching.max_queue_delay_microseconds <= 2000
    accelerators = category.optimization.execution_accelerators.gpu_execution_accelerator
    assert [one.name for one in accelerators] == (["tensorrt"] if target is Target.TENSORRT else [])
    assert all(one.parameters["precision_mode"] == "FP16" for one in accelerators)
    summary = configs[f"bart/configs/{target.record.config_name}.pbtxt"]
    assert (summary.backend, summary.instance_group[0].kind) == ("summarizer", pb.ModelInstanceGroup.KIND_CPU)
    assert (parameters(summary)["device"], parameters(summary)["slots"]) == (target.record.device, "32")
    tokenizer = configs[f"xlnet_tokenizer/configs/{target.record.config_name}.pbtxt"]
    texts = configs[f"bart_text/configs/{target.record.config_name}.pbtxt"]
    assert (tokenizer.instance_group[0].count, texts.instance_group[0].count) == (3, 2)
    assert parameters(tokenizer)["buckets"] == "128,256,512"


def test_what_cannot_run_there_has_no_configuration_and_what_asks_it_neither() -> None:
    configs = parsed(models(Target.CUDA, distilbert=artefact(Task.CATEGORY)))
    there = {path.partition("/")[0] for path in configs if path.endswith("configs/cuda.pbtxt")}
    assert {"bart", "summarize", "xlnet", "verify"} <= there
    assert not {"distilbert", "distilbert_tokenizer", "classify", "info_lens", "evidence"} & there


def test_a_repository_of_starters_has_configurations_for_cpus_alone() -> None:
    assert not [path for path in parsed({CONTRACTS[task].model: artefact(task) for task in Task}) if "configs/" in path]


def test_graphs_of_one_target_are_not_for_the_other_and_steps_are_for_both() -> None:
    configs = parsed(models(Target.CUDA))
    assert "distilbert/configs/tensorrt.pbtxt" not in configs
    assert "bart/configs/tensorrt.pbtxt" in configs


def test_a_deployment_file_of_the_targets_name_changes_its_numbers() -> None:
    text = "max_running = 7\n[summary]\nslots = 5\ntokenizers = 2\n[category]\nmemory_bytes = 99000000\n"
    configs = parsed(models(Target.CUDA), {None: "", "cuda": text})
    assert parameters(configs["bart/configs/cuda.pbtxt"])["slots"] == "5"
    assert configs["bart_tokenizer/configs/cuda.pbtxt"].instance_group[0].count == 2
    assert parameters(configs["info_lens/configs/cuda.pbtxt"])["max_running"] == "7"
    assert parameters(configs["distilbert/configs/cuda.pbtxt"])["gpu_mem_limit"] == "99000000"
    assert "gpu_mem_limit" not in parameters(configs["xlnet/configs/cuda.pbtxt"])
    assert parameters(configs["bart/config.pbtxt"])["slots"] == "4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_running = -1", "max_running is at least 1, not -1"),
        ("max_running = 99999999999999999999", "max_running is at least 1 and at most 2147483647, not 9"),
        ("length_buckets = [64, 32]", "that rise, not"),
        ("[summary]\nslots = 0", "slots of summary is at least 1, not 0"),
        (
            "[summary]\nmemory_bytes = 1",
            r"memory_bytes of summary is at least 67108864 bytes .*or 0 for no limit, not 1",
        ),
        ('[summary]\ndevice = "tensorrt"', "is one of auto, cuda, torch on the target cuda, not 'tensorrt'"),
        ('[summary]\ndevice = "cpu"', "'cpu', which the target cpu has: leave it out"),
        ("[category]\ninstances = 100000", "instances of category is 1 on a GPU, not 100000: .*leave it out"),
        ("[category]\nmax_batch_size = 2", "at least request_batch_size"),
    ],
)
def test_what_cannot_be_meant_on_a_target_is_told_with_its_file(text: str, words: str) -> None:
    with pytest.raises(DeploymentError, match=rf"^deployment-cuda\.toml: .*{words}"):
        parse_stored({None: "", "cuda": text})


def test_a_folder_in_place_of_a_deployment_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "deployment-cuda.toml").mkdir()
    with pytest.raises(DeploymentError, match=r"cannot read the deployment .*deployment-cuda\.toml: .*directory"):
        stored_texts(tmp_path)


def test_batches_and_requests_may_grow_together() -> None:
    largest = "".join(f"[{task}]\nmax_batch_size = 64\n" for task in Task)
    found = parse_deployment(f"request_batch_size = 64\n{largest}", "x", BASES["cuda"])
    assert found.model(Task.SUMMARY).max_batch_size == found.request_batch_size


def test_a_deployment_of_another_name_is_for_cpus() -> None:
    configs = parsed(models(Target.CUDA), {None: "", "big": "max_running = 7"})
    groups = configs["distilbert/configs/big.pbtxt"].instance_group
    assert [group.kind for group in groups] == [pb.ModelInstanceGroup.KIND_CPU]


def test_the_engines_device_may_be_another() -> None:
    deployment = parse_deployment('[summary]\ndevice = "cuda"', "x", BASES["cuda"])
    assert parameters(all_configs({"bart": for_gpu(Task.SUMMARY)}, deployment)["bart"])["device"] == "cuda"


def test_configurations_of_a_model_that_went_back_to_cpus_go(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    made = exported(Task.CATEGORY, tmp_path / "made")
    publish(replace(made, artefact=for_gpu(Task.CATEGORY)), repository)
    assert read_artefact(repository / "distilbert" / "1" / "artefact.json").target == "cuda"
    assert (repository / "classify" / "configs" / "cuda.pbtxt").is_file()
    stale = {path: path.read_bytes() for path in repository.glob("*/configs/cuda.pbtxt")}
    publish(exported(Task.CATEGORY, tmp_path / "made"), repository)
    assert not list(repository.glob("*/configs/cuda.pbtxt"))
    for path, content in stale.items():  # As a release that knew no targets would leave them.
        path.write_bytes(content)
    assert "distilbert/configs/cuda.pbtxt" in check_generated(repository)
    assert write_generated(repository).left_over == []
    assert not list(repository.glob("*/configs/cuda.pbtxt"))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"precision": Precision.INT8}, r"fp16, bf16, fp32, not in int8, whose products .* for CPUs alone"),
        ({"precision": Precision.FP16, "task": Task.SUMMARY, "form": "loop"}, "in the form step, not loop"),
        ({"precision": Precision.FP32, "target": Target.TENSORRT}, "fp16, bf16, not in fp32"),
    ],
)
def test_what_does_not_fit_a_target_is_refused_with_the_reason(facts: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        ExportOptions(**{"task": Task.CATEGORY, "checkpoint": "x", "target": Target.CUDA, **facts})


@pytest.mark.parametrize("task", list(Task))
def test_the_help_of_a_task_names_the_precisions_that_it_has(task: Task, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([task.value, "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "for cuda fp16 or bf16 or fp32, for tensorrt fp16 or bf16" in words
    assert ("--form step" in words) == (task is Task.SUMMARY)


def test_all_exports_at_least_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["all", "--target", "cuda", "--repository", str(tmp_path)]) == 1
    assert "name the checkpoint of a task with --summary or --category or --veracity" in capsys.readouterr().err


def test_every_target_names_configurations_of_its_own() -> None:
    names = [record.config_name for record in TARGETS.values()]
    assert set(names) == set(BASES)
    assert len(set(names)) == len(Target)
