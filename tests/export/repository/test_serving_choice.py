"""Several models for one task in a repository: which one serves, under which name, and with which labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from export.cli import main
from export.errors import DeploymentError, RepositoryError
from export.repository.configs import from_text
from export.repository.generated_files import check_generated
from export.repository.publish import publish, serve
from infolens.contract import INFO_LENS, Task
from serving.errors import RepositoryError as ServingRepositoryError
from serving.repository import check_repository
from tests.export.repository.artefacts import exported

DESKS = ("Harbour", "Opera", "Football", "Kommunalpolitik")


def asked(repository: Path, ensemble: str = "classify", config: str = "config.pbtxt") -> str:
    """The ONNX model that an ensemble asks."""
    text = (repository / ensemble / config).read_text(encoding="utf-8")
    return str(from_text(text).ensemble_scheduling.step[1].model_name)


def with_roberta(repository: Path, tmp_path: Path, *, serve: bool = True) -> Path:
    made = exported(Task.CATEGORY, tmp_path / "made", model_type="roberta", labels=DESKS)
    publish(made, repository, serve=serve)
    return repository


def test_another_family_lies_beside_the_starter_and_serves(repository: Path, tmp_path: Path) -> None:
    with_roberta(repository, tmp_path)
    assert asked(repository) == "category_roberta"
    assert (repository / "distilbert" / "1" / "model.onnx").is_file()
    assert (repository / "category_roberta_labels" / "1" / "labels.txt").read_text().splitlines() == list(DESKS)
    assert check_generated(repository) == []


def test_a_model_may_come_without_serving(repository: Path, tmp_path: Path) -> None:
    with_roberta(repository, tmp_path, serve=False)
    assert asked(repository) == "distilbert"
    publish(exported(Task.CATEGORY, tmp_path / "made", b"second"), repository)
    assert asked(repository) == "distilbert"
    assert not (repository / "deployment.toml").exists()


def test_to_choose_what_serves_already_writes_nothing(repository: Path, tmp_path: Path) -> None:
    with_roberta(repository, tmp_path, serve=False)
    assert serve(repository, Task.CATEGORY, "distilbert") == []
    assert not (repository / "deployment.toml").exists()
    assert "deployment.toml" in serve(repository, Task.CATEGORY, "category_roberta")
    assert serve(repository, Task.CATEGORY, "category_roberta") == []


def test_a_starter_that_comes_later_without_serving_leaves_the_other_in_place(tmp_path: Path) -> None:
    repository = with_roberta(tmp_path / "model_repository", tmp_path)
    publish(exported(Task.CATEGORY, tmp_path / "made"), repository, serve=False)
    assert asked(repository) == "category_roberta"
    assert check_generated(repository) == []


def test_dims_and_labels_are_those_of_the_model_that_serves(repository: Path, tmp_path: Path) -> None:
    with_roberta(repository, tmp_path)
    for name in ("classify", INFO_LENS):
        config = from_text((repository / name / "config.pbtxt").read_text(encoding="utf-8"))
        dims = {output.name: list(output.dims) for output in config.output}
        assert dims["category_probabilities"] == dims["category_labels"] == [4]
    assert json.loads(config.parameters["labels.category"].string_value) == list(DESKS)
    assert json.loads(config.parameters["labels.veracity"].string_value) == ["real", "fake"]
    model = from_text((repository / "category_roberta" / "config.pbtxt").read_text())
    assert [tensor.name for tensor in model.input] == ["input_ids", "attention_mask"]


def test_a_model_that_is_not_there_is_not_served(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ("--repository", str(repository))
    assert main(["serve", "category", "category_roberta", *to]) == 1
    assert "no model 'category_roberta' for category; it has: distilbert" in capsys.readouterr().err
    (repository / "deployment.toml").write_text('[serves]\ncategory = "category_roberta"\n')
    with pytest.raises(RepositoryError, match="lets category_roberta answer category, but the repository has distilb"):
        check_generated(repository)


def test_two_models_and_no_word_which_is_told(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    for name in ("one", "two"):
        publish(exported(Task.CATEGORY, tmp_path / "made", model_type="bert", name=name), repository)
    assert asked(repository) == "two"
    (repository / "deployment.toml").unlink()
    with pytest.raises(RepositoryError, match="one and two could all answer category; say which"):
        check_generated(repository)


@pytest.mark.parametrize("name", ["classify", INFO_LENS, "xlnet", "distilbert_labels"])
def test_a_name_that_is_taken_is_refused(repository: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(RepositoryError, match=f"{name}.* is .* with --name"):
        publish(exported(Task.CATEGORY, tmp_path / "made", model_type="bert", name=name), repository)


def test_a_model_does_not_take_the_place_of_anothers_parts(repository: Path, tmp_path: Path) -> None:
    publish(exported(Task.CATEGORY, tmp_path / "made", model_type="bert", name="mine_labels"), repository)
    with pytest.raises(RepositoryError, match="mine needs the name mine_labels, which is a model of its own"):
        publish(exported(Task.CATEGORY, tmp_path / "made", model_type="bert", name="mine"), repository)


def test_numbers_of_a_deployment_leave_the_choice_alone(repository: Path, tmp_path: Path) -> None:
    with_roberta(repository, tmp_path)
    (tmp_path / "tuned.toml").write_text("max_running = 24\n")
    assert main(["configs", "--repository", str(repository), "--deployment", str(tmp_path / "tuned.toml")]) == 0
    assert asked(repository) == "category_roberta"
    (tmp_path / "empty.toml").write_text("")
    assert main(["configs", "--repository", str(repository), "--deployment", str(tmp_path / "empty.toml")]) == 0
    assert main(["configs", "--repository", str(repository), "--check"]) == 0
    assert "max_running = 24" not in (repository / "deployment.toml").read_text()


def test_parts_of_unequal_versions_are_told_and_repaired_by_an_export(repository: Path, tmp_path: Path) -> None:
    publish(exported(Task.CATEGORY, tmp_path / "made", labels=DESKS), repository)
    shutil.rmtree(repository / "distilbert" / "2")  # as after a kill, or a step back by hand
    message = "distilbert_tokenizer 2, distilbert 1, distilbert_labels 2"
    with pytest.raises(RepositoryError, match=message):
        check_generated(repository)
    with pytest.raises(ServingRepositoryError, match="classify asks models of unequal versions"):
        check_repository(repository)
    (repository / "distilbert_labels" / "2").rename(repository / "distilbert_labels" / "4")
    assert publish(exported(Task.CATEGORY, tmp_path / "made"), repository) == 5  # newer than any part
    assert check_generated(repository) == []
    assert "distilbert" in check_repository(repository)


def test_labels_that_are_not_the_artefacts_are_told(repository: Path) -> None:
    (repository / "xlnet_labels" / "1" / "labels.txt").write_text("fake\nreal\n")
    with pytest.raises(RepositoryError, match=r"xlnet_labels/1/labels\.txt does not hold .* real, fake"):
        check_generated(repository)


def test_configurations_without_a_model_are_told(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("distilbert", "distilbert_tokenizer"):
        shutil.rmtree(repository / part)
    assert check_generated(repository) == [
        "info_lens/config.pbtxt",
        "evidence/config.pbtxt",
        "classify/config.pbtxt",
        "distilbert_labels/config.pbtxt",
    ]
    assert main(["configs", "--repository", str(repository)]) == 1
    assert "no model belongs to classify/config.pbtxt any more" in capsys.readouterr().err
    with pytest.raises(ServingRepositoryError, match="classify asks distilbert_tokenizer, which is not in"):
        check_repository(repository)


def test_a_broken_artefact_does_not_bar_its_own_replacement(repository: Path, tmp_path: Path) -> None:
    (repository / "distilbert" / "1" / "artefact.json").write_text("{")
    with pytest.raises(RepositoryError, match="or delete its folders"):
        publish(exported(Task.VERACITY, tmp_path / "made"), repository)
    publish(exported(Task.CATEGORY, tmp_path / "made", b"new"), repository, replace=True)
    assert check_generated(repository) == []


def test_a_repository_of_before_architectures_were_named_is_read(repository: Path, tmp_path: Path) -> None:
    for name in ("bart", "distilbert", "xlnet"):
        path = repository / name / "1" / "artefact.json"
        document = json.loads(path.read_text())
        for key in ("model_type", "token_types", "labels", "exporter"):
            del document[key]
        path.write_text(json.dumps(document))
    assert check_generated(repository) == []
    with_roberta(repository, tmp_path)
    assert asked(repository) == "category_roberta"


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden"])
def test_a_configuration_has_a_plain_name(repository: Path, name: str) -> None:
    with pytest.raises(SystemExit):
        main(["configs", "--repository", str(repository), "--config-name", name])


def test_a_broken_deployment_is_told_by_every_command(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "deployment.toml").write_text("[[[")
    to = ("--repository", str(repository))
    for words in (["serve", "category", "distilbert", *to], ["list", *to], ["configs", *to]):
        assert main(words) == 1
        assert "cannot read the deployment deployment.toml" in capsys.readouterr().err
    (repository / "deployment.toml").write_bytes(b"\xef\xbb\xbfmax_running = 3\n")
    assert main(["serve", "category", "distilbert", *to]) == 0
    (repository / "deployment-big.toml").write_text('[serves]\ncategory = "nope"\n')
    assert main(["configs", *to]) == 1
    assert "deployment-big.toml: [serves] lets nope answer category" in capsys.readouterr().err


def test_every_deployment_is_generated_again_after_an_export(repository: Path, tmp_path: Path) -> None:
    to = ("--repository", str(repository))
    (tmp_path / "big.toml").write_text("# For the large machine.\n[category]\ninstances = 5\n")
    assert main(["configs", *to, "--deployment", str(tmp_path / "big.toml"), "--config-name", "big"]) == 0
    assert (repository / "deployment-big.toml").read_text().startswith("# For the large machine.")
    with_roberta(repository, tmp_path)
    assert asked(repository, config="configs/big.pbtxt") == "category_roberta"
    big = from_text((repository / "category_roberta" / "configs" / "big.pbtxt").read_text())
    assert big.instance_group[0].count == 5
    publish(exported(Task.VERACITY, tmp_path / "made", max_tokens=111), repository)
    tokenizer = from_text((repository / "xlnet_tokenizer" / "configs" / "big.pbtxt").read_text())
    assert tokenizer.parameters["max_tokens"].string_value == "111"
    assert main(["configs", "--check", *to]) == 0
    (repository / "xlnet" / "configs" / "big.pbtxt").write_text("")
    assert check_generated(repository) == ["xlnet/configs/big.pbtxt"]


def test_a_deployment_may_let_another_model_serve(repository: Path, tmp_path: Path) -> None:
    with_roberta(repository, tmp_path)
    (repository / "deployment-small.toml").write_text('[serves]\ncategory = "distilbert"\n')
    assert main(["configs", "--repository", str(repository)]) == 0
    assert asked(repository) == "category_roberta"
    assert asked(repository, config="configs/small.pbtxt") == "distilbert"


def test_a_configuration_that_nobody_can_generate_is_out_of_step(
    repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (repository / "bart" / "configs").mkdir()
    (repository / "bart" / "configs" / "old.pbtxt").write_text("")
    assert check_generated(repository) == ["bart/configs/old.pbtxt"]
    with_roberta(repository, tmp_path)
    assert "bart/configs/old.pbtxt has no deployment file" in caplog.text


def test_the_deployment_of_the_committed_configuration_stays(repository: Path, tmp_path: Path) -> None:
    to = ("--repository", str(repository))
    (tmp_path / "mine.toml").write_text("max_running = 7 # two more than cores\n")
    assert main(["configs", *to, "--deployment", str(tmp_path / "mine.toml")]) == 0
    with_roberta(repository, tmp_path)
    text = (repository / "deployment.toml").read_text()
    assert "max_running = 7 # two more than cores" in text
    assert 'category = "category_roberta"' in text
    whole = from_text((repository / INFO_LENS / "config.pbtxt").read_text())
    assert whole.parameters["max_running"].string_value == "7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("serves = 3", r"\[serves\] names a model for each task"),
        ("[serves]\ncategory = 3", r"\[serves\] names a model for each task"),
        ('[serves]\nmood = "bert"', r"has no task 'mood'; there are summary, category, veracity"),
        ("max_running = 0", "max_running is at least 1"),
        ("queue_delay_microseconds = -5", "queue_delay_microseconds is at least 0, not -5"),
        ("max_running =", r"cannot read the deployment deployment\.toml"),
    ],
)
def test_a_wrong_deployment_leaves_the_repository_as_it_was(
    repository: Path, tmp_path: Path, text: str, message: str
) -> None:
    (repository / "deployment.toml").write_text(text)
    before = sorted(str(path) for path in repository.rglob("*"))
    with pytest.raises(DeploymentError, match=message):
        with_roberta(repository, tmp_path)
    assert sorted(str(path) for path in repository.rglob("*")) == before


def test_the_models_are_listed(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_roberta(repository, tmp_path)
    assert main(["list", "--repository", str(repository)]) == 0
    lines = capsys.readouterr().out.splitlines()
    roberta, starter = (next(line for line in lines if name in line) for name in ("category_roberta", "distilbert"))
    assert roberta.split()[:3] == ["category", "serves", "category_roberta"]
    assert "version 1, roberta, int8, 300 tokens; Harbour | Opera | Football | Kommunalpolitik" in roberta
    assert starter.split()[:2] == ["category", "distilbert"]


def test_a_fourth_task_is_beside_the_three(repository: Path, tmp_path: Path, sentiment: Task) -> None:
    publish(exported(sentiment, tmp_path / "made"), repository)
    whole = from_text((repository / INFO_LENS / "config.pbtxt").read_text())
    assert "sentiment_labels" in {output.name for output in whole.output}
    assert asked(repository, "feel") == "sentiment"
    assert check_generated(repository) == []
