"""The report of an experiment, from a real MLflow store: what a person reads in it, and what it must not do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from training.cli import main
from training.runs.experiment import tell
from training.runs.experiment.report import NOTHING
from training.tracking.client import Tracking, open_client
from training.tracking.recording import log_data

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own
HOUR_MS = 3_600_000
NOON_MS = 1_790_000_000_000


class Experiment:
    """An experiment whose runs are recorded as 'fit' records them."""

    def __init__(self, tracking: Tracking, folder: Path) -> None:
        self.client = open_client(tracking, make_experiment=False)
        self.id = self.client.create_experiment("night", artifact_location=(folder / "store").as_uri())
        self.client.create_registered_model("category")
        self.folder = folder

    def run(self, name: str, hour: int, *, status: str = "FINISHED", **tags: str) -> str:
        begun = NOON_MS + hour * HOUR_MS
        run = self.client.create_run(self.id, start_time=begun, tags={"task": "category", **tags}, run_name=name)
        if status != "RUNNING":
            self.client.set_terminated(run.info.run_id, status, end_time=begun + HOUR_MS // 2)
        return str(run.info.run_id)

    def model(
        self, name: str, hour: int, figure: float, *, mark: str = "/", test: str = "frozen", **config: Any
    ) -> None:
        """A run with figures and a registered version; metric names are grouped by ``mark``."""
        run_id = self.run(name, hour)
        for part, value in (("test", figure), ("baseline", 0.467)):
            self.client.log_metric(run_id, f"{part}{mark}macro_f1", value)
        self.client.log_metric(run_id, f"worker{mark}0{mark}peak_memory_mb", 800 + hour)
        document = {
            "minutes": 7.5 + hour,
            "articles": {"train": 5644, "test": 697},
            "data_hash": {"train": "ab" * 16, "test": test},
            "config": {"data": "/data/news|daily.parquet", "seed": 0, **config},
        }
        (self.folder / "metrics.json").write_text(json.dumps(document))
        self.client.log_artifact(run_id, str(self.folder / "metrics.json"))
        tags = {"test_macro_f1": str(figure), "baseline_macro_f1": "0.467", "test_hash": test}
        made = self.client.create_model_version("category", "nowhere", run_id, tags=tags)
        self.client.set_registered_model_alias("category", "challenger", made.version)


@pytest.fixture
def night(tracking: Tracking, tmp_path: Path) -> Experiment:
    """Four models, of which one was tested on other articles; a failure, a run that was stopped, a search."""
    made = Experiment(tracking, tmp_path)
    made.model("old", 0, 0.40, mark="_", learning_rate=0.001)
    made.model("best", 2, 0.55, learning_rate=0.000187899)
    made.model("later", 4, 0.52, learning_rate=0.005)
    made.model("elsewhere", 6, 0.99, test="other", learning_rate=0.005)
    made.run("diverged", 1, status="FAILED", reason="the loss is not a number from step 12 on")
    killed = made.run("interrupted", 3, status="KILLED", worked_s="540.0")
    search = made.run("search", 5)
    for run_id, hashes in ((killed, {}), (search, {"train": "ab" * 16, "test": "frozen"})):
        made.client.log_param(run_id, "data", "/data/news|daily.parquet")
        log_data(made.client, run_id, "/data/news|daily.parquet", hashes, {"train": 5644, "test": 697})
    for number, status in enumerate(("FINISHED", "FINISHED", "FAILED")):
        made.run(f"trial {number}", 5, status=status, **{"mlflow.parentRunId": search})
    made.client.set_registered_model_alias("category", "champion", "2")
    return made


def cells(text: str, first: str) -> list[str]:
    """The cells of the first row of a Markdown report that begins with a word."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} "))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_it_says_what_came_of_each_run(
    night: Experiment, tracking: Tracking, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--experiment", "night", "--tracking-uri", tracking.uri]) == 0
    text = capsys.readouterr().out
    assert (
        '"best" is the best of 3 runs on the same test articles: macro-F1 0.5500, above the baseline\'s 0.4670' in text
    )
    assert "1 more was tested on other articles" in text
    assert "The champion is version 2 (macro-F1 0.5500)." in text
    head = cells(text, "run")
    assert dict(zip(head, cells(text, "best"), strict=True)) == {
        "run": "best",
        "no.": "1",
        "version": "2 (champion)",
        "macro-F1": "0.5500",
        "baseline": "0.4670",
        "data": "A",
        "minutes": "9.5",
        "memory, MB": "802",
        "started (UTC)": "2026-09-21 16:13",
    }
    settings = text.partition("### Settings")[2].partition("###")[0]
    assert cells(settings, "run") == ["run", "no.", "macro-F1", "learning_rate"]  # only the one that differs
    assert cells(settings, "best") == ["best", "1", "0.5500", "1.88e-4"]
    assert cells(text, "old")[3] == "0.4000"  # by the names of before
    names = [line.split("|")[1].strip() for line in text.splitlines() if "| 2026-09-21" in line][:4]
    assert names[:4] == ["best", "later", "old", "elsewhere"]  # other articles come last, whatever their figure
    assert cells(text, "A")[1:] == [
        *(r"/data/news\|daily.parquet", "5,644 train, 697 test", "train abababababab, test frozen", "4")
    ]
    assert cells(text, "diverged")[1::3] == ["failed", "the loss is not a number from step 12 on"]
    assert cells(text, "interrupted")[1::3] == ["killed", "whoever started it stopped it"]
    assert cells(text, "interrupted")[3] == "9.0"  # and not the time between its sessions
    rows = text.partition("### Data")[2].partition("###")[0]
    assert rows.count("daily.parquet") == 2  # one for each pair of hashes, none for the run that broke off before them
    assert cells(text, "search")[-1] == "3 runs inside: 1 failed, 2 finished"
    assert "trial" not in text


def test_the_page_needs_nothing_else_and_follows_light_and_dark(
    night: Experiment, tracking: Tracking, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night.model("<b>bold</b>", 8, 0.1)
    out = tmp_path / "out" / "report"
    command = ["report", "category", "--experiment", "night", "--tracking-uri", tracking.uri, "--out", str(out)]
    assert main(command) == 0
    assert capsys.readouterr().out.split() == [str(out / "index.html"), str(out / "report.md")]
    page = (out / "index.html").read_text()
    assert "&lt;b&gt;bold" in page
    assert "<b>bold" not in page
    assert not re.search(r'<(?:script|link|img)|url\((?!#)|href="(?!#)', page)
    assert "prefers-color-scheme: dark" in page
    picture = page[page.index("<svg") : page.index("</svg>")]
    assert "var(--served)" in picture
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", picture)) <= {"#000000"}
    assert re.findall(r">(\d)</text>|<!-- (\d) -->", picture)
    assert "<td><code>best</code></td><td>1</td>" in page
    assert "<th>learning_<wbr>rate</th>" in page
    for words in ("champion", "baseline", "failed or stopped", "on other test articles"):
        assert words in picture
    assert main(command) == 0  # anew, in its place
    assert sorted(file.name for file in out.iterdir()) == ["index.html", "report.md"]


@pytest.mark.parametrize(
    "document",
    [
        {"baseline": [1]},
        {"articles": {"test": "many"}},
        {"config": None},
        {"minutes": "long"},
        {"data_hash": {"test": 3}},
    ],
)
def test_a_document_of_others_spoils_neither_report_nor_promotion(
    document: dict[str, Any], night: Experiment, tracking: Tracking, capsys: pytest.CaptureFixture[str]
) -> None:
    night.client.log_text(night.client.get_model_version("category", "3").run_id, json.dumps(document), "metrics.json")
    store = ["--tracking-uri", tracking.uri]
    assert main(["report", "--experiment", "night", *store]) == 0
    assert "0.5200" in cells(capsys.readouterr().out, "later")
    assert main(["promote", "category", "--version", "3", *store]) == 1
    assert "version 3 has macro_f1 0.5200, the champion, version 2, 0.5500" in capsys.readouterr().out


def test_a_figure_that_is_no_number_is_none(
    night: Experiment, tracking: Tracking, capsys: pytest.CaptureFixture[str]
) -> None:
    night.model("nothing", 8, float("nan"))
    night.model("endless", 9, float("inf"))
    assert main(["report", "--experiment", "night", "--tracking-uri", tracking.uri]) == 0
    text = capsys.readouterr().out
    assert '"best" is the best of 3 runs' in text
    assert {cells(text, name)[-1] for name in ("nothing", "endless")} == {"it has no test figures"}


def test_names_of_runs_are_no_markdown(
    night: Experiment, tracking: Tracking, capsys: pytest.CaptureFixture[str]
) -> None:
    night.model("x \\| <img src=x> [a](javascript:b)\n# head", 8, 0.6)
    assert main(["report", "--experiment", "night", "--tracking-uri", tracking.uri]) == 0
    text = capsys.readouterr().out
    assert len(cells(text, "x")) == len(cells(text, "best"))
    assert not re.search(r"^# head|(?<!\\)<img|(?<!\\)\]\(", text, re.MULTILINE)


def test_it_says_why_a_version_is_not_the_champion(
    night: Experiment, tracking: Tracking, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--tracking-uri", tracking.uri]
    assert main(["promote", "category", "--version", "3", *store]) == 1
    capsys.readouterr()
    assert main(["report", "--experiment", "night", *store]) == 0
    registry = capsys.readouterr().out.partition("### Registry")[2]
    assert cells(registry, "3")[-1] == "a gain of -0.0300, and 0.002 is asked for"
    assert cells(registry, "1")[-1] == "it is below its baseline, 0.4670"  # which nobody asked about
    assert cells(registry, "4")[-1] == NOTHING


def test_a_report_does_not_hold_the_password_of_the_store(
    night: Experiment, tracking: Tracking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = "postgresql://reader:secret@db:5432/runs"
    monkeypatch.setattr(tell, "open_client", lambda *_, **__: night.client)
    assert main(["report", "--experiment", "night", "--tracking-uri", uri]) == 0
    text = capsys.readouterr().out
    assert "(postgresql://reader:***@db:5432/runs)" in text
    assert "secret" not in text


def test_who_only_reads_makes_nothing(tracking: Tracking, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--tracking-uri", tracking.uri, "--out", str(tmp_path / "out")]
    assert main(["report", "--experiment", "nihgt", *out]) == 2
    assert "there is no experiment 'nihgt'; name one with --experiment" in capsys.readouterr().err
    client = open_client(tracking, make_experiment=False)
    assert client.get_experiment_by_name("nihgt") is None
    assert not (tmp_path / "out").exists()
    client.create_experiment("empty")
    assert main(["report", "--experiment", "empty", *out]) == 0
    assert "There is no run yet" in (tmp_path / "out" / "report.md").read_text()
    assert "There is no run yet" in (tmp_path / "out" / "index.html").read_text()
