"""What a model's training articles were like: counted, beside the model, on its card, and no part of its revision."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest

from export.cli import main
from export.reference import of_labels, read_reference, with_row
from export.repository.publish import publish
from export.repository.removal import remove
from infolens.contract import CATEGORIES, Task
from reading.reference import FILE, Counts, parse
from serving.gateway.served.models import Served
from tests.export.repository.artefacts import exported

REPOSITORY: Final = Path(__file__).parents[2] / "model_repository"
ROWS: Final = [
    {"text": "A goal, and another goal by the Striker of 2010.", "label": "Sports", "title": "Goal!", "split": "train"},
    {"text": "The sea " * 30, "label": "Travel", "title": None, "split": "train"},
    {"text": "The sea " * 30, "label": "Travel", "title": "again", "split": "train"},
    {"text": "Nobody learned from this.", "label": "Travel", "title": "", "split": "test"},
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "model_repository"
    for task in Task:
        publish(exported(task, tmp_path / "made"), folder)
    return folder


def command(repository: Path, *words: object) -> int:
    return main(["reference", *map(str, words), "--repository", str(repository)])


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_the_command_counts_the_articles_that_were_learned_from(ending: str, repository: Path, tmp_path: Path) -> None:
    table = tmp_path / f"table.{ending}"
    frame = pd.DataFrame(ROWS)
    writers: dict[str, Any] = {"parquet": frame.to_parquet, "csv": frame.to_csv}
    writers.get(ending, lambda path: frame.to_json(path, orient="records", lines=True))(table)
    assert command(repository, "distilbert", "--data", table) == 0
    found = parse((repository / "distilbert" / "1" / FILE).read_text(encoding="utf-8"))
    assert found["articles"] == 2
    assert found["label"] == {"Sports": 0.5, "Travel": 0.5}
    assert dict(zip(found["words"]["edges"], found["words"]["shares"], strict=True)) == {
        0: 0.5, 25: 0, 50: 0.5, 100: 0, 200: 0, 400: 0, 800: 0, 1600: 0,
    }  # fmt: skip
    words = Counter(["goal", "a", "goal", "and", "another", "goal", "by", "the", "striker", "of"] + ["the", "sea"] * 30)
    assert found["vocabulary"]["words"] == pytest.approx(
        {word: count / words.total() for word, count in words.items()}, abs=1e-6
    )
    card = (repository / "distilbert" / "README.md").read_text(encoding="utf-8")
    assert "| Reference | `1/reference.json` has the labels, lengths and commonest words of 2 training articles" in card
    command(repository, "distilbert", "--data", table, "--split", "test")
    again = (repository / "distilbert" / "README.md").read_text(encoding="utf-8")
    assert again == card.replace("of 2 training", "of 1 training")


def test_what_cannot_be_counted_changes_nothing(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    pd.DataFrame(ROWS).assign(label="Weather", source="ours").to_csv(table)
    for words, fault in (
        (("distilbert", "--data", table), "the label 'Weather', which the model does not tell; it tells Business"),
        (("bert", "--data", table), "has no model 'bert'; it has: bart, distilbert, xlnet"),
        (("bart", "--data", table), "has no column 'article'"),
        (("distilbert", "--data", table, "--sources", "theirs"), "no article is of the collection 'theirs'"),
        (("distilbert", "--data", table, "--split", "dev"), "no row has a text and the split 'dev'"),
        (("distilbert", "--data", tmp_path / "no.csv"), "cannot be read as a table"),
    ):
        assert command(repository, *words) == 1
        assert fault in capsys.readouterr().err
    assert list(repository.rglob(FILE)) == []


def test_a_version_brings_its_reference_and_takes_it_away(repository: Path, tmp_path: Path) -> None:
    counts = Counts()
    counts.add("The match was won by the team.", label="Sports")
    made = exported(Task.CATEGORY, tmp_path / "made", b"new")
    before = (repository / "distilbert" / "README.md").read_bytes()
    publish(type(made)(name=made.name, artefact=made.artefact, model=made.model, tokenizer="{}",
                       reference=counts.to_json()), repository)  # fmt: skip
    assert (repository / "distilbert" / "2" / FILE).read_text(encoding="utf-8") == counts.to_json()
    assert "`2/reference.json` has" in (repository / "distilbert" / "README.md").read_text(encoding="utf-8")
    remove(repository, "distilbert")
    assert (repository / "distilbert" / "README.md").read_bytes() == before
    assert list(repository.rglob(FILE)) == []


def test_a_reference_that_says_nothing_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_reference(tmp_path) == ""
    (tmp_path / FILE).write_text('{"schema": 1, "articles": 0}')
    assert read_reference(tmp_path) == ""
    assert "articles is a whole number above 0, not 0" in caplog.text
    counts = Counts()
    counts.add("Words.", label="LABEL_0")
    assert "label" not in parse(of_labels(counts.to_json(), ["Sports"]))
    assert of_labels(counts.to_json(), ["LABEL_0", "LABEL_1"]) == counts.to_json()
    assert with_row("# A card by hand\n", 1, counts.to_json()) == "# A card by hand\n"


@pytest.mark.parametrize(("model", "articles"), [("bart", 9_127), ("distilbert", 56_372), ("xlnet", 14_435)])
def test_the_starters_say_what_they_were_trained_on(model: str, articles: int) -> None:
    file = REPOSITORY / model / "1" / FILE
    found = parse(file.read_text(encoding="utf-8"))
    assert found["articles"] == articles
    assert file.stat().st_size < 10_000
    assert f"of {articles:,} training articles" in (REPOSITORY / model / "README.md").read_text(encoding="utf-8")
    assert set(found.get("label", {})) == {"distilbert": set(CATEGORIES), "xlnet": {"real", "fake"}}.get(model, set())
    assert len(found["vocabulary"]["words"]) == 256
    assert sum(found["vocabulary"]["words"].values()) + found["vocabulary"]["other"] == pytest.approx(1, abs=1e-4)


def test_a_reference_is_no_part_of_the_revision(repository: Path) -> None:
    """The server's own rule: the same revision with a reference, without it, and with another one."""
    served = Served(catalogue=None, repository=repository)  # type: ignore[arg-type]
    revisions = {served._revision(repository / "distilbert" / "1")}
    for text in ("{}", json.dumps({"schema": 1})):
        (repository / "distilbert" / "1" / FILE).write_text(text)
        revisions.add(served._revision(repository / "distilbert" / "1"))
    assert len(revisions) == 1
    (repository / "distilbert" / "1" / "artefact.json").write_text("{}")
    assert served._revision(repository / "distilbert" / "1") not in revisions
