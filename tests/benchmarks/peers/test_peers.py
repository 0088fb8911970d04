import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.common.server import ROOT
from benchmarks.peers.config import LABELS, PeersConfig
from benchmarks.peers.environment import ensure_peers
from benchmarks.peers.roofline import Rates
from benchmarks.peers.run import measure
from infolens.contract import Task

RATES = Rates(bandwidth_bytes_per_s=50e9, int8_operations_per_s=1e12, fp32_operations_per_s=3e11)


def test_without_a_package_index_the_peers_fail_with_a_reason_and_ours_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    config = PeersConfig(
        tasks=(Task.CATEGORY,),
        engines=("openvino", "infolens"),
        size="small",
        fixtures=tmp_path / "fixtures",
        cache=tmp_path / "cache",
        batches=(1, 2),
        rounds=2,
        threads=1,
        minimum_turn_s=0.0,
    )
    (found,) = measure(config, RATES)
    ours, peer = found.engines
    assert (ours.engine, ours.status, ours.reason) == ("infolens", "measured", "")
    assert {batch: len(rounds) for batch, rounds in ours.seconds.items()} == {1: 2, 2: 2}
    assert [len(rows) for rows in ours.answers.values()] == [1, 2]
    assert min(found.minimum_s.values()) > 0
    assert (peer.engine, peer.status) == ("openvino", "failed")
    assert "needs a package index" in peer.reason
    assert not (config.cache / "environment" / "stamp").exists()


def test_an_environment_with_the_right_stamp_is_used_again_and_another_one_made_anew(tmp_path: Path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n", encoding="utf-8")
    python = ensure_peers(tmp_path, requirements)
    assert subprocess.run([python, "-c", "pass"], check=False).returncode == 0
    mark = tmp_path / "environment" / "mark"
    mark.touch()
    ensure_peers(tmp_path, requirements)
    assert mark.exists()
    (tmp_path / "environment" / "stamp").unlink()  # As after a set-up that was cut short.
    ensure_peers(tmp_path, requirements)
    assert not mark.exists()


def test_fixtures_says_what_it_wrote_and_how_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["fixtures", "--out", str(tmp_path), "--size", "small", "--task", "category"]
    assert main(arguments) == 0
    assert f"{tmp_path / 'distilbert-small'}: 0.8 MB" in capsys.readouterr().out
    assert (tmp_path / "distilbert-small" / "model.safetensors").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["distilbert-small"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rounds", "0"], "rounds is at least 1, not 0"),
        (["--batch", "0"], "batches is at least 1"),
        (["--engines", "nothing"], "invalid choice"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["peers", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_command_with_all_engines(tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks", "peers", "--size", "small", "--rounds", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tasks = json.loads(done.stdout.splitlines()[-1])["tasks"]
    found = {
        document["task"]: {engine["engine"]: engine["status"] for engine in document["engines"]} for document in tasks
    }
    everything = dict.fromkeys(LABELS, "measured")
    assert found == {
        "summary": everything,
        "category": {**everything, "ctranslate2": "not offered"},
        "veracity": {**everything, "ctranslate2": "not offered", "optimum": "not offered"},
    }
    exact = tasks[0]["batches"][1]["engines"]
    assert {f["engine"]: f.get("same_summaries") for f in exact}["optimum"] == 1.0
    assert len(list(tmp_path.glob("*-small.png"))) == 3
