"""How many cards: from the document of a measurement, or from a data sheet, and the page says which."""

import argparse
import json
import re
from pathlib import Path

import pytest

from benchmarks.capacity.command import add_command, read_file, run_command
from benchmarks.capacity.gpu import plan as plans
from benchmarks.capacity.gpu.plan import DOOR_PER_S, CardDeployment, card_server, models_of, plan_card, times_around
from benchmarks.capacity.gpu.times import DATA_SHEETS, CardTimes, floor_card, read_card
from benchmarks.capacity.queueing import Place
from benchmarks.common.server import ROOT, BenchmarkError

BESIDE = ROOT / "benchmarks" / "results" / "capacity" / "capacity.json"
KIND = {"beams": 4, "tokens_in": 512, "tokens_out": 60}


def ways(way: str, **step_ms: float) -> list[dict[str, object]]:
    return [{"batch": int(name[1:]), "way": way, "step_ms": ms, **KIND} for name, ms in step_ms.items()]


def document(**changes: object) -> dict[str, object]:
    steps = [*ways("eager", b1=2.0, b32=4.0), *ways("graphs", b1=1.0, b32=2.0), *ways("compiled", b1=0.1)]
    labels = [
        {"model": name, "tokens": tokens, "batch": batch, "way": "CUDA graph", "p50_ms": ms}
        for name, tokens, times in (("DistilBERT", 128, {1: 0.5, 8: 1.2}), ("XLNet", 512, {1: 2.0, 8: 9.0, 32: 33.0}))
        for batch, ms in times.items()
    ]
    tables = {
        "encoder": [
            {"batch": batch, "tokens_in": 512, "way": "eager", "p50_ms": ms} for batch, ms in ((1, 1.18), (8, 4.72))
        ],
        "ways": [*steps, {**steps[0], "beams": 1, "step_ms": 0.01}],
        "classifiers": labels,
    }
    return {
        "card": "Card",
        "date": "2026-11-27",
        "dry_run": False,
        "parts": [{"tables": tables | changes}],
    }


def test_times_are_those_of_one_way_that_was_tried_at_most_batches() -> None:
    card = read_card(document(), "card.json")
    assert card.step_ms == {1: 1.0, 32: 2.0}, "the fastest at the largest batch, and not the one that was tried once"
    assert card.encoder_ms == {1: 1.18, 8: 4.72}
    assert card.labels["category"].tokens == 128
    assert card.labels["category"].batch_share == pytest.approx(0.2)
    assert card.labels["veracity"].batch_share == pytest.approx(0.5), "the worst of what is known"
    assert card.measured


def test_what_a_server_on_the_card_did_stands_beside_the_simulation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "REQUESTS", 200)
    row = {"asked": "info_lens", "p50_ms": 50.0, "answered_per_s": 300.0}
    served = [
        {**row, "load": "one client", "p50_ms": 44.4, "holds": None},
        {**row, "load": "200 a second, at random moments", "answered_per_s": 199.0, "holds": True},
        {**row, "load": "300 a second, at random moments", "holds": False},
        {**row, "asked": "category", "load": "one client", "p50_ms": 3.0, "holds": None},
    ]
    file = tmp_path / "card.json"
    file.write_text(json.dumps(document(served=served)))
    assert run(["--gpu", str(file), "--wanted", "300", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "| an article alone, p50 | 44 ms |" in text
    assert "| the highest rate that held 500 ms | 199/s |" in text
    assert "Cards by the measured rate, with 20 % kept free: 2 for 300/s." in text
    assert json.loads(text.splitlines()[-1])["server"] == {"alone_p50_ms": 44.4, "held_500_ms_per_s": 199.0}


def test_an_article_that_joins_costs_the_others_its_encoder() -> None:
    card = read_card(document(), "card.json")
    assert card.round_ms(1) == pytest.approx(1.0 + 1.18 / 59)
    assert card.summary_ms == pytest.approx(59 + 1.18)
    # Within four rounds 4 * 32 / 59 articles come: read together, each of them takes less.
    assert 2.0 + 32 * 0.59 / 59 < card.round_ms(32) < 2.0 + 32 * 1.18 / 59
    assert card.round_ms(118) == pytest.approx(2.0 * 118 / 32 + 118 * 0.59 / 59), "nothing is gained beyond 32"
    slowdown = card.slowdown(4)
    assert slowdown[0] == 1.0
    assert list(slowdown) == sorted(slowdown)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "is no document of `python -m benchmarks gpu` .*give the JSON"),
        ({**document(), "dry_run": True}, "is of a dry run, whose times mean nothing"),
        (document(classifiers=[]), r"lacks what an answer costs: classifiers \(category\), classifiers \(veracity\)"),
        (document(ways=[], encoder=[]), r"lacks .*summaries \(4 beams, .*summaries \(encoder\); run .*--gpu-floor"),
    ],
)
def test_what_says_too_little_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        read_card(given, "card.json")


def test_a_card_takes_the_models_and_leaves_the_rest_on_the_cores() -> None:
    times, card = read_file(BESIDE).times, read_card(document(), "card.json")
    server = card_server(times, card, CardDeployment(slots=8, max_batch=32))
    models = models_of(times)
    places = {station.name: station.place for station in server.stations if station.place is not Place.CORES}
    assert places == {
        models["summary"]: Place.ENGINE,
        models["category"]: Place.PROGRAMS,
        models["veracity"]: Place.PROGRAMS,
    }
    sizes = {station.name: station.max_batch for station in server.stations}
    assert (sizes[models["category"]], sizes[models["veracity"]]) == (8, 32), "no batch that was not measured"
    moved = times_around(times, card)
    assert moved.alone[0].cpu_ms[models["summary"]] == card.summary_ms
    tokenizer = times.chains["summary"][0]
    assert moved.alone[0].cpu_ms[tokenizer] == times.alone[0].cpu_ms[tokenizer]


@pytest.fixture
def few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "REQUESTS", 500)


def plan(card: CardTimes, **deployment: int) -> dict[float, float]:
    found = plan_card(read_file(BESIDE).times, card, CardDeployment(**deployment))
    assert found.alone_ms == pytest.approx(card.summary_ms, rel=0.3)
    assert max(found.highest_per_s.values()) <= found.full_per_s * 1.01 <= DOOR_PER_S * 1.01
    return dict(found.highest_per_s)


@pytest.mark.usefixtures("few_requests")
def test_more_slots_hold_more_and_a_longer_bound_too() -> None:
    card = read_card(document(), "card.json")
    few, many = plan(card, slots=2), plan(card, slots=32)
    assert many[500.0] > 2 * few[500.0]
    assert many[250.0] <= many[500.0] <= many[1000.0]


@pytest.mark.parametrize("name", DATA_SHEETS)
def test_a_floor_is_never_above_what_was_measured_and_says_what_it_is(name: str) -> None:
    card = floor_card(name)
    assert not card.measured
    assert "measured by nobody" in card.source
    assert all(ms > 0 for ms in card.step_ms.values())
    assert card.round_ms(32) / 32 < card.round_ms(1), "weights are read once for all"


def run(words: list[str]) -> int:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    args = parser.parse_args(["capacity", *words])
    return run_command(parser, args)


@pytest.mark.usefixtures("few_requests")
def test_the_command_says_what_the_cards_are_counted_by(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "card.json"
    file.write_text(json.dumps(document()))
    assert run(["--gpu", str(file), "--wanted", "300", "--slots", "16", "--out", str(tmp_path)]) == 0
    page, last = (text := capsys.readouterr().out), json.loads(text.splitlines()[-1])
    assert f"measured on 2026-11-27, {file}" in page
    assert "Not measured" not in page
    assert last["measured"] is True
    assert last["deployment"]["slots"] == 16
    assert [row["wanted_per_s"] for one in last["cards"] for row in one["rows"]] == [300.0] * 3
    assert json.loads((tmp_path / "capacity-gpu.json").read_text()) == last

    assert run(["--gpu-floor", "L4", "--out", str(tmp_path)]) == 0
    assert "**Not measured: these are floors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu-floor", "B9000"], "--gpu-floor is one of T4, A100, L4.*not B9000: measure others with --gpu"),
        (["--gpu-floor", "L4", "--slots", "0"], "--slots is a whole number from 1 to 1024, not 0"),
    ],
)
def test_a_wrong_card_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(words)
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    "rows",
    [
        ways("graphs", b1=0.0),
        ways("graphs", b1=-1.0),
        ways("graphs", b1=float("nan")),
        ways("graphs", b1=float("inf")),
        ways("graphs", b0=1.0),
    ],
)
def test_a_time_that_is_none_is_refused(rows: list[dict[str, object]]) -> None:
    with pytest.raises(BenchmarkError, match=r"a batch is 1 or more and its time above 0 ms, not .* \(step_ms\)"):
        read_card(document(ways=rows), "card.json")


def test_a_way_that_was_not_tried_with_one_article_does_not_count() -> None:
    with pytest.raises(BenchmarkError, match="lacks what an answer costs: summaries"):
        read_card(document(ways=ways("graphs", b8=1.0)), "card.json")


def test_a_document_without_a_card_is_none_and_a_run_that_was_cut_off_says_so() -> None:
    with pytest.raises(BenchmarkError, match="card is the name of a GPU, not None"):
        read_card({**document(), "card": None}, "card.json")
    assert read_card({**document(), "cut_off": True}, "card.json").source.endswith(", of a run that was cut off")
