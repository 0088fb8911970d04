"""A run of parts: each has its time and its process, and none takes another one with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest

from benchmarks.common.server import ROOT
from benchmarks.gpu.children.child import Status
from benchmarks.gpu.children.pool import Children
from benchmarks.gpu.plan import PARTS, Part
from benchmarks.gpu.run import PartResult, Run, ends, run_parts
from tests.benchmarks.gpu.fakes import RATES, Fake

PLENTY_S = 240.0


def run_of(*names: str, seconds: float = PLENTY_S, parts: tuple[Part, ...] = ()) -> Run:
    return Run(card="none", toy=True, parts=parts or tuple(Fake(name=name) for name in names), seconds=seconds)


def go(run: Run) -> tuple[list[PartResult], list[str]]:
    lines: list[str] = []
    run_parts(run, Children(preload=()), began_s=time.monotonic(), flush=lambda _: None, tell=lines.append)
    return run.results, lines


def gone(pid: int) -> bool:
    """Whether a process has ended, or does so in a while."""
    if not psutil.pid_exists(pid):
        return True
    return not psutil.wait_procs([psutil.Process(pid)], timeout=30)[1]


def test_shares_are_scaled_to_the_time_and_what_a_part_leaves_goes_to_the_next():
    parts = [Part(name=name, title="", share_s=share_s) for name, share_s in (("a", 1), ("b", 3), ("c", 4))]
    until = ends(parts, begin_s=100, end_s=180)
    assert until == [110, 140, 180]
    # The second begins at once when the first takes no time: it has its own 30 and the 10 of the first.
    assert until[1] - 100 == 40


def test_the_plan_takes_the_time_of_a_whole_run():
    assert ends(PARTS, 0, 480)[-1] == pytest.approx(480)


def test_what_a_part_finds_reaches_the_parts_after_it():
    run = run_of("teaching", "learning")
    (_, learnt), lines = go(run)
    assert learnt.tables == {"learnt": [{"best_batch": 16, "copy_bytes_per_s": 1e12}]}
    assert (run.rates, run.settings) == (RATES, {"best_batch": 16})
    assert [result.status for result in run.results] == [Status.DONE, Status.DONE]
    assert any("learnt: best_batch=16" in line and "s left" in line for line in lines)
    assert not run.broken


def test_a_part_knows_its_device_and_ends_before_it_is_killed():
    run = run_of("told", seconds=100)
    ((told,), _) = go(run)
    (about,) = told.tables["about"]
    assert (about["device"], about["toy"]) == ("cpu", True)
    # 90 s are the part's, the rest is the report's; the part is told of three fewer.
    assert run.results[0].limit_s == pytest.approx(90, abs=5)
    assert isinstance(about["left_s"], float)
    assert 0 < about["left_s"] < run.results[0].limit_s - 2.9


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("raising", Status.FAILED, "ZeroDivisionError: nothing goes into nothing"),
        ("crashing", Status.DIED, "was ended by SIGSEGV"),
        ("leaving", Status.DIED, "ended with exit code 3: printed, not lost / the last thing that it said"),
        ("broken", Status.FAILED, "No module named 'benchmarks.gpu.a_module_that_is_gone'"),
    ],
)
def test_a_part_that_breaks_says_how_and_the_next_one_runs(name: str, status: Status, words: str):
    run = run_of(name, "fine")
    (bad, fine), _ = go(run)
    assert bad.status is status
    assert words in bad.reason
    assert [(one.table, one.reason) for one in bad.skipped] == [(name, bad.reason)]
    assert fine.status is Status.DONE
    assert run.broken


def test_what_a_part_had_sent_before_it_broke_is_kept_and_its_last_words_too():
    ((raised, crashed), _) = go(run_of("raising", "crashing"))
    assert raised.tables == crashed.tables == {"steps": [{"batch": 1, "step_ms": 0.25}]}
    assert "tests/benchmarks/gpu/fakes.py" in raised.log
    assert "Fatal Python error: Segmentation fault" in crashed.log
    assert str(ROOT) not in raised.log + crashed.log + crashed.reason


def test_a_part_that_needs_what_is_not_installed_is_skipped():
    run = run_of("lacking")
    ((lacking,), _) = go(run)
    assert lacking.status is Status.SKIPPED
    assert lacking.skipped[0].reason == "ModuleNotFoundError: No module named 'a_package_that_nobody_has'"
    assert not run.broken


def test_a_part_without_a_module_is_skipped():
    run = run_of(parts=(Part(name="nowhere", title="", share_s=1),))
    ((nowhere,), _) = go(run)
    assert nowhere.status is Status.SKIPPED
    assert "benchmarks.gpu.parts.nowhere" in nowhere.reason


def test_a_part_that_hangs_is_killed_with_its_children_and_says_where():
    run = run_of(seconds=5.0, parts=(Fake(name="hanging", share_s=4), Fake(name="told", share_s=2)))
    (hung, next_one), _ = go(run)
    assert hung.status is Status.TIMED_OUT
    assert "when its time was up" in hung.reason
    assert "fakes.py" in hung.reason
    assert "in hanging" in hung.reason
    (processes,) = hung.tables["processes"]
    assert all(gone(int(pid)) for pid in processes.values() if pid is not None)
    assert next_one.status is Status.DONE


def test_a_part_leaves_no_process_behind():
    ((done,), _) = go(run_of("leftover"))
    assert done.status is Status.DONE
    assert gone(int(str(done.tables["processes"][0]["child"])))


def test_without_time_a_part_is_not_begun():
    ((first,), _) = go(run_of("fine", seconds=0.1))
    assert (first.status, first.reason) == (Status.SKIPPED, "no time was left for it")


def test_numbers_of_libraries_become_numbers_and_other_things_are_refused():
    ((odd,), _) = go(run_of("odd"))
    assert odd.tables["odd"] == [{"number": 0.5, "count": 3, "yes": True, "nan": "nan", "empty": None}]
    assert [one.what for one in odd.skipped] == ["a list in a cell", "an object as a setting"]
    assert "not list" in odd.skipped[0].reason


def test_results_are_flushed_after_each_part():
    run, seen = run_of("fine", "raising"), []

    def flush(run: Run) -> None:
        seen.append([(result.status, len(result.rows)) for result in run.results])

    run_parts(run, Children(preload=()), began_s=time.monotonic(), flush=flush, tell=lambda _: None)
    assert seen == [[(Status.DONE, 1)], [(Status.DONE, 1), (Status.FAILED, 1)]]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_ends_its_child_and_keeps_what_it_has(interruption: type[BaseException]):
    run = run_of("fine", "hanging", "fine")

    def tell(line: str) -> None:
        if "processes:" in line:
            raise interruption

    with pytest.raises(interruption):
        run_parts(run, Children(preload=()), began_s=time.monotonic(), flush=lambda _: None, tell=tell)
    assert run.cut_off
    assert [result.status for result in run.results] == [Status.DONE, Status.CUT_OFF]
    assert gone(int(str(run.results[1].tables["processes"][0]["own"])))


SCRIPT = """
import time
from benchmarks.gpu.children.pool import Children
from benchmarks.gpu.run import run_parts
from tests.benchmarks.gpu.test_run import run_of
children = Children(preload=())
run_parts(run_of("hanging"), children, began_s=time.monotonic(), flush=print, tell=lambda line: print(line, flush=True))
"""


def test_a_part_ends_with_a_run_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "processes:" in line)
        process.send_signal(signal.SIGKILL)
    assert all(gone(int(word.partition("=")[2])) for word in line.split() if word.startswith(("own=", "child=")))
