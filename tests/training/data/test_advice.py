"""What is said of rows that do not fit: how many of each kind, where, and the option that would mend labels."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from infolens.contract import Task
from training.cli import main
from training.data.advice.problems import BadRows
from training.data.advice.quoting import quoted, split_outside, unquoted
from training.data.labels import label_rule, spelling_advice, unknown_labels_advice
from training.data.policy import RowPolicy
from training.data.schema import problems
from training.data.tables import load_splits
from training.errors import DataError, SettingError
from training.recipes.kinds import ClassifierRecipe, default_recipe
from training.recipes.settings import apply_settings, parse_list, read_toml, to_toml
from training.runs.evaluation.rows import load_rows

LABELS = ["World News", "sports", "Business", "Sci/Tech"]
"""As another agency writes them, each for 15 of 60 rows."""


def table(path: Path, labels: list[str] = LABELS, *, bad: bool = True) -> Path:
    """A table whose labels are not ours, with two rows without a text."""
    frame = pd.DataFrame(
        {
            "text": [f"Note {i} of the {labels[i % len(labels)].lower()} desk, page {i * 3}." for i in range(60)],
            "label": [labels[i % len(labels)] for i in range(60)],
            "split": [("train", "train", "validation", "test")[i // len(labels) % 4] for i in range(60)],
        }
    )
    if bad:
        frame.loc[[0, 4], "text"] = " "
    frame.to_csv(path, index=False)
    return path


COUNTED = (
    "column 'label', 30 rows: must be one of Business, World News, Sports, not "
    "'Sci/Tech' (15 rows, such as 4, 8, 12, 16, 20), 'sports' (15 rows, such as 2, 6, 10, 14, 18)"
)
ADVISED = (
    "Labels that --labels does not name: 'Sci/Tech' (15), 'sports' (15) for 'Sports'. To read them as others "
    "(write one of your labels for each ...): --labels 'Business,World News,Sports,Sci/Tech=...,sports=Sports'"
)


def test_bad_rows_are_counted_by_kind_and_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, report, out = table(tmp_path / "t.csv"), tmp_path / "r.json", tmp_path / "clean.parquet"
    ours = ["--data", str(data), "--labels", "Business,World News,Sports"]
    assert main(["data", "check", "category", *ours, "--json", str(report)]) == 1
    text = capsys.readouterr().out
    blank = "column 'text', 2 rows: must be text that is not blank, not ' ' (rows 1, 5)"
    assert (
        f"! 32 rows do not fit; training refuses them, 'data prepare --skip-bad-rows' drops them:\n    {COUNTED}\n"
        in (text)
    )
    assert f"    {blank}\n" in text
    assert f"! {ADVISED}" in text
    found = json.loads(report.read_text())
    assert (found["problems"], found["bad_rows"], found["label_advice"]) == (32, 32, ADVISED)
    kind = found["problem_kinds"][0]
    assert (kind["column"], kind["rows"], kind["values"][0]) == (
        "label", 30, {"value": "'Sci/Tech'", "rows": 15, "first_rows": [4, 8, 12, 16, 20]},
    )  # fmt: skip
    assert found["unknown_labels"] == {"sports": 15, "Sci/Tech": 15}

    for command, way_out in (
        (["fit", "category", "--tracking-uri", "none", "--out", str(tmp_path / "o"), *ours], "'data prepare --skip-b"),
        (["data", "prepare", "category", "--out", str(out), *ours], "--skip-bad-rows"),
    ):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert (
            f"t.csv: 32 rows do not fit:\n  {COUNTED}\n  {blank}\nMend such rows, or leave them out with {way_out}"
            in (told)
        )
        assert told.endswith(f"{ADVISED}\n")
    with pytest.raises(DataError, match=r"t\.csv: 32 rows do not fit:"):
        load_rows([str(data)], Task.CATEGORY, RowPolicy(labels=("Business", "World News", "Sports")))


def test_the_option_that_is_offered_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = table(tmp_path / "t.csv", bad=False), tmp_path / "clean.parquet"
    check = ["data", "check", "category", "--data", str(data)]
    assert main([*check, "--labels", "Business,World News,Sports"]) == 1
    offered = shlex.split(capsys.readouterr().out.partition("for each ...): ")[2].splitlines()[0])
    assert main([*check, *offered]) == 2  # a label must be chosen first
    assert (
        "labels: write a label in place of each ..., as in Sci/Tech=Business, not 'Sci/Tech=...'"
        in capsys.readouterr().err
    )
    chosen = [part.replace("...", "Business") for part in offered]
    assert main([*check, *chosen]) == 0
    assert main(["data", "prepare", "category", "--data", str(data), "--out", str(out), *chosen]) == 0
    assert Counter(pd.read_parquet(out)["label"]) == {"Business": 30, "World News": 15, "Sports": 15}
    capsys.readouterr()
    # Without the option all labels are taken; the check says which are spelled, or are, otherwise than the task's.
    assert main(check) == 0
    said = capsys.readouterr().out
    assert "'Sci/Tech' (15), 'sports' (15) for 'Sports'. To read" in said
    offered = shlex.split(re.search(r"--labels .*", said)[0])  # type: ignore[index]
    assert offered == ["--labels", "Business,World News,Sports,Sci/Tech=...,sports=Sports"]


def test_a_label_is_spelled_in_two_ways() -> None:
    counts = {"train": Counter({"Sports": 5, "SPORTS": 9, "crime &  courts": 2, "Crime & Courts": 1, "Mine": 3})}
    told = spelling_advice(Task.CATEGORY, counts)
    assert told.endswith(
        "case or blanks only: 'SPORTS' (9) for 'Sports', 'Crime & Courts' (1) for 'crime &  courts'. To read them as "
        "others: --labels 'Sports,Mine,crime &  courts,SPORTS=Sports,Crime & Courts=crime &  courts'"
    )
    rule = label_rule(parse_list(shlex.split(told.rpartition("--labels ")[2])[0]))
    assert rule.names == ("Sports", "Mine", "crime &  courts")
    assert [rule.read(label) for label in ("SPORTS", "Crime & Courts")] == ["Sports", "crime &  courts"]
    assert spelling_advice(Task.CATEGORY, counts, rule) == ""
    assert spelling_advice(Task.CATEGORY, {"train": Counter(Sports=1, Mine=1)}) == ""
    assert unknown_labels_advice(rule, {}) == ""


@pytest.mark.parametrize(
    ("option", "written"),
    [
        ("Sports,Sci/Tech=Business,sports = Sports", {"Sports": "Sports", "Sci/Tech": "Business", "sports": "Sports"}),
        ('"Law, Order"=Crime,War', {"Law, Order": "Crime", "War": "War"}),
        ('"Law, Order" = "Crime, Courts", "a=b"', {"Law, Order": "Crime, Courts", "a=b": "a=b"}),
        ('x="a=b","say ""no"", 1"=y', {"x": "a=b", 'say "no", 1': "y"}),
        ('5" disks,the "new" west=Old', {'5" disks': '5" disks', 'the "new" west': "Old"}),
        ("a=b=c,d", {"a=b": "c", "d": "d"}),
    ],
)
def test_names_with_commas_and_equal_signs_stand_in_quotes(
    option: str, written: dict[str, str], tmp_path: Path
) -> None:
    rule = label_rule(parse_list(option))
    assert {theirs: rule.written[theirs] for theirs in written} == written
    assert set(rule.written) == set(written) | set(written.values())
    # A recipe gives them back, whichever way they were set.
    recipe = apply_settings(default_recipe(Task.CATEGORY, "starter"), [f"labels={option}"])
    (tmp_path / "recipe.toml").write_text(to_toml(recipe, Task.CATEGORY))
    read = ClassifierRecipe(labels=tuple(read_toml(tmp_path / "recipe.toml")["labels"]))
    assert label_rule(parse_list(read.labels)) == rule
    for name in (*written, *written.values(), '"', '"x"', "a,b=c"):
        assert unquoted(quoted(name)) == name
        assert split_outside(f"{quoted(name)}={quoted(name)},z", ",") == [f"{quoted(name)}={quoted(name)}", "z"]


def test_a_quote_that_does_not_close_is_a_part_of_the_name() -> None:
    assert parse_list('"a, b') == ('"a', "b")
    assert parse_list('"one, source",two') == ("one, source", "two")
    with pytest.raises(SettingError, match=r'"Law, Order"=Crime'):
        label_rule(["=x", "y"])


def test_many_different_values_stay_few_lines() -> None:
    rule, bad = label_rule(["real", "fake"]), BadRows()
    frame = pd.DataFrame({"text": ["x"] * 3000, "label": [f"claim {i}" for i in range(2999)] + ["real"]})
    for first in (0, 1500):
        bad.add(problems(frame[first : first + 1500], Task.VERACITY, rule, first_row=first + 1))
    (line,) = bad.lines()
    assert line.endswith("'claim 104' (row 105), and 2,991 rows with others")
    assert (bad.rows, bad.values, len(bad.document()[0]["values"])) == (2999, 2999, 1000)
    assert len(unknown_labels_advice(rule, bad.unknown_labels)) < 3000


SEEDED = """
import json, sys
from collections import Counter
from pathlib import Path
from infolens.contract import Task
from training.data.policy import RowPolicy
from training.data.prepare import prepare_table
from training.data.report import as_json, as_text
from training.data.statistics import gather
from training.data.drift import jensen_shannon, measure_drift
policy = RowPolicy(near_copies=True)
found = gather(sys.argv[1], Task.CATEGORY, policy)
prepare_table(sys.argv[1], Task.CATEGORY, Path(sys.argv[2]), policy, skip_bad_rows=True)
drift = measure_drift(gather(sys.argv[3], Task.CATEGORY, policy), found)
words = [Counter({f"w{i}": i % n + 1 for i in range(100 * n)}) for n in (3, 5)]
print(repr(jensen_shannon(*words)))
print(as_text("t", Task.CATEGORY, found, drift), json.dumps(as_json(Task.CATEGORY, found, drift)))
"""


def test_a_check_says_the_same_in_each_process(tmp_path: Path) -> None:
    """Words that leak a label equally come in the same order, whatever the order of Python's sets."""
    words = [f"word{i}" for i in range(30)]
    frame = pd.DataFrame(
        {
            "text": [f"Piece {i}: {' '.join(words if i % 2 else words[::-1][:3])} {i * 7 % 41}." for i in range(120)],
            "label": ["Sports" if i % 2 else "Business" for i in range(120)],
            "split": [("train", "validation", "test", "train")[i // 2 % 4] for i in range(120)],
        }
    )
    frame.loc[::5, "text"] = frame.loc[::5, "text"].str.replace(r"word\d", "mark", regex=True)
    frame.to_csv(tmp_path / "t.csv", index=False)
    told = []
    for seed in ("1", "2", "3"):
        out = tmp_path / f"{seed}.parquet"
        arguments = [sys.executable, "-c", SEEDED, str(tmp_path / "t.csv"), str(out), str(table(tmp_path / "old.csv"))]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True)
        told.append((done.stdout, out.read_bytes()))
    assert "'word" in told[0][0]
    assert told[0] == told[1] == told[2]


def test_a_table_of_two_bad_rows_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv: 2 rows do not fit:\n  column 'text', 2 rows: must be"):
        load_splits(str(table(tmp_path / "t.csv")), Task.CATEGORY)
