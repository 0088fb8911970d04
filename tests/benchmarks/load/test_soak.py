"""A soak of the real server, its users, and what it sees of processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from benchmarks.common.articles import Articles
from benchmarks.common.machine import this_machine
from benchmarks.common.metrics import read_door
from benchmarks.common.server import BenchmarkError, Started, Target
from benchmarks.load.soak.asking import (
    LOST,
    Connections,
    Known,
    Result,
    StatusError,
    WrongAnswerError,
    check,
    result_of,
)
from benchmarks.load.soak.config import SoakConfig
from benchmarks.load.soak.looks import ServerWatch, calibrate_ms
from benchmarks.load.soak.mixture import MANY, Question, mixture
from benchmarks.load.soak.report import write_soak
from benchmarks.load.soak.soak import learn, run_soak
from benchmarks.load.soak.users import Users
from benchmarks.load.soak.verdict import judge
from benchmarks.load.soak.windows import Soak
from infolens import Article, InferenceFailedError, RequestTimeoutError, ServerOverloadedError, Task

NOWHERE = ("grpc://127.0.0.1:1", "http://127.0.0.1:1", 1.0)
KNOWN = [
    Known(article=Article(text=f"text {number}"), answers={Task.CATEGORY: f"category {number}"}) for number in range(5)
]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (WrongAnswerError("x"), Result.WRONG),
        (StatusError("/v2", 400, b"bad"), Result.WRONG),
        (StatusError("/v2", 429, b"busy"), Result.REFUSED),
        (StatusError("/v2", 503, b"away"), Result.FAILED),
        (ServerOverloadedError("busy"), Result.REFUSED),
        (RequestTimeoutError("late"), Result.LATE),
        (InferenceFailedError("x"), Result.FAILED),
        (ConnectionResetError("x"), Result.FAILED),
    ],
)
def test_what_a_failure_comes_to(error: Exception, result: Result) -> None:
    assert result_of(error) is result


def test_an_error_of_our_own_is_no_result() -> None:
    with pytest.raises(ZeroDivisionError):
        result_of(ZeroDivisionError("x"))


def test_an_answer_that_differs_or_lacks_is_wrong() -> None:
    check(KNOWN[0], {Task.CATEGORY: "category 0"}, [Task.CATEGORY])
    for answers in ({Task.CATEGORY: "category 1"}, {}):
        with pytest.raises(WrongAnswerError, match="'category 0' in the beginning"):
            check(KNOWN[0], answers, [Task.CATEGORY])


def counted(ask: Callable[[Connections, Sequence[Known]], None], enough: threading.Event) -> Users:
    questions = (Question(name="one", articles=1, ask=ask), Question(name="two", articles=2, ask=ask))
    users = Users(NOWHERE, questions, KNOWN, users=1)
    with users:
        assert enough.wait(30)
    return users


def test_users_ask_in_a_fixed_order_and_about_the_articles_in_turn() -> None:
    seen: list[str] = []
    enough = threading.Event()

    def ask(_: Connections, known: Sequence[Known]) -> None:
        seen.append("".join(one.article.text[-1] for one in known))
        if len(seen) >= 5:
            enough.set()

    counts = counted(ask, enough).take()
    assert seen[:5] == ["0", "12", "3", "40", "1"]
    assert counts.articles == sum(map(len, seen))
    assert counts.results == {Result.RIGHT: len(seen)}
    assert len(counts.latencies_ms) == sum(counts.asked.values()) == len(seen)


def test_wrong_and_lost_answers_are_counted_and_are_no_articles() -> None:
    enough = threading.Event()
    left = iter([WrongAnswerError("other words"), ConnectionResetError("gone")])

    def ask(_: Connections, __: Sequence[Known]) -> None:
        error = next(left, None)
        if error is None:
            enough.set()
            return
        raise error

    counts = counted(ask, enough).take()
    assert (counts.results[Result.WRONG], counts.results[Result.FAILED]) == (1, 1)
    assert counts.reasons == {"one: other words": 1, "two: gone": 1}
    assert len(counts.latencies_ms) == counts.results[Result.RIGHT]


def test_an_error_of_our_own_ends_the_soak() -> None:
    enough = threading.Event()

    def ask(_: Connections, __: Sequence[Known]) -> None:
        enough.set()
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        counted(ask, enough).take()


GROWING = """
import mmap, subprocess, sys, tempfile
with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
    held, child = [], None
    for line in sys.stdin:
        if line == "own\\n":
            held.append(bytearray(b"x") * 50_000_000)
        elif line == "shared\\n":
            file.truncate(30_000_000)
            shared = mmap.mmap(file.fileno(), 30_000_000)
            for page in range(0, 20_000_000, mmap.PAGESIZE):
                shared[page] = 1
        elif line == "child\\n":
            child = subprocess.Popen(["sleep", "600"])
        print("done", flush=True)
    child.kill()
    child.wait()
"""


@pytest.fixture
def growing() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", GROWING], stdin=-1, stdout=-1, text=True) as process:
        yield process


def test_memory_of_a_process_and_shared_memory_are_seen_apart(growing: subprocess.Popen[str]) -> None:
    assert growing.stdin is not None
    assert growing.stdout is not None
    watch = ServerWatch(growing.pid)
    looks = []
    for words in ("nothing", "own", "shared", "child"):
        print(words, file=growing.stdin, flush=True)
        assert growing.stdout.readline() == "done\n"
        looks.append(watch.look())
    nothing, own, shared, child = looks
    name = nothing.processes[0].name
    assert own.total(name, "anonymous_bytes") - nothing.total(name, "anonymous_bytes") == pytest.approx(50e6, rel=0.02)
    assert own.shared_size_bytes == 0
    assert shared.total(name, "anonymous_bytes") - own.total(name, "anonymous_bytes") < 1e6
    assert shared.shared_size_bytes == 30_000_000
    assert shared.shared_bytes == pytest.approx(20e6, rel=0.01)
    assert shared.memory_bytes - own.memory_bytes == pytest.approx(20e6, rel=0.05)
    assert shared.total(name, "threads") >= 1
    assert shared.total(name, "files") >= 3
    assert shared.replaced == ()
    assert len(child.replaced) == 1
    growing.communicate()
    assert watch.look().memory_bytes == 0


def test_a_fixed_piece_of_work_takes_time() -> None:
    assert calibrate_ms() > 0


@pytest.fixture(scope="module")
def known(triton: Started) -> list[Known]:
    return learn(Target.of(triton), Articles(words=80), SoakConfig(articles=MANY))


@pytest.mark.server
@pytest.mark.parametrize("number", range(len(mixture())), ids=[question.name for question in mixture()])
def test_every_question_is_answered_rightly_and_sees_a_wrong_answer(
    triton: Started, known: list[Known], number: int
) -> None:
    question = mixture()[number]
    asked = known[: question.articles]
    with Connections(triton.grpc_url, triton.http_url, 30.0) as door:
        question.ask(door, asked)
        if asked:
            other = replace(asked[-1], answers=dict.fromkeys(asked[-1].answers, "something else"))
            with pytest.raises(WrongAnswerError, match="'something else' in the beginning"):
                question.ask(door, [*asked[:-1], other])


@pytest.mark.server
def test_what_must_be_refused_is_wrong_when_it_is_answered_or_refused_otherwise(triton: Started) -> None:
    with Connections(triton.grpc_url, triton.http_url, 30.0) as door:
        with pytest.raises(WrongAnswerError, match="must be refused with status 400"):
            door.refused("/v2/models/classify/generate", b'{"text": "a story"}', 400)
        with pytest.raises(StatusError, match="status 404"):
            door.refused("/v2/models/no_such_model/infer", b"{}", 400)


@pytest.mark.long
@pytest.mark.server
def test_a_short_soak_of_the_real_server(triton: Started, tmp_path: Path) -> None:
    config = SoakConfig(seconds=20, users=4, articles=11)
    so_far: list[int] = []
    found = run_soak(Target.of(triton), Articles(), config, lambda soak: so_far.append(len(soak.windows)))
    assert found.count(*LOST, Result.WRONG) == 0, found.reasons
    assert set(found.asked) == {question.name for question in mixture()}
    assert so_far == list(range(1, len(found.windows) + 1))
    assert found.windows[-1].end_s >= 20
    assert [one.warm_up for one in found.windows] == sorted((one.warm_up for one in found.windows), reverse=True)
    judged = {one.rule: one for one in judge(found)}
    assert {rule for rule, one in judged.items() if one.holds} >= {
        "no restart, no heal",
        "no answer lost",
        "no wrong answer",
    }
    # Twenty seconds say nothing of pace and growth, but that they are judged.
    assert all(one.holds is not None for one in judged.values())
    assert found.windows[-1].door == {"restarts": 0, "heals": 0, "turned away": 0}
    look = found.latest_look
    assert look is not None
    parts = {
        "launcher",
        "door",
        "watcher",
        "tritonserver",
        "info_lens",
        "bart",
        "bart_tokenizer",
        "distilbert",
        "xlnet",
    }
    assert {one.name for one in look.processes} >= parts
    assert all(one.anonymous_bytes > 0 and one.threads > 0 and one.files > 0 for one in look.processes)
    assert 0 < look.shared_bytes <= look.shared_size_bytes
    assert sum(one.cpu_s or 0.0 for one in found.windows) > 0
    paths = write_soak(found, this_machine(), date(2026, 1, 2), "x", tmp_path)
    assert all(path.stat().st_size for path in paths)


@pytest.mark.server
def test_metrics_of_something_else_are_told(triton: Started) -> None:
    with pytest.raises(BenchmarkError, match="infolens_heals_total"):
        read_door(triton.metrics_url)


@pytest.mark.server
def test_ctrl_c_leaves_what_there_was(triton: Started) -> None:
    def interrupt(soak: Soak) -> None:
        if len(soak.windows) == 2:
            raise KeyboardInterrupt

    config = SoakConfig(seconds=3600, window_s=1, users=2, articles=3)
    found = run_soak(Target.of(triton), Articles(words=80), config, interrupt)
    assert len(found.windows) == 2
    assert "Ctrl-C" in found.ended
    assert found.count(*LOST, Result.WRONG) == 0, found.reasons
