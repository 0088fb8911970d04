"""The verdict on a soak, from windows that are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.common.machine import this_machine
from benchmarks.load.soak.asking import Result
from benchmarks.load.soak.config import SoakConfig
from benchmarks.load.soak.looks import ProcessLook, ServerLook
from benchmarks.load.soak.report import sentence, write_soak
from benchmarks.load.soak.verdict import Finding, held, judge
from benchmarks.load.soak.windows import Soak, Window

CONFIG = SoakConfig(seconds=3600)
MB = 10**6


def process(name: str, anonymous_mb: float) -> ProcessLook:
    anonymous_bytes = round(anonymous_mb * MB)
    return ProcessLook(
        name=name,
        processes=1,
        anonymous_bytes=anonymous_bytes,
        pss_bytes=2 * anonymous_bytes,
        threads=3,
        files=9,
        cpu_s=1,
    )


def server(
    bart_mb: float = 300, door_mb: float = 100, shared_mb: float = 64, replaced: tuple[str, ...] = ()
) -> ServerLook:
    return ServerLook(
        processes=(process("bart", bart_mb), process("door", door_mb)),
        shared_bytes=5 * MB,
        shared_size_bytes=round(shared_mb * MB),
        replaced=replaced,
    )


def window(minute: int) -> Window:
    """Ten articles a second, 20 ms of CPU time each."""
    return Window(
        begin_s=60.0 * minute,
        end_s=60.0 * (minute + 1),
        warm_up=minute < 5,
        articles=600,
        results={Result.RIGHT: 650},
        asked={"client, gRPC: info_lens": 650},
        p50_ms=90,
        p99_ms=300,
        server=server(),
        cpu_s=12.0,
        door={"restarts": 0, "heals": 0, "turned away": 0},
        calibration_ms=10,
    )


def soak(change: Callable[[int, Window], Window] = lambda _, one: one, minutes: int = 60) -> Soak:
    return Soak(config=CONFIG, windows=tuple(change(minute, window(minute)) for minute in range(minutes)))


def finding(found: Soak, rule: str) -> Finding:
    (one,) = (one for one in judge(found) if one.rule == rule)
    return one


def stood(found: Soak) -> bool:
    return held(found, judge(found))


def only_broken(found: Soak) -> Finding:
    (one,) = (one for one in judge(found) if one.holds is False)
    return one


def test_a_server_that_stays_as_it_was_has_stood_it() -> None:
    found = soak()
    assert [one.holds for one in judge(found)] == [True] * 6
    assert stood(found)
    assert found.first_and_last is not None
    first, last = found.first_and_last
    assert [one.begin_s / 60 for one in first.windows] == list(range(5, 15))
    assert [one.begin_s / 60 for one in last.windows] == list(range(50, 60))


@pytest.mark.parametrize(("last_articles", "holds"), [(571, True), (569, False)])
def test_a_fall_of_throughput_is_told_with_the_work_for_an_article(last_articles: int, holds: bool) -> None:
    found = soak(lambda minute, one: replace(one, articles=last_articles) if minute >= 50 else one)
    one = finding(found, "throughput")
    assert one.holds is holds
    assert f"{last_articles / 60:.2f} after 10.00" in one.words
    assert "20.00 ms of the server's CPU time first" in one.words


def test_a_fall_without_more_work_points_at_the_machine() -> None:
    def slower(minute: int, one: Window) -> Window:
        return replace(one, articles=300, cpu_s=6.0, calibration_ms=19.5, steal_share=0.42) if minute >= 50 else one

    words = only_broken(soak(slower)).words
    assert "look at the machine" in words
    assert "10.00 ms first and 19.50 ms last" in words
    assert "0.0 % and 42.0 %" in words
    more_work = soak(lambda minute, one: replace(one, articles=300) if minute >= 50 else one)
    assert "look at the machine" not in only_broken(more_work).words


def test_articles_of_the_warm_up_are_no_measure() -> None:
    assert stood(soak(lambda minute, one: replace(one, articles=6000) if minute < 5 else one))


def test_memory_that_grows_is_told_with_the_process_that_grew() -> None:
    grows = soak(lambda minute, one: replace(one, server=server(bart_mb=300 + 0.25 * minute)))
    one = only_broken(grows)
    assert one.rule == "memory"
    assert "less than 2 %" in one.words
    assert "bart +11.2 MB" in one.words
    assert "door" not in one.words


def test_memory_below_the_bound_or_of_the_warm_up_or_of_a_moment_is_no_growth() -> None:
    assert stood(soak(lambda minute, one: replace(one, server=server(bart_mb=300 + 0.15 * minute))))
    assert stood(soak(lambda minute, one: replace(one, server=server(bart_mb=100 + 200 * (minute >= 5)))))
    assert stood(soak(lambda minute, one: replace(one, server=server(bart_mb=300 + 400 * (minute % 7 == 0)))))


def test_shared_memory_that_grows_is_told() -> None:
    one = only_broken(soak(lambda minute, one: replace(one, server=server(shared_mb=64 + 16 * (minute >= 40)))))
    assert one.rule == "shared memory"
    assert "80.0 MB last, 64.0 MB first" in one.words


@pytest.mark.parametrize(("name", "words"), [("restarts", "again 1 times"), ("heals", "healed 1 times")])
def test_a_restart_and_a_heal_are_told(name: str, words: str) -> None:
    counted = {"restarts": 0, "heals": 0, "turned away": 0, name: 1}
    assert words in only_broken(soak(lambda minute, one: replace(one, door=counted) if minute >= 30 else one)).words


def test_a_process_that_came_new_is_told() -> None:
    new = soak(lambda minute, one: replace(one, server=server(replaced=("xlnet",) if minute >= 20 else ())))
    assert "came new: xlnet" in only_broken(new).words


@pytest.mark.parametrize("result", [Result.FAILED, Result.LATE, Result.REFUSED])
def test_one_lost_answer_is_too_many_in_the_warm_up_too(result: Result) -> None:
    one = only_broken(
        soak(lambda minute, one: replace(one, results={result: 1, Result.RIGHT: 9}) if not minute else one)
    )
    assert one.rule == "no answer lost"
    assert f"(1 {result})" in one.words


def test_one_wrong_answer_is_too_many() -> None:
    wrong = soak(lambda minute, one: replace(one, results={**one.results, Result.WRONG: 1}) if minute == 33 else one)
    assert only_broken(wrong).rule == "no wrong answer"


def test_what_cannot_be_seen_is_not_judged() -> None:
    found = soak(lambda _, one: replace(one, server=None, cpu_s=None, door=None))
    judged = {one.rule: one.holds for one in judge(found)}
    assert [rule for rule, holds in judged.items() if holds is None] == [
        "memory",
        "shared memory",
        "no restart, no heal",
    ]
    assert stood(found)


def test_too_short_a_run_has_not_stood_it() -> None:
    found = soak(minutes=6)
    assert found.first_and_last is None
    assert finding(found, "throughput").holds is None
    assert "let it run longer" in finding(found, "throughput").words
    assert sentence(found, judge(found)) == "After 6.0 minutes under load (3900 requests) it is too early to tell."
    assert not stood(found)
    assert not stood(soak(minutes=0))


def test_the_times_of_a_short_run_are_shorter() -> None:
    assert (CONFIG.warm_s, CONFIG.every_s) == (300, 60)
    short = SoakConfig(seconds=180)
    assert (short.warm_s, short.every_s) == (45, 3)


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    found = soak(lambda minute, one: replace(one, server=server(bart_mb=300 + minute), reasons={"a broken answer": 1}))
    paths = write_soak(found, this_machine(), date(2026, 1, 2), "python -m benchmarks soak", tmp_path)
    assert all(path.stat().st_size for path in paths)
    assert not list(tmp_path.glob("*.partial*"))
    page, document = paths[0].read_text(), json.loads(paths[1].read_text())
    assert "After 60.0 minutes under load (39000 requests) broken: memory." in page
    assert "| bart | 309.5 MB | 354.5 MB | +45.00 MB | +14.5 % |" in page
    assert "- 60 times: a broken answer" in page
    assert (document["held"], len(document["windows"])) == (False, 60)
    assert document["processes"]["bart"]["anonymous_bytes"][:2] == [300 * MB, 301 * MB]


def test_a_run_that_ended_before_its_first_window_has_a_report(tmp_path: Path) -> None:
    found = replace(soak(minutes=0), ended="ended by Ctrl-C after 0 s")
    assert "ended by Ctrl-C" in write_soak(found, this_machine(), date(2026, 1, 2), "x", tmp_path)[0].read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seconds", "0"], "seconds is a number above 0"),
        (["--users", "0"], "users is a number above 0"),
        (["--warmup-s=-1"], "warmup_s is a number from 0 on"),
        (["--server", "grpc://127.0.0.1:1"], "--server and --http-url go together"),
        (["--server", "grpc://127.0.0.1:1", "--http-url", "127.0.0.1:1"], "--http-url begins with http://"),
        (["--pid", "1"], "that --server names"),
    ],
)
def test_wrong_usage_is_told(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["soak", *words])
    assert message in capsys.readouterr().err
