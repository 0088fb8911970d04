"""The command ``evaluate`` against the real server, on small tables of articles that were written for this project."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rouge_score.rouge_scorer import RougeScorer

from benchmarks.common.server import Started
from infolens import Client, SummaryOptions
from training.cli import main
from training.data.sentences import split_sentences

pytestmark = pytest.mark.server
ARTICLES = Path(__file__).parents[3] / "articles"
LABELS = {
    "business": "Business",
    "politics": "Politics",
    "sports": "Sports",
    "travel": "Travel",
    "world_news": "World News",
}


def read(name: str) -> tuple[str, str]:
    title, _, text = (ARTICLES / f"{name}.txt").read_text(encoding="utf-8").partition("\n\n")
    return title.strip(), text.strip()


@pytest.fixture
def categories(tmp_path: Path) -> Path:
    rows = []
    for name, label in LABELS.items():
        title, text = read(name)
        rows += [
            {"title": title, "text": text, "label": label, "source": "whole", "split": "test"},
            {"title": title, "text": text.split("\n")[0], "label": label, "source": "first", "split": "test"},
            {
                "title": "",
                "text": text,
                "label": label,
                "source": "whole",
                "split": "train",
            },  # is asked about: left out
            {"title": "", "text": f"{title} again and again", "label": label, "source": "own", "split": "train"},
        ]
    rows.append({**rows[0], "text": "Straße und Haus, das ist nicht die Sprache, die wir und das sind", "source": "de"})
    rows.append({**rows[0], "text": "A text that is too long. " * 12_000, "source": "long"})
    pd.DataFrame(rows).to_parquet(tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


def evaluate(server: str, *arguments: str | Path) -> int:
    return main(["evaluate", *map(str, arguments), "--server", server, "--draws", "50"])


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    return found


def test_a_classifier_as_people_get_it(
    triton: Started, categories: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert evaluate(triton.http_url, "category", "--data", categories, "--by", "split", "--out", out) == 0
    found = document(out)
    scores = pd.read_parquet(out / "scores.parquet")
    with Client(triton.http_url) as client:
        title, text = read("travel")
        answer = client.classify(text, title=title)
        revision = client.status().tasks["category"].revision
    row = scores[(scores["label"] == "Travel") & (scores["source"] == "whole")].iloc[0]
    assert row["predicted"] == answer.label
    assert row["p_Travel"] == pytest.approx(answer.probabilities["Travel"], abs=1e-5)
    assert row["tokens"] == answer.reading.tokens
    assert found["served"] == {"model": "distilbert", "revision": revision}
    assert found["rows"] == {"asked": 12, "scored": 10, "refused": 2, "repeated": 0, "articles": 10}
    assert found["figures"]["served"]["figures"]["accuracy"]["value"] == pytest.approx(scores["right"].mean())
    assert found["figures"]["baseline"]["figures"]["accuracy"]["value"] <= 1
    assert [group["name"] for group in found["figures"]["groups"] if group["by"] == "split"] == ["test"]
    assert len(found["data"][0]["sha256"]) == 64
    printed = capsys.readouterr().out
    assert "| served (distilbert) |" in printed
    assert printed == (out / "table.md").read_text(encoding="utf-8")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "<script" not in page
    assert "prefers-color-scheme: dark" in page
    words = text.split(".")[0]
    assert not any(words in written for written in (page, printed, json.dumps(found, ensure_ascii=False)))


def test_a_run_goes_on_where_it_was_cut_off(triton: Started, categories: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("category", "--data", categories, "--baseline", "none", "--out", out)
    assert evaluate(triton.http_url, *arguments) == 0
    whole = pd.read_parquet(out / "scores.parquet")
    file = out / "answers.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) == 12
    entries = [json.loads(line) for line in lines]
    changed = next(index for index, entry in enumerate(entries) if not entry["refused"])
    entries[changed]["answer"]["label"] = "Politics"  # were it asked about again, this would be gone
    entries[changed]["tokens"] = 99_999
    entries[changed + 1]["revision"] = "another"
    kept = [json.dumps(entry) + "\n" for entry in entries[: changed + 2]]
    file.write_text("".join(kept) + lines[-1][: len(lines[-1]) // 2], encoding="utf-8")
    assert evaluate(triton.http_url, *arguments) == 0
    again = pd.read_parquet(out / "scores.parquet")
    different = again["tokens"] != whole["tokens"]
    assert different.sum() == 1
    assert again.loc[different, "tokens"].tolist() == [99_999]
    pd.testing.assert_frame_equal(again[~different], whole[~different], rtol=1e-3)
    assert [json.loads(line)["revision"] for line in file.read_text(encoding="utf-8").splitlines()].count(
        "another"
    ) == 1


def test_summaries_beside_the_lead(triton: Started, tmp_path: Path) -> None:
    names = [*LABELS, "wellness"]
    texts = [read(name)[1] for name in names]
    table = tmp_path / "table.jsonl"
    rows = [{"article": text, "summary": " ".join(split_sentences(text)[:2]), "source": "ours"} for text in texts]
    pd.DataFrame([*rows, {**rows[0], "summary": "Another."}]).to_json(table, orient="records", lines=True)
    out = tmp_path / "out"
    assert evaluate(triton.http_url, "summary", "--data", table, "--set", "max_length=60", "--out", out) == 0
    found = document(out)
    assert found["settings"] == {"max_length": 60}
    assert (found["split"], found["rows"]["scored"], found["rows"]["articles"]) == ("all", 7, 6)
    assert len((out / "answers.jsonl").read_text(encoding="utf-8").splitlines()) == 6  # an article is asked about once
    scores = pd.read_parquet(out / "scores.parquet")
    with Client(triton.http_url) as client:
        summary = client.summarize(texts[0], options=SummaryOptions(max_length=60)).text
    mine = ("\n".join(split_sentences(text)) for text in (rows[0]["summary"], summary))
    rouge = RougeScorer(["rougeLsum"], use_stemmer=True).score(*mine)["rougeLsum"].fmeasure
    assert scores["rougeLsum"][0] == pytest.approx(100 * rouge, abs=1e-3)
    assert scores["words"][0] == len(summary.split())
    assert found["figures"]["lead"]["figures"]["rouge1"]["value"] > 50  # the references are the articles' own leads
    assert found["figures"]["oracle"]["rows"] == 7


def test_a_classifier_that_reads_the_summary(triton: Started, categories: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("--read", "summary", "--baseline", "none", "--limit", "4", "--out", out)
    assert evaluate(triton.http_url, "category", "--data", categories, *arguments) == 0
    entries = [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {entry["task"] for entry in entries} == {"summary", "category"}
    longest = max(entry["tokens"] for entry in entries if entry["task"] == "category")
    assert longest < 150
    assert document(out)["read"] == "summary"


def test_too_few_rows_to_compare_cost_no_report(triton: Started, categories: Path, tmp_path: Path) -> None:
    base = ("category", "--data", categories, "--baseline", "none")
    assert evaluate(triton.http_url, *base, "--out", tmp_path / "whole") == 0
    out = tmp_path / "short"
    assert evaluate(triton.http_url, *base, "--out", out, "--compare", tmp_path / "whole") == 0
    assert document(out)["compared"]["gains"] == {}
    told = "Not compared: 10 rows in common, 30 are needed."
    assert told in (out / "table.md").read_text(encoding="utf-8").splitlines()
    assert f"<p>{told}</p>" in (out / "index.html").read_text(encoding="utf-8")


def test_a_comparison_row_by_row(triton: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [read(name)[1] for name in LABELS]
    rows = [
        {"article": f"{text}\n{number}", "summary": split_sentences(text)[0]} for number, text in enumerate(texts * 6)
    ]
    table = tmp_path / "table.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    first, second = tmp_path / "first", tmp_path / "second"
    assert evaluate(triton.http_url, "summary", "--data", table, "--set", "max_length=40", "--out", first) == 0
    longer = ("--set", "max_length=80", "--compare", first, "--out", second)
    assert evaluate(triton.http_url, "summary", "--data", table, *longer) == 0
    found = document(second)["compared"]
    assert found["rows"] == 30
    means = [document(folder)["figures"]["served"]["figures"]["words"]["value"] for folder in (first, second)]
    assert found["gains"]["words"]["value"] == pytest.approx(means[1] - means[0], abs=1e-3)
    assert means[1] > means[0]
    words = "On 30 rows, beside bart of revision"
    assert words in capsys.readouterr().out
    assert words in (second / "index.html").read_text(encoding="utf-8")


def test_what_does_not_fit_is_said_before_anything_is_asked(
    triton: Started, categories: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    base = ("--data", categories, "--out", out)
    cases: dict[str, tuple[str | Path, ...]] = {
        "column 'article' is missing": ("summary", *base),
        "; it gives real, fake. Rename them with --labels THEIRS=NAME,...": ("veracity", *base),
        "--by nothing: the table has no such column": ("category", *base, "--by", "nothing"),
        "--read summary is for classifiers": ("summary", *base, "--read", "summary"),
        "--set beams=4: the settings of a summary are": ("summary", *base, "--set", "beams=4"),
        "num_beams must lie between": ("summary", *base, "--set", "num_beams=99"),
        "no row to ask about": ("category", *base, "--split", "validation"),
    }
    for words, arguments in cases.items():
        assert evaluate(triton.http_url, *arguments) == 2, words
        assert words in capsys.readouterr().err
    assert not list(out.glob("*.jsonl"))


@pytest.mark.parametrize("known", [True, False])
def test_over_grpc_answers_are_used_again_where_the_revision_is_told(
    known: bool,
    triton: Started,
    categories: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An older server says no revision."""
    with Client(triton.grpc_url) as client:
        status = client.status()
    assert len(status.tasks["category"].revision) == 12
    if not known:
        monkeypatch.setattr(Client, "status", lambda _: dataclasses.replace(status, tasks={}))
    out = tmp_path / "out"
    arguments = ("category", "--data", categories, "--baseline", "none", "--limit", "2", "--out", out)
    for _ in range(2):
        assert evaluate(triton.grpc_url, *arguments) == 0
    assert ("does not say which revision of the model answers" in caplog.text) != known
    assert document(out)["served"]["revision"] == (status.tasks["category"].revision if known else "")
    assert len((out / "answers.jsonl").read_text(encoding="utf-8").splitlines()) == (2 if known else 4)
