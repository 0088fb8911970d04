"""Service times, the server that is planned from them, and the command."""

import argparse
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks.capacity.command import add_command, run_command
from benchmarks.capacity.data import Check, Measured, measured_document, read_measured
from benchmarks.capacity.deployed import DeployedModels, SimulatedLoad, read_deployed_models, replicas, server_of
from benchmarks.capacity.plan import make_plan, replicas_document
from benchmarks.capacity.queueing import MANY
from benchmarks.capacity.service_times import (
    CLIENT,
    FRONT,
    Sample,
    ServiceTimes,
    batching_of,
    chains_of,
    edges_words,
    per_request,
    read_times,
    stages_of,
    times_document,
)
from benchmarks.common.machine import Machine
from benchmarks.common.served import served_models
from benchmarks.common.server import ROOT, BenchmarkError
from infolens.contract import CONTRACTS

CHAINS = chains_of({task: contract.served() for task, contract in CONTRACTS.items()})
BATCHING, STAGES = batching_of(CHAINS), stages_of(CHAINS)

# -- service times ----------------------------------------------------------------------------------------------


def sample(words: int, *, scale: float = 1.0, batch: float = 1.0, **cpu_ms: float) -> Sample:
    times = dict.fromkeys(STAGES, scale) | {"bart": 20.0 * scale} | cpu_ms
    return Sample(
        words=words,
        requests=100,
        answered_per_s=40.0,
        cpu_ms=times,
        batches=dict.fromkeys(BATCHING, batch),
        others_cores=0.0,
    )


def service_times() -> ServiceTimes:
    return ServiceTimes(
        chains=CHAINS,
        alone=(sample(100), sample(500, bart=40.0)),
        # Four in a batch, each further one at half the cost: (1 + 3 / 2) / 4 of the time.
        full=(sample(100, scale=0.625, batch=4.0), sample(500, scale=0.625, batch=4.0, bart=25.0)),
        edges_words={"bart": (50.0, 100.0, 200.0), "distilbert": (50.0,), "xlnet": (50.0, 100.0)},
    )


def test_times_are_linear_between_lengths_and_constant_beyond():
    found = service_times().cpu_s("bart", np.array([10, 100, 200, 500, 2000]))

    assert found == pytest.approx([0.020, 0.020, 0.025, 0.040, 0.040])


def test_stages_without_batches_are_taken_at_full_load():
    assert service_times().cpu_s(FRONT, np.array([300])) == pytest.approx([0.000625])


def test_the_share_of_the_next_one_in_a_batch_follows_from_both_measurements():
    assert service_times().batch_share("bart") == pytest.approx(0.5)
    unbatched = replace(service_times(), full=(sample(100), sample(500)))
    assert unbatched.batch_share("bart") == 1.0


def test_articles_fall_into_length_buckets():
    assert service_times().shapes("bart", np.array([10, 50, 51, 150, 999])).tolist() == [0, 0, 1, 2, 3]
    assert edges_words(1000, 2000, None, (64, 128, 256)) == (32, 64, 128)
    assert edges_words(1000, 2000, 128, (64, 128, 256)) == (32,)


def test_times_survive_their_document():
    assert read_times(json.loads(json.dumps(times_document(service_times())))) == service_times()


@pytest.mark.parametrize("document", [{}, {"alone": 3}, {"alone": [], "full": [], "edges_words": {}}])
def test_what_is_no_document_of_times_is_refused(document):
    with pytest.raises(BenchmarkError, match=r"these are no service times .* measure them with"):
        read_times(document)


def test_what_was_measured_before_is_of_the_starters_and_what_is_measured_now_of_what_serves(tmp_path: Path):
    before = json.loads((ROOT / "benchmarks" / "results" / "capacity" / "capacity.json").read_text())["measured"]
    assert "chains" not in before["service_times"]
    assert dict(read_measured(before).times.chains) == CHAINS
    chains = {**CHAINS, "category": ("category_roberta_tokenizer", "category_roberta", "category_roberta_labels")}
    found = replace(service_times(), chains=CHAINS)
    document = json.loads(json.dumps(times_document(found)).replace("distilbert", "category_roberta"))
    assert read_times(document).chains == chains
    with pytest.raises(BenchmarkError, match=r"of .*category_roberta.* the repository serves .*distilbert.* measure"):
        make_plan(replace(read_measured(before), times=read_times(document)), deployment())


def test_a_cost_is_cpu_time_by_requests_and_the_launcher_belongs_to_the_front():
    cpu_s = dict.fromkeys(STAGES, 1.0) | {"launcher": 0.5}
    found = per_request(cpu_s, 100, STAGES)

    assert found["bart"] == 10.0
    assert found[FRONT] == 15.0
    assert set(found) == set(STAGES)


def test_a_cost_needs_answers_and_the_processes():
    with pytest.raises(BenchmarkError, match="no request was answered"):
        per_request(dict.fromkeys(STAGES, 1.0), 0, STAGES)
    with pytest.raises(BenchmarkError, match=r"no process was seen for \['bart'\]"):
        per_request({stage: 1.0 for stage in STAGES if stage != "bart"}, 10, STAGES)


# -- the server that is planned ---------------------------------------------------------------------------------


def deployment() -> DeployedModels:
    return DeployedModels(
        instances=dict.fromkeys(BATCHING, 1) | {"bart": 2},
        max_batch=dict.fromkeys(BATCHING, 32) | {"bart": 4},
        max_running=12,
        max_wait_ms=250.0,
        longest="bart",
    )


def test_the_committed_repository_can_be_read():
    found = read_deployed_models()

    assert found.instances["bart"] >= 1
    assert found.max_running >= found.instances["bart"]


def test_a_repository_without_configurations_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="make configs"):
        read_deployed_models(tmp_path)


def test_a_repository_without_a_model_that_writes_is_refused(tmp_path):
    repository = ROOT / "model_repository"
    for name in ("classify", "info_lens", *served_models(repository)["category"].chain):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.pbtxt").write_bytes((repository / name / "config.pbtxt").read_bytes())
    with pytest.raises(BenchmarkError, match="has none: category"):
        read_deployed_models(tmp_path)


def test_a_deployment_grows_with_cores():
    part, whole = (deployment().grown(8, everything=everything) for everything in (False, True))

    assert (part.instances["bart"], part.instances["xlnet"], part.max_running) == (8, 1, 48)
    assert (whole.instances["bart"], whole.instances["xlnet"], whole.max_running) == (8, 4, 48)
    assert deployment().grown(1, everything=True).instances["xlnet"] == 1


def test_the_load_generator_is_there_only_when_it_shares_the_cores():
    beside, away = (server_of(service_times(), deployment(), 2, client=client) for client in (True, False))

    assert [station.name for station in beside.entry] == [CLIENT, FRONT]
    assert [(station.name, station.instances) for station in away.entry] == [(FRONT, MANY)]


def test_a_full_server_keeps_its_cores_busy_and_no_higher_rate_holds():
    work = SimulatedLoad(times=service_times(), seconds=20.0)
    server = server_of(service_times(), deployment(), 2, client=False)
    full, rates = work.full_per_s(server), [work.highest_per_s(server, bound) for bound in (150.0, 500.0)]

    # All of an article's work, in batches as they come, is between what four and one at a time cost.
    costs_s = sum(float(work.times.cpu_s(name, np.array([474])).item()) for name in STAGES if name != CLIENT)
    assert 2 / costs_s <= full <= 2 / (0.6 * costs_s)
    assert 0 < rates[0] < 0.9 * full < rates[1] <= full


def test_replicas_keep_their_head_room():
    assert replicas(80, 100) == 1
    assert replicas(81, 100) == 2
    assert replicas(240, 100) == 3
    assert replicas(1, 100) == 1
    assert replicas(100, 100, head_room=0) == 1
    assert replicas(10, 0) is None


def test_the_rows_of_the_table_say_what_each_replica_has_to_do():
    one_row, other = replicas_document(41.0, (30.0, 200.0))

    assert one_row == {
        "wanted_per_s": 30.0,
        "replicas": 1,
        "rate_of_each_per_s": 30.0,
        "load_of_each": pytest.approx(0.73, abs=0.01),
    }
    assert other["replicas"] == 7
    assert replicas_document(0.0, (10.0,))[0]["replicas"] is None


# -- the command ------------------------------------------------------------------------------------------------


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(dest="command"))
    return run_command(parser, parser.parse_args(["capacity", *words]))


def test_a_measured_replica_needs_no_measurement(capsys):
    assert command("--replica-per-s", "41", "--wanted", "200", "--wanted", "30") == 0

    lines = capsys.readouterr().out.splitlines()
    assert "| 200 | 7 | 8 | 28.6 | 70 % |" in lines
    assert [row["replicas"] for row in json.loads(lines[-1])["rows"]] == [1, 7]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--replica-per-s", "0"), "--replica-per-s is a number of articles a second above 0, not 0"),
        (("--wanted", "-3"), "--wanted is a number of articles a second above 0, not -3"),
        (("--seconds", "0.1"), "--seconds lies between 1 and 600, not 0.1"),
        (("--replica-per-s", "3", "--measured", "x.json"), "not allowed with"),
    ],
)
def test_wrong_numbers_are_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        command(*words)
    assert message in capsys.readouterr().err


def test_what_was_measured_survives_its_document():
    measured = Measured(
        machine=Machine(cpu="A Processor", cores=2, memory_bytes=2**34, system="Linux x86_64"),
        day=date(2026, 1, 2),
        seconds=8.0,
        times=service_times(),
        by_beams={1: sample(500), 2: sample(500)},
        by_summary_tokens={16: sample(500)},
        by_cores={1: sample(474), 2: sample(474)},
        checks=(
            Check(
                cores=2,
                rate_per_s=20.0,
                seconds=8.0,
                warmup_s=2.0,
                seed=100,
                sent=160,
                lost=0,
                p50_ms=40.0,
                p99_ms=90.0,
                others_cores=0.1,
            ),
        ),
    )

    assert read_measured(json.loads(json.dumps(measured_document(measured)))) == measured
    assert measured.cores == 2
    assert max(measured.others_cores) == 0.1


def test_a_file_that_is_no_measurement_is_refused(tmp_path: Path):
    for name, content in (("empty.json", "{}"), ("list.json", "[1]"), ("text.json", "no")):
        (tmp_path / name).write_text(content)
        with pytest.raises(BenchmarkError, match=r"capacity\.json"):
            command("--measured", str(tmp_path / name))
