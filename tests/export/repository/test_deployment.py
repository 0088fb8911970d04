"""Deployments from a file, and the configurations that follow from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.cli import main
from export.errors import DeploymentError
from export.repository.configs import all_configs, from_text
from export.repository.deployment import DEPLOYMENT, Deployment, ModelDeployment, read_deployment
from infolens.contract import CONTRACTS, Task
from tests.export.repository.artefacts import artefact

ARTEFACTS = {CONTRACTS[task].model: artefact(task) for task in Task}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "deployment.toml"
    path.write_text(text)
    return path


def test_what_a_file_leaves_out_is_as_committed(tmp_path: Path) -> None:
    text = "max_running = 24\nlength_buckets = [128, 512]\nresponse_cache = false\n[summary]\ninstances = 8\n"
    found = read_deployment(written(tmp_path, text))
    assert (found.max_running, found.length_buckets, found.response_cache) == (24, (128, 512), False)
    assert found.model(Task.SUMMARY).instances == 8
    assert found.model(Task.SUMMARY).max_batch_size == DEPLOYMENT.model(Task.SUMMARY).max_batch_size
    assert found.model(Task.CATEGORY) == DEPLOYMENT.model(Task.CATEGORY)
    assert read_deployment(written(tmp_path, "")) == DEPLOYMENT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_runing = 3", "no setting 'max_runing'; there are request_batch_size"),
        ("max_running = 2.5", "max_running is int, not 2.5"),
        ("max_running = 0", "max_running is at least 1, not 0"),
        ("[summary]\ninstances = 0", "instances of summary is at least 1, not 0"),
        ("[summary]\nmax_batch_size = 2", r"at least request_batch_size \(4\), not 2"),
        ("[category]\nbatch_together = 17", r"between 0 and its max_batch_size \(16\), not 17"),
        ("length_buckets = [64, 32]", r"rise, not \[64, 32\]"),
        ("length_buckets = 64", "list of whole numbers, not 64"),
        ("summary = 3", r"\[summary\] is a table, not 3"),
        ("max_running =", "cannot read the deployment"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DeploymentError, match=message):
        read_deployment(written(tmp_path, text))


def test_its_numbers_reach_the_configurations() -> None:
    models = {Task.SUMMARY: ModelDeployment(max_batch_size=8, batch_together=2, instances=3, threads=4)}
    configs = all_configs(ARTEFACTS, Deployment(models=models, length_buckets=(32,), max_running=7, max_wait_ms=99))
    bart = configs["bart"]
    assert (bart.max_batch_size, bart.instance_group[0].count) == (8, 3)
    assert list(bart.dynamic_batching.preferred_batch_size) == [2]
    assert bart.parameters["intra_op_thread_count"].string_value == "4"
    assert configs["bart_tokenizer"].parameters["buckets"].string_value.startswith("32,")
    limits = configs["info_lens"].parameters
    assert (limits["max_running"].string_value, limits["max_wait_ms"].string_value) == ("7", "99")


def test_only_models_with_one_output_are_cached() -> None:
    # Triton 2.51 answers a request for other outputs of the same inputs with the cached ones.
    configs = all_configs(ARTEFACTS)
    cached = {name for name, config in configs.items() if config.response_cache.enable}
    assert cached == {"bart", "distilbert", "xlnet"}
    assert all(len(configs[name].output) == 1 for name in cached)


def test_a_configuration_of_its_own_lies_beside_the_committed_one(repository: Path, tmp_path: Path) -> None:
    before = (repository / "bart" / "config.pbtxt").read_bytes()
    deployment = written(tmp_path, "[summary]\ninstances = 5\n")
    arguments = ["configs", "--repository", str(repository), "--deployment", str(deployment), "--config-name", "big"]
    assert main(arguments) == 0
    assert from_text((repository / "bart" / "configs" / "big.pbtxt").read_text()).instance_group[0].count == 5
    assert (repository / "bart" / "config.pbtxt").read_bytes() == before
    assert main([*arguments, "--check"]) == 0
    assert main(["configs", "--repository", str(repository), "--deployment", str(tmp_path / "none.toml")]) == 1
