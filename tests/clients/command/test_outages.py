"""A server that goes away in the middle of many articles."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from infolens import Article, InfoLensError, ModelUnavailableError, Report, ServerUnavailableError
from infolens._commands.outages import Item, Outages, Result
from infolens.testing import FakeTransport, fake_report
from tests.clients.conftest import Clock

HEALS = ServerUnavailableError("it heals", retry_after_s=1.0)
GONE = ServerUnavailableError("nobody listens")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("infolens._commands.outages.time", clock)
    return clock


class Script:
    """Answers some requests, then fails some with an error, and then answers again."""

    def __init__(self, error: ServerUnavailableError, *, answers: int, failures: int) -> None:
        self._error = error
        self._answers = answers
        self._failures = failures
        self._lock = threading.Lock()

    def __call__(self, article: Article) -> Report | InfoLensError:
        with self._lock:
            self._answers -= 1
            if self._answers < 0 and self._failures > 0:
                self._failures -= 1
                return self._error
        return fake_report(summary=article.text)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    names = [str(tmp_path / f"{number:02}.txt") for number in range(40)]
    for name in names:
        Path(name).write_text(f"Article {name}", encoding="utf-8")
    return names


def answered(out: str) -> list[str]:
    """The files that have an answer, checked to be their own."""
    lines = [json.loads(line) for line in out.splitlines()]
    assert all(line["summary"]["text"] == f"Article {line['file']}" for line in lines)
    return [line["file"] for line in lines]


@pytest.mark.parametrize(
    ("error", "answers"),
    [(HEALS, 10), (HEALS, 0), (GONE, 10), (ModelUnavailableError("it is loaded again"), 10)],
    ids=["heals", "heals from the start", "restarts", "loads"],
)
def test_it_is_waited_for(
    run: Any, use: Any, files: list[str], clock: Clock, error: ServerUnavailableError, answers: int
) -> None:
    use(FakeTransport(Script(error, answers=answers, failures=50)))
    code, out, err = run("analyze", "--json", *files)
    assert (code, answered(out)) == (0, files)
    assert err == f"infolens: waiting up to 30 s for the server: {error}\n"
    assert 0 < clock.now_s < 30


def test_it_does_not_come_back(run: Any, use: Any, files: list[str], clock: Clock) -> None:
    fake = use(FakeTransport(Script(HEALS, answers=10, failures=10**6)))
    code, out, err = run("analyze", "--json", "--in-flight", "1", "--wait", "5", *files)
    assert (code, answered(out)) == (3, files[:10])
    waiting, error, rest = err.splitlines()
    assert waiting == "infolens: waiting up to 5 s for the server: it heals"
    assert error == "infolens: it heals"
    assert rest.startswith("infolens: of 40 articles 10 were answered, 0 failed, and 30 have no result; ")
    assert rest.endswith(f"go on with {files[10]} and those after it")
    assert 3 < clock.now_s < 5
    assert len(fake.requests) < 20, "one article is asked until the server is back"


@pytest.mark.parametrize(
    ("error", "wait", "answers"), [(HEALS, "0", 10), (GONE, "30", 0), (ModelUnavailableError("no such model"), "30", 0)]
)
def test_it_is_not_waited_for(
    run: Any, use: Any, files: list[str], clock: Clock, error: ServerUnavailableError, wait: str, answers: int
) -> None:
    """Nor when nobody asks for it, nor where nothing says that it will ever be there."""
    use(FakeTransport(Script(error, answers=answers, failures=10**6)))
    code, out, err = run("analyze", "--json", "--in-flight", "1", "--wait", wait, *files)
    assert (code, answered(out)) == (3, files[:answers])
    assert err.startswith(f"infolens: {error}\n")
    assert ("10 were answered" in err) is (answers == 10)
    assert clock.now_s == 0


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon"])
def test_a_wait_is_a_number_of_seconds(run: Any, use: Any, wait: str) -> None:
    fake = use(FakeTransport())
    code, _, err = run("analyze", "--text", "x", f"--wait={wait}")
    assert (code, fake.requests) == (2, [])
    assert "--wait" in err


def test_an_interrupt_says_how_far_it_came(run: Any, use: Any, files: list[str]) -> None:
    def answer(article: Article) -> Report:
        if article.text.endswith("03.txt"):
            raise KeyboardInterrupt
        return fake_report(summary=article.text)

    use(FakeTransport(answer))
    code, out, err = run("analyze", "--json", "--in-flight", "1", files[0], "none.txt", *files[1:5])
    assert code == 130
    assert len(out.splitlines()) == 4
    last = "of 6 articles 3 were answered, 1 failed, and 2 have no result; go on with"
    assert err.splitlines()[-2:] == ["infolens: interrupted", f"infolens: {last} {files[3]} and those after it"]


def test_an_answer_behind_a_failure_is_kept() -> None:
    """What came while the server went away is given in its turn, and not asked for again."""
    asked: list[str] = []
    away = {"b", "d"}

    def ask(items: Iterable[Item]) -> Generator[Result, None, None]:
        ahead = list(items)
        for item in ahead:
            assert isinstance(item, Article)
            asked.append(item.text)
            yield GONE if item.text in away and asked.count(item.text) < 3 else fake_report(summary=item.text)

    told: list[InfoLensError] = []
    tell: Callable[[ServerUnavailableError], None] = told.append
    results = Outages(ask, wait_s=9, tell=tell).results([Article(text=letter) for letter in "abcde"])
    texts = [result.summary.text for result in results if isinstance(result, Report) and result.summary]
    assert texts == [*"abcde"]
    assert asked == [*"abcde", "b", "b", "d", "d"]
    assert told == [GONE, GONE], "a second outage is waited for as the first one"
