"""The whole loop: a champion answers, people say where it is wrong, the next version learns it and is promoted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from infolens.contract import Task
from reading.reference import FILE, parse
from tests.training.ratings import rating, write_export
from tests.training.toys import TELLING, small, toy_file
from training.cli import main
from training.recipes.settings import to_toml
from training.tracking.client import Tracking, open_client

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own

NEW = f"{TELLING['Travel']} Sailors race a regatta"
"""Articles about sports that sound like travel to who has not seen such: the words that tell are new."""


def articles(count: int) -> Iterator[tuple[str, str]]:
    """Articles that come to the server, and what they are about: half of them of the new kind."""
    kinds = [(TELLING["Travel"], "Travel"), (NEW, "Sports"), (TELLING["Sports"], "Sports"), (NEW, "Sports")]
    for number in range(count):
        words, label = kinds[number % len(kinds)]
        yield f"{words}, {number} of {number * 7}.", label


class Answers:
    """What a checkpoint says, as the server would."""

    def __init__(self, checkpoint: Path) -> None:
        self.model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def __call__(self, text: str) -> str:
        with torch.inference_mode():
            logits = self.model(**self.tokenizer(text, truncation=True, return_tensors="pt")).logits
        return str(self.model.config.id2label[int(logits.argmax())])


@pytest.mark.long
def test_what_people_correct_the_next_champion_knows(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = ("--tracking-uri", tracking.uri, "--experiment", "loop")
    tables = tmp_path / "tables"
    tables.mkdir()
    toy_file(Task.CATEGORY, tables / "before.parquet", train=96)
    for name, changes in (("first", {"num_train_epochs": 14.0}), ("next", {"base": "first", "num_train_epochs": 10.0})):
        recipe: Any = small(teacher=0.0, max_tokens=48, train_tokens=48, **changes)
        Path(f"{name}.toml").write_text(to_toml(recipe, Task.CATEGORY))
    assert main(["fit", "category", "--config", "first.toml", "--data", "tables", "--out", "first", *recorded]) == 0
    assert main(["promote", "category", "--at-least", "0.5", *recorded[:2]]) == 0
    assert parse(Path("first", FILE).read_text(encoding="utf-8"))["articles"] == 96

    champion = Answers(Path("first"))
    ratings = []
    for number, (text, truth) in enumerate(articles(80)):
        answer = champion(text)
        said: dict[str, Any] = {"right": True} if answer == truth else {"right": False, "right_label": truth}
        audit = number % 5 == 0
        ratings.append(rating(text, label=answer, audit=audit, rater=f"desk-{number % 3}", **said))
        if number % 10 == 0:  # somebody else is mistaken, and outvoted by an audit
            wrong = "Travel" if truth == "Sports" else "Sports"
            ratings.append(rating(text, label=answer, right_label=wrong, rater="hasty"))
    assert sum(one["right"] is False for one in ratings) > 12, "there is something to learn"
    write_export(ratings, tmp_path / "export.csv")

    command = ["data", "from-feedback", "export.csv", "--task", "category", "--out", "tables/feedback.parquet"]
    assert main([*command, "--keep-near-duplicates", "--validation", "0.2", "--test", "0.3"]) == 0
    told = capsys.readouterr().out
    assert "        88  read" in told
    assert "disagreement about" in told
    table = pd.read_parquet(tables / "feedback.parquet")
    assert len(table) == 80
    assert dict(zip(table["text"], table["label"], strict=True)) == dict(articles(80))
    assert set(table["weight"]) == {1.0, 2.0}

    assert main(["fit", "category", "--config", "next.toml", "--data", "tables", "--out", "next", *recorded]) == 0
    assert main(["promote", "category", "--data", "tables/feedback.parquet", *recorded[:2]]) == 0
    client = open_client(tracking)
    assert {alias: int(number) for alias, number in client.get_registered_model("category").aliases.items()} == {
        "champion": 2, "challenger": 2, "previous": 1,
    }  # fmt: skip
    taught = Answers(Path("next"))
    unseen = [(text.replace(" of ", " for "), truth) for text, truth in articles(40)]
    assert sum(taught(text) == truth for text, truth in unseen) > sum(champion(text) == truth for text, truth in unseen)
    run = client.get_model_version("category", "2").run_id
    assert FILE in {item.path for item in client.list_artifacts(run)}
