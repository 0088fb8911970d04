"""The simulated autoscaler: small cases by hand, what it must never do, and that the file's numbers are what counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.capacity.autoscale.day import Day, read_day
from benchmarks.capacity.autoscale.fleet import Lived, Outage, live
from benchmarks.capacity.autoscale.hpa import Autoscaler, Behaviour, Policy, Rules, by_average, by_utilization
from benchmarks.capacity.autoscale.replica import Replica, make_replica
from benchmarks.capacity.autoscale.scaled_object import COMMITTED, ScaledObject, read_scaled_object
from benchmarks.capacity.autoscale.scalers import ByCPU, ByScaledObject, Fixed
from benchmarks.capacity.command import read_file
from benchmarks.capacity.deployed import read_deployed_models
from benchmarks.cli import main
from benchmarks.common.server import ROOT, BenchmarkError

HOUR_S = 3600


def replica() -> Replica:
    """Made up: two under way for each article a second, up to 80; what is above 10 a second is refused."""
    rates = np.arange(0.0, 100.25, 0.25)
    each = np.ones((1, 11))
    return Replica(
        highest_per_s=10.0,
        rates_per_s=rates,
        refused=1 - np.minimum(1, 10.0 / np.maximum(rates, 1e-9)),
        busy=np.minimum(rates / 10.0, 1.0),
        under_way=np.minimum(2 * rates, 80.0)[:, None] * each,
        latency_ms=np.where(rates > 10.0, 900.0, 50.0)[:, None] * each,
    )


def numbers(**changed: object) -> ScaledObject:
    return replace(read_scaled_object(), **{"threshold": 10.0, **changed})


def day(*lines: tuple[float, float]) -> np.ndarray:
    at_s, rates = zip(*lines, strict=True)
    return Day(name="made up", at_s=at_s, rate_per_s=rates).rates_per_s


def lived(rates: np.ndarray, of: ScaledObject, **told: object) -> Lived:
    return live(rates, replica(), ByScaledObject(of), **{"cold_start_s": 20, **told})


# -- the algorithm, by hand --------------------------------------------------------------------------------------


def test_replicas_are_the_sum_by_the_target_rounded_up_beyond_a_tenth():
    assert by_average(25.0, 2.5, 4) == 10
    assert by_average(25.1, 2.5, 4) == 11
    assert by_average(10.9, 2.5, 4) == 4  # 9 % above
    assert by_average(11.2, 2.5, 4) == 5  # 12 % above
    assert by_average(8.9, 2.5, 4) == 4  # 11 % below, and still four
    assert by_average(0.0, 2.5, 4) == 0


def test_replicas_by_utilization_count_those_that_start_as_idle():
    assert by_utilization(0.9, 0.5, ready=4, unready=0) == 8  # 7.2
    assert by_utilization(0.52, 0.5, ready=4, unready=0) == 4
    assert by_utilization(0.9, 0.5, ready=4, unready=4) == 8  # 0.9 of half of them: within the tolerance
    assert by_utilization(1.0, 0.5, ready=4, unready=2) == 8  # 2 of two thirds


def rules(stabilization_s: int = 0, *policies: tuple[str, int, int], select: str = "Max") -> Rules:
    kept = policies or (("Percent", 1000, 15),)
    return Rules(
        stabilization_s=stabilization_s,
        policies=tuple(Policy(kind=kind, value=value, period_s=period_s) for kind, value, period_s in kept),
        select=select,
    )


ALL_AT_ONCE = rules(0, ("Percent", 100, 15))


def test_a_policy_counts_what_changed_within_its_period():
    up = rules(0, ("Percent", 100, 60), ("Pods", 4, 60))
    scaler = Autoscaler(Behaviour(up=up, down=ALL_AT_ONCE), minimum=1, maximum=50)
    assert scaler.decide(0, 3, 40) == 7  # four more, rather than twice as many
    assert scaler.decide(15, 7, 40) == 7  # within the minute they began with three
    assert scaler.decide(60, 7, 40) == 14
    assert scaler.decide(75, 14, 2) == 2


def test_the_smaller_change_counts_where_the_policy_is_min_and_none_where_it_is_disabled():
    up = rules(0, ("Percent", 100, 60), ("Pods", 4, 60), select="Min")
    down = rules(0, ("Percent", 50, 60), ("Pods", 1, 60), select="Min")
    scaler = Autoscaler(Behaviour(up=up, down=down), minimum=1, maximum=50)
    assert scaler.decide(0, 3, 40) == 6
    assert scaler.decide(60, 6, 1) == 5
    off = Autoscaler(Behaviour(up=rules(select="Disabled"), down=rules(select="Disabled")), minimum=1, maximum=50)
    assert [off.decide(at_s, 5, wanted) for at_s, wanted in ((0, 40), (15, 1))] == [5, 5]


def test_scaling_down_waits_for_the_highest_need_of_its_window_and_up_for_the_lowest():
    scaler = Autoscaler(Behaviour(up=rules(30), down=replace(ALL_AT_ONCE, stabilization_s=60)), minimum=1, maximum=50)
    assert scaler.decide(0, 5, 9) == 5  # five is what there was
    assert scaler.decide(15, 5, 9) == 5
    assert scaler.decide(31, 5, 9) == 9
    assert [scaler.decide(at_s, 9, 2) for at_s in (46, 61, 76, 90)] == [9, 9, 9, 9]
    assert scaler.decide(92, 9, 2) == 2


# -- what it must never do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_there_are_never_more_than_the_most_nor_fewer_than_the_least(seed: int):
    rates = day((0, 0), (600, 0), (660, 5000), (1200, 5000), (1260, 0), (3 * HOUR_S, 0))
    of = numbers()
    found = lived(rates, of, seed=seed)
    assert found.replicas.max() == of.maximum
    assert found.replicas.min() == of.minimum
    assert found.replicas[-1] == of.minimum


def test_without_load_nothing_changes():
    found = lived(day((0, 0), (HOUR_S, 0)), numbers())
    assert (found.changes, found.refused_share, found.late_minutes, found.day_p99_ms) == (0, 0.0, 0.0, 0.0)
    assert found.replica_hours == numbers().minimum


def test_a_steady_load_settles_where_the_arithmetic_says():
    # 60 a second are 120 requests under way, of whom each replica is to have ten.
    found = lived(day((0, 60), (2 * HOUR_S, 60)), numbers())
    assert set(found.replicas[HOUR_S:]) <= {12, 13}
    assert found.turns <= 1


def test_after_a_burst_nobody_goes_before_the_window_is_over():
    burst_ends_s = 1200
    rates = day((0, 20), (600, 20), (660, 200), (burst_ends_s, 200), (burst_ends_s + 1, 20), (2 * HOUR_S, 20))
    of = numbers()
    found = lived(rates, of)
    first_s = int(np.argmax(np.diff(found.replicas) < 0))
    window_s = of.behaviour.down.stabilization_s
    assert burst_ends_s + window_s - 15 <= first_s <= burst_ends_s + window_s + of.window_s + 30
    assert found.turns == 1


def test_replicas_serve_after_their_cold_start_and_what_is_too_much_is_refused_until_then():
    rates = day((0, 20), (600, 20), (601, 200), (1800, 200))
    found, slow = (lived(rates, numbers(), cold_start_s=cold) for cold in (20, 200))
    ordered_s = int(np.argmax(found.replicas > 3))
    assert found.ready[ordered_s + 18] == 3
    assert found.ready[ordered_s + 20] > 3
    assert found.refused[700] < 0.01
    assert slow.refused_share > 2 * found.refused_share > 0
    assert slow.late_minutes > found.late_minutes > 0


def test_a_fixed_number_stays_and_the_cpu_asks_for_what_keeps_its_target():
    rates = day((0, 40), (2 * HOUR_S, 40))
    fixed = live(rates, replica(), Fixed(name="5", start=5), cold_start_s=20)
    assert set(fixed.replicas) == {5}
    cpu = live(rates, replica(), ByCPU(minimum=5, maximum=20, target=0.5), cold_start_s=20)
    assert set(cpu.replicas[600:]) == {8}  # 40 a second are 0.5 of eight


# -- the metric is lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reached", [False, True])
def test_a_lost_metric_leads_to_the_fallback_and_never_to_fewer(reached: bool):
    away = Outage(begin_s=1200, end_s=1800, reached=reached)
    few, many = (
        lived(day((0, rate), (HOUR_S, rate)), numbers(ignore_null=False), outages=(away,)) for rate in (15.0, 60.0)
    )
    fallback, failures = numbers().fallback, numbers().failures
    assert few.replicas[1199] == 3
    assert few.replicas[1200 + 15 * failures - 1] == 3
    assert few.replicas[1200 + 15 * (failures + 2)] == fallback
    assert set(many.replicas[1200:1790]) == {many.replicas[1199]}
    assert many.replicas[1199] >= 12 > fallback


def test_static_fallback_takes_replicas_away_and_a_null_that_is_ignored_is_a_load_of_none():
    away = Outage(begin_s=1200, end_s=HOUR_S, reached=True)
    rates = day((0, 60), (HOUR_S, 60))
    now = Behaviour(up=numbers().behaviour.up, down=ALL_AT_ONCE)
    assert lived(rates, numbers(behaviour=now, fallback_keeps=False), outages=(away,)).replicas[-1] == 8
    assert lived(rates, numbers(behaviour=now), outages=(away,)).replicas[-1] >= 11
    assert lived(rates, numbers(behaviour=now, ignore_null=True), outages=(away,)).replicas[-1] == 3


def test_cached_metrics_are_as_old_as_the_polling_interval():
    rates = day((0, 10), (602, 10), (603, 200), (1800, 200))
    quick, slow = (
        int(np.argmax(lived(rates, numbers(cached=True, polling_s=polling_s)).replicas > 3)) for polling_s in (15, 400)
    )
    assert quick < 660
    assert slow > 820


# -- the numbers are those of the file ---------------------------------------------------------------------------


def test_what_is_simulated_is_what_is_applied(tmp_path: Path):
    text = COMMITTED.read_text(encoding="utf-8")
    changed = tmp_path / "other.yaml"
    rates = day((0, 6), (HOUR_S, 6))

    def lived_with(old: str, new: str) -> float:
        assert text.count(old) == 1, old
        changed.write_text(text.replace(old, new), encoding="utf-8")
        return float(lived(rates, read_scaled_object(changed)).replicas[-1])

    as_written = lived_with("threshold:", "threshold:")
    assert 5 <= as_written <= 7
    assert lived_with('threshold: "2.5"', 'threshold: "1.0"') >= 12
    assert lived_with("maxReplicaCount: 30", "maxReplicaCount: 4") == 4
    assert lived_with("minReplicaCount: 3", "minReplicaCount: 9") == 9
    changed.write_text(text.replace("[1m]", "[90s]"), encoding="utf-8")
    assert (read_scaled_object().window_s, read_scaled_object(changed).window_s) == (60, 90)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("metricType: AverageValue", "metricType: Value", "AverageValue"),
        ("infolens_waiting_room_waiting", "waiting", "infolens_waiting_room_waiting is not in it"),
        ('threshold: "2.5"', 'threshold: "0"', "number above 0"),
        ("behavior: currentReplicasIfHigher", "behavior: perhaps", "perhaps"),
        ("avg_over_time(infolens_waiting_room_running", "max_over_time(infolens_waiting_room_running", "one window"),
        ("maxReplicaCount: 30", "", "maxReplicaCount"),
        ("spec:", "spec: [", "ParserError|ScannerError"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_simulated_is_refused(tmp_path: Path, old: str, new: str, words: str):
    path = tmp_path / "other.yaml"
    path.write_text(COMMITTED.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(BenchmarkError, match=rf"other\.yaml is no ScaledObject that can be simulated .*({words})"):
        read_scaled_object(path)


@pytest.mark.parametrize("text", ["", "time,articles_per_s\n1:00,3\n", "time,articles_per_s\n2:00,3\n1:00,4\n",
                                  "time,articles_per_s\n1:00,3\n2:00,-1\n", "at,rate\n1:00,3\n2:00,4\n"])  # fmt: skip
def test_what_is_no_day_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "day.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"day\.csv is no day .* write a CSV with the columns"):
        read_day(path)


# -- one replica, and the command --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated() -> Replica:
    times = read_file(ROOT / "benchmarks" / "results" / "capacity" / "capacity.json").times
    return make_replica(times, read_deployed_models(), 35.0)


def test_the_threshold_is_what_is_under_way_with_a_fifth_kept_free(simulated: Replica):
    under_way = float(np.mean(simulated.at(simulated.under_way, 0.8 * 35.0)))
    assert read_scaled_object().threshold == pytest.approx(under_way, rel=0.2)


def test_a_replica_keeps_its_bound_up_to_its_highest_rate_and_refuses_beyond(simulated: Replica):
    assert simulated.p99_ms(33.0) < 500 < simulated.p99_ms(40.0)
    assert simulated.at(simulated.refused, 30.0) == 0
    # What it answers then is what two cores can: about as much, however much comes.
    for rate in (70.0, 100.0, 160.0):
        assert rate * (1 - simulated.at(simulated.refused, rate)) == pytest.approx(38, rel=0.25)


def test_a_quantile_of_a_day_weighs_each_rate_by_its_answers():
    one = replica()
    few, many = np.zeros((2, 401))
    few[[20, 80]], many[[20, 80]] = (995, 5), (950, 50)  # 5 a second, and 20
    assert one.mixed_ms(few, 0.99) == 50
    assert one.mixed_ms(many, 0.99) == 900


def test_the_command_writes_a_page_a_picture_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "short.csv"
    path.write_text("time,articles_per_s\n00:00,60\n00:10,60\n00:11,300\n00:20,60\n", encoding="utf-8")
    assert main(["autoscale", "--day", str(path), "--out", str(tmp_path / "out")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert '"threshold": 2.5' in last
    assert {one.name for one in (tmp_path / "out").iterdir()} == {"autoscale.md", "autoscale.json", "day.png"}
    assert "short.csv" in (tmp_path / "out" / "autoscale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", [("--replica-per-s", "0"), ("--cold-start-s", "-1")])
def test_wrong_usage_is_told(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["autoscale", *wrong])
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err
