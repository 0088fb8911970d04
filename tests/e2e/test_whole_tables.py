"""Tables through the command as a process of its own: against the real server, and against one that stops."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import openpyxl
import pytest

import infolens
from infolens import Article, Report
from infolens.tables import COLUMNS
from infolens.testing import FakeTransport, fake_report
from tests.clients.loopback import free_port, grpc_server

TEXT = (
    "The old bridge over the harbour will close for repairs in June, the city said on Monday. Ferries will cross every "
    "ten minutes until the work ends in autumn. Shop owners on the north shore fear for their trade. Bus number {} "
    "goes round the bay."
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(infolens.__file__).parents[1])}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "infolens", "analyze", *arguments]


def write_rows(path: Path, count: int) -> list[str]:
    ids = [f"k{number:02}" for number in range(count)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Id", "Headline", "Body"])
        writer.writerows([one, f"Bridge {one}", TEXT.format(number)] for number, one in enumerate(ids))
    return ids


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.server
@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_fifty_rows_through_the_real_server(triton: Any, tmp_path: Path, scheme: str) -> None:
    ids = write_rows(tmp_path / "in.csv", 50)
    server = triton.http_url if scheme == "http" else triton.grpc_url
    for name in ("out.csv", "out.xlsx"):
        tasks = () if name == "out.csv" else ("--task", "category")
        arguments = ("--in", str(tmp_path / "in.csv"), "--out", str(tmp_path / name), "--server", server, *tasks)
        done = subprocess.run(command(*arguments), capture_output=True, text=True, env=ENVIRONMENT, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"infolens: {tmp_path / name}: 50 rows\n")
    rows = read_rows(tmp_path / "out.csv")
    assert [row["id"] for row in rows] == ids
    for row in rows:
        assert row["summary"]
        assert row["veracity"] in infolens.VERACITIES
        assert row["category"] in infolens.CATEGORIES
        assert (row["error"], row["read_share"], row["note"]) == ("", "1.0", "judged by wording, not checked")
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert [cell.value for cell in sheet[1]] == list(COLUMNS)
    column = COLUMNS.index("category")
    assert [row[column].value for row in sheet.iter_rows(min_row=2)] == [row["category"] for row in rows]


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_process_that_ends_early_loses_nothing(tmp_path: Path, by: signal.Signals, code: int) -> None:
    ids = write_rows(tmp_path / "in.csv", 12)
    out, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    reached, release, asked = threading.Event(), threading.Event(), list[str]()

    def answer(article: Article) -> Report:
        asked.append(article.title or "")
        if len(asked) == 6 and not release.is_set():
            reached.set()
            release.wait(60)
        return fake_report(summary=article.text)

    with grpc_server(FakeTransport(answer)) as url:
        arguments = ("--in", str(tmp_path / "in.csv"), "--out", str(out), "--server", url, "--in-flight", "1")
        # Whoever starts the tests in the background of a shell has it ignored, and so has what they start.
        heard = ["env", "--default-signal=INT", *command(*arguments)]
        process = subprocess.Popen(heard, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert reached.wait(60)
        process.send_signal(by)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            release.set()
        assert process.returncode == code, err
        told = f"kept in {partial}: go on with the same command and --resume"
        assert (told in err) is (by is signal.SIGINT)
        kept = len(partial.read_text("utf-8").splitlines()) - 1
        assert 4 <= kept <= 5, "two are under way or waited for"
        assert not out.exists()
        asked.clear()
        done = subprocess.run(command(*arguments, "--resume"), capture_output=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0
    assert asked == [f"Bridge {one}" for one in ids[kept:]]
    assert [row["id"] for row in read_rows(out)] == ids
    assert not partial.exists()


def test_a_server_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    ids = write_rows(tmp_path / "in.csv", 12)
    out, address = tmp_path / "out.csv", f"127.0.0.1:{free_port()}"
    reached, stopped = threading.Event(), threading.Event()

    def answer(article: Article) -> Report:
        if article.title == f"Bridge {ids[5]}" and not stopped.is_set():
            reached.set()
            stopped.wait(60)
        return fake_report(summary=article.text)

    arguments = (
        "--in",
        str(tmp_path / "in.csv"),
        "--out",
        str(out),
        "--in-flight",
        "2",
        "--server",
        f"grpc://{address}",
    )
    told: list[str] = []

    def listen(process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            told.append(line)
            stopped.set()  # the command has seen that the server is away

    with grpc_server(FakeTransport(answer), address=address):
        process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        listening = threading.Thread(target=listen, args=[process])
        listening.start()
        assert reached.wait(60)
    with grpc_server(FakeTransport(answer), address=address):
        listening.join(60)
        process.wait(60)
    assert process.stderr is not None
    process.stderr.close()
    assert told[0].startswith("infolens: waiting up to 30 s for the server")
    assert process.returncode == 0, (told, out.read_text("utf-8"))
    assert [row["id"] for row in read_rows(out)] == ids
    assert not any(row["error"] for row in read_rows(out))
