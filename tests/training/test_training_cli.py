import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from training.cli import build_parser, main, parse_columns
from training.errors import SettingError, TrainingError
from training.settings import apply_settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    epochs: int = 3
    rate: float = 0.1
    quick: bool = False
    name: str = "a"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs is 1 or more, not {self.epochs}")


def test_settings_take_the_type_of_their_field() -> None:
    config = apply_settings(Example(), ["epochs=5", "rate=2e-5", "quick=yes", "name=b=c", "epochs=6"])
    assert config == Example(epochs=6, rate=2e-5, quick=True, name="b=c")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", r"a setting is written name=value, not 'epochs'"),
        ("epoch=2", r"there is no setting 'epoch'; there are: epochs, rate, quick, name"),
        ("epochs=two", r"setting epochs is of type int, not 'two'"),
        ("quick=perhaps", r"setting quick is true or false, not 'perhaps'"),
        ("epochs=0", r"epochs is 1 or more, not 0"),
    ],
)
def test_a_bad_setting_is_explained(setting: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        apply_settings(Example(), [setting])


def test_columns() -> None:
    assert parse_columns("text=body, label=section") == {"text": "body", "label": "section"}
    assert parse_columns("") == {}
    with pytest.raises(TrainingError, match=r"--columns is OURS=THEIRS,\.\.\., such as .*, not 'text'"):
        parse_columns("text")


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(["fit", "--help"])
    assert leave.value.code == 0
    text = capsys.readouterr().out
    for word in ("--base starter", "distilbert-base-uncased", "--columns text=body", "Food & Drink", "metrics.json"):
        assert word in text


@pytest.mark.parametrize("task", ["category", "veracity", "summary"])
@pytest.mark.parametrize("base", ["starter", "some/checkpoint"])
def test_settings_can_be_listed_and_given_back(task: str, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", task, "--base", base]) == 0
    listed = capsys.readouterr().out.split()
    options = build_parser().parse_args(
        ["fit", task, "--data", "x", "--base", base, "--out", "y", *(f"--set={setting}" for setting in listed)]
    )
    assert options.set == listed


def test_errors_are_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["fit", "veracity", "--data", str(tmp_path / "no.csv"), "--base", "starter", "--out", out]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/no.csv: no such file or folder\n"
    assert main(["fit", "veracity", "--data", "x", "--base", "starter", "--out", str(tmp_path)]) == 2
    assert "is there already; name another folder with --out" in capsys.readouterr().err


def test_fit_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    telling = {"real": "The council voted on the harbour budget", "fake": "You will not believe this secret cure"}
    rows = [
        {"body": f"{telling[label]} {split} {i}.", "verdict": label, "split": split}
        for split, count in (("train", 40), ("validation", 10), ("test", 10))
        for i in range(count)
        for label in [("real", "fake")[i % 2]]
    ]
    data = tmp_path / "data.csv"
    pd.DataFrame(rows).to_csv(data, index=False)
    small = "epochs=1 layers=1 width=16 heads=2 vocabulary=200 max_tokens=32 train_tokens=32 teacher=0 batch=8"
    out = tmp_path / "checkpoint"
    settings = [f"--set={setting}" for setting in small.split()]
    columns = "text=body,label=verdict"
    arguments = ["fit", "veracity", "--data", str(data), "--columns", columns, "--base", "starter", "--out", str(out)]
    code = main([*arguments, "--threads", "1", *settings])
    assert code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["checkpoint"] == str(out)
    assert printed["test"]["articles"] == 10
    assert json.loads((out / "metrics.json").read_text())["config"]["width"] == 16
    assert (out / "model.safetensors").is_file()
