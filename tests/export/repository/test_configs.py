"""The generated configuration: parses back, wires the ensembles right, and a change is noticed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tritonclient.grpc import model_config_pb2 as pb

from export.cli import main
from export.errors import RepositoryError
from export.repository.configs import all_configs, from_text, to_text
from export.repository.contents import read_artefacts
from export.repository.deployment import parse_deployment
from export.repository.generated_files import check_generated
from export.repository.publish import publish
from infolens.contract import CONTRACTS, EVIDENCE_MODEL, EVIDENCE_PARAMETER, INFO_LENS, SUMMARY_SETTINGS, Task
from tests.export.repository.artefacts import artefact, exported


def configs() -> dict[str, pb.ModelConfig]:
    return all_configs({CONTRACTS[task].model: artefact(task) for task in Task})


@pytest.mark.parametrize("name", sorted(configs()))
def test_text_parses_back_to_the_same_configuration(name: str) -> None:
    config = configs()[name]
    assert from_text(to_text(config)) == config


def test_every_config_batches_and_no_ensemble_asks_for_more_than_its_models_take() -> None:
    generated = configs()
    for config in generated.values():
        assert config.max_batch_size > 0
        for step in config.ensemble_scheduling.step:
            assert config.max_batch_size <= generated[step.model_name].max_batch_size


def test_a_model_of_another_language_reads_other_scripts() -> None:
    models = {task: artefact(task) for task in Task}
    other = parse_deployment("[category]\nother_scripts = true", "x")
    generated = all_configs({CONTRACTS[task].model: one for task, one in models.items()}, other)
    assert generated["distilbert_tokenizer"].parameters["scripts"].string_value == "any"
    assert "scripts" not in generated["xlnet_tokenizer"].parameters


def test_ensembles_connect_tensors_of_equal_type() -> None:
    generated = configs()
    for ensemble in (contract.ensemble for contract in CONTRACTS.values()):
        config = generated[ensemble]
        types = {tensor.name: tensor.data_type for tensor in config.input}
        for step in config.ensemble_scheduling.step:
            model = generated[step.model_name]
            assert set(step.input_map) == {tensor.name for tensor in model.input}
            assert set(step.output_map) == {tensor.name for tensor in model.output}
            assert all(types[step.input_map[tensor.name]] == tensor.data_type for tensor in model.input)
            types |= {step.output_map[tensor.name]: tensor.data_type for tensor in model.output}
        assert all(types[tensor.name] == tensor.data_type for tensor in config.output)


def test_the_model_of_all_tasks_hands_on_tensors_as_the_ensembles_have_them() -> None:
    generated = configs()
    whole = generated[INFO_LENS]
    assert whole.backend == "fan_out"
    branches = {
        key.removeprefix("branch."): json.loads(value.string_value)
        for key, value in whole.parameters.items()
        if key.startswith("branch.")
    }
    assert sorted(branches) == sorted([*(contract.ensemble for contract in CONTRACTS.values()), EVIDENCE_MODEL])
    for direction in ("input", "output"):
        tensors = {tensor.name: tensor for tensor in getattr(whole, direction)}
        handed_on = set()
        for name, branch in branches.items():
            assert whole.max_batch_size <= generated[name].max_batch_size
            expected = {tensor.name: tensor for tensor in getattr(generated[name], direction)}
            assert {key: tensors[key] for key in branch[f"{direction}s"]} == expected
            handed_on |= set(expected)
        own = {"failed"} if direction == "output" else set()
        assert set(tensors) == handed_on | own
    ensembles = {str(contract.task): contract.ensemble for contract in CONTRACTS.values()}
    named = {branch["task"]: name for name, branch in branches.items()}
    assert named == {**ensembles, "evidence": EVIDENCE_MODEL}


def test_evidence_asks_the_classifiers_and_is_asked_only_on_request() -> None:
    generated = configs()
    whole, evidence = generated[INFO_LENS], generated[EVIDENCE_MODEL]
    share = json.loads(whole.parameters["branch.evidence"].string_value)
    assert (share["parameter"], share["places"]) == (EVIDENCE_PARAMETER, 4)
    asked = {
        key.removeprefix("branch."): json.loads(value.string_value)
        for key, value in evidence.parameters.items()
        if key.startswith("branch.")
    }
    assert sorted(asked) == ["distilbert", "distilbert_tokenizer", "xlnet", "xlnet_tokenizer"]
    for name, one in asked.items():
        assert int(evidence.parameters["rows"].string_value) <= generated[name].max_batch_size
        assert one["inputs"] == [tensor.name for tensor in generated[name].input]
        assert set(one["outputs"]) <= {tensor.name for tensor in generated[name].output}
    assert asked["xlnet"]["inputs"] == asked["xlnet_tokenizer"]["outputs"]
    # The supervisor asks for the last branch when it looks whether the model lives.
    assert whole.parameters["order"].string_value == "evidence,summarize,classify,verify"


def test_there_is_evidence_where_a_task_of_several_has_labels(sentiment: Task) -> None:
    assert EVIDENCE_MODEL in all_configs({"distilbert": artefact(Task.CATEGORY), "sentiment": artefact(sentiment)})
    assert EVIDENCE_MODEL not in all_configs({"distilbert": artefact(Task.CATEGORY)})


@pytest.mark.parametrize("running", [1, 5])
def test_how_much_evidence_is_found_at_once_is_the_deployment_s(running: int) -> None:
    models = {CONTRACTS[task].model: artefact(task) for task in Task}
    generated = all_configs(models, parse_deployment(f"evidence_running = {running}", "x"))
    assert generated[EVIDENCE_MODEL].parameters["max_running"].string_value == str(running)
    assert json.loads(generated[INFO_LENS].parameters["branch.evidence"].string_value)["places"] == 2 * running


def test_buckets_end_at_the_limit_and_are_all_warmed_up() -> None:
    generated = configs()
    assert generated["xlnet_tokenizer"].parameters["buckets"].string_value == "64,128,192,256,300"
    lengths = [warmup.inputs["input_ids"].dims[0] for warmup in generated["xlnet"].model_warmup]
    assert lengths == [64, 128, 192, 256, 300]
    settings = generated["bart"].model_warmup[0].inputs
    by_length = [s for s in SUMMARY_SETTINGS if s.by_length]
    assert {s.name: settings[s.name].dims[0] for s in by_length} == {s.name: s.encode(s.default) for s in by_length}


def summarizer(**facts: Any) -> dict[str, pb.ModelConfig]:
    """The configurations of a repository whose only model is a summarizer."""
    return all_configs({"bart": replace(artefact(Task.SUMMARY), **facts)})


def names(tensors: Iterable[Any]) -> list[str]:
    return [tensor.name for tensor in tensors]


def setting_of(configs: dict[str, pb.ModelConfig], name: str) -> Any:
    return json.loads(configs["bart_tokenizer"].parameters[f"setting.{name}"].string_value)


def test_a_model_without_quotes_has_the_settings_but_takes_only_what_it_can() -> None:
    generated = summarizer()
    assert {"style", "temperature", "top_p", "seed"} <= set(names(generated["summarize"].input))
    assert not {"sentence_ends", "sampling"} & set(names(generated["bart"].input))
    assert setting_of(generated, "style")["choices"] == ["free"]
    assert setting_of(generated, "temperature")["maximum"] == 0
    assert names(generated["bart_text"].input) == ["sequences", "source"]


def test_a_model_with_quotes_gets_its_sentences_and_its_text_model_too() -> None:
    generated = summarizer(quotes=True, style="extractive")
    assert {"sentence_ends", "sampling"} <= set(names(generated["bart"].input))
    assert names(generated["bart_text"].input) == ["sequences", "source", "input_ids", "sentence_ends"]
    assert len(names(generated["bart_tokenizer"].output)) == len(set(names(generated["bart_tokenizer"].output)))
    style = setting_of(generated, "style")
    assert (style["choices"], style["default"]) == (["free", "extractive"], 1)
    assert setting_of(generated, "temperature")["maximum"] == 2
    for warmup in generated["bart"].model_warmup:
        assert warmup.inputs["sentence_ends"].dims[0] == warmup.inputs["input_ids"].dims[0]
        assert warmup.inputs["sampling"].dims[0] == 1
    free = summarizer(quotes=True)["bart"].model_warmup[0].inputs
    assert free["sentence_ends"].dims[0] == 1


def test_buckets_above_the_window_are_whole_windows() -> None:
    parameters = summarizer(max_tokens=2048, window=512)["bart_tokenizer"].parameters
    assert parameters["window"].string_value == "512"
    assert parameters["buckets"].string_value == "64,128,192,256,320,384,448,512,1024,1536,2048"


def test_no_queue_has_a_policy_since_triton_then_loses_wake_ups() -> None:
    for contract in CONTRACTS.values():
        batching = configs()[contract.model].dynamic_batching
        assert not batching.HasField("default_queue_policy")
        assert not batching.priority_levels


def test_optional_inputs_are_those_of_the_contract() -> None:
    found = {tensor.name: tensor.optional for tensor in configs()[INFO_LENS].input}
    assert found == {tensor.name: tensor.optional for c in CONTRACTS.values() for tensor in c.inputs}
    assert not found["text"]


@pytest.mark.parametrize(
    "path", ["bart/config.pbtxt", "info_lens/config.pbtxt", "distilbert_labels/labels.txt", "verify/config.pbtxt"]
)
def test_check_fails_on_a_changed_or_missing_file(
    repository: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["configs", "--check", "--repository", str(repository)]
    assert main(arguments) == 0
    changed = repository / path
    changed.write_text(changed.read_text().replace("TYPE_INT32", "TYPE_INT64", 1).replace("Sports", "Sport"))
    assert check_generated(repository) == [path]
    changed.unlink()
    assert main(arguments) == 1
    assert path in capsys.readouterr().err
    assert main(arguments[:1] + arguments[2:]) == 0
    assert main(arguments) == 0


def test_reformatted_text_is_still_in_step(repository: Path) -> None:
    config = repository / "bart" / "config.pbtxt"
    config.write_text("# a comment of another version\n" + config.read_text().replace("  ", "    "))
    assert check_generated(repository) == []


def test_all_tasks_share_an_ensemble_only_when_all_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "model_repository"
    publish(exported(Task.CATEGORY, tmp_path / "made"), folder)
    assert (folder / "classify" / "config.pbtxt").is_file()
    assert not (folder / INFO_LENS).exists()
    assert check_generated(folder) == []


def test_a_repository_without_models_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="export one first"):
        check_generated(tmp_path)


def test_a_broken_artefact_is_named(repository: Path) -> None:
    (repository / "bart" / "1" / "artefact.json").write_text('{"task": ')
    with pytest.raises(RepositoryError, match=r"bart/1/artefact\.json"):
        read_artefacts(repository)
