"""What a user sees of a run: our own lines and one progress bar, and not a word of the libraries."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

import pytest

from infolens.contract import Task
from tests.training.toys import toy_file
from training.commands.ended import told
from training.progress.bars import Progress, State, duration, track
from training.tracking.client import Tracking

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
STEPS = 6
SETTINGS = {
    "max_steps": STEPS, "save_steps": 3, "max_tokens": 32, "train_tokens": 32, "vocabulary": 300, "layers": 1,
    "width": 32, "heads": 2, "per_device_train_batch_size": 8, "cpus_per_worker": 1,
}  # fmt: skip
"""A run that ends before the loss is logged for the first time (``logging_steps`` is 25)."""
CLOCK = r"\d\d:\d\d:\d\d "
LOSS = r"loss \d+(\.\d+)?"
SAID = tuple(
    re.compile(pattern)
    for pattern in (
        CLOCK + r"reading \S+",
        CLOCK + r"\S+: 320 train, 32 validation, 32 test",
        CLOCK + r"labels: .+",
        CLOCK + r"baseline as teacher: out-of-fold probabilities",
        CLOCK + r"training the tokenizer: 300 tokens",
        CLOCK + r"starting the embeddings from \d+ texts",
        CLOCK + r"starting Ray",
        CLOCK + r"started Ray in \S+ s",
        CLOCK + r"Ray started the worker in \S+ s",
        CLOCK + r"MLflow: python -m mlflow ui --backend-store-uri sqlite:\S+ shows it at http://\S+machine_learning",
        CLOCK + rf"step \d of 6; {LOSS}(, \S+ articles/s)?(, about \S+ \w+ left)?",
        CLOCK + rf"step \d of 6: validation: {LOSS}, accuracy \S+, macro-F1 \S+",
        CLOCK + r"trained 6 steps; measuring the best checkpoint",
        CLOCK + r"fitting the baseline",
        CLOCK + r"test: accuracy \S+, macro-F1 \S+; baseline: \S+, \S+",
        CLOCK + r"MLflow: run \w+, model category version 1 is the challenger",
        r"category: macro-F1 \S+ and accuracy \S+ on 32 test articles; the baseline \(TF-IDF\) has \S+ and \S+",
        r"checkpoint: \S+, after 6 steps and \S+ min",
        r"below its baseline: promote will refuse it",
        r"next: python -m export .+",
    )
)
"""All that a run may say on standard error."""


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What a run has written."""

    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Spoken]:
    """Workers -> what a run with so many has written; both run at the same time."""
    folder = tmp_path_factory.mktemp("spoken")
    data = toy_file(Task.CATEGORY, folder / "articles.parquet")
    running = {}
    for workers in (0, 1):
        (place := folder / f"{workers}-workers").mkdir()
        settings = [f"--set={name}={value}" for name, value in {**SETTINGS, "workers": workers}.items()]
        command = [sys.executable, "-m", "training", "fit", "category", "--base=starter", f"--data={data}"]
        command += [f"--out={place / 'checkpoint'}", *settings]
        running[workers] = subprocess.Popen(
            command, cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    found = {}
    for workers, process in running.items():
        out, err = process.communicate(timeout=400)
        assert process.returncode == 0, err
        found[workers] = Spoken(out=out, err=err)
    return found


def environment(**more: str) -> dict[str, str]:
    """The environment of a user who has set nothing."""
    ours = {"PYTHONPATH": f"{ROOT / 'clients'}:{ROOT}", "TERM": "xterm"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return kept | ours | more


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_says_nothing_but_its_own_words(spoken: dict[int, Spoken], workers: int) -> None:
    strange = [line for line in spoken[workers].lines if not any(said.fullmatch(line) for said in SAID)]
    assert strange == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_is_shorter_than_its_log_shows_its_loss_from_the_first_step(
    spoken: dict[int, Spoken], workers: int
) -> None:
    steps = [line for line in spoken[workers].lines if "; loss" in line]
    assert re.search(rf"step 1 of {STEPS}; {LOSS}", steps[0])
    assert re.search(rf"step {STEPS} of {STEPS}; {LOSS}, \S+ articles/s$", steps[-1])
    measured = [line for line in spoken[workers].lines if "validation:" in line]
    assert len(measured) == STEPS // SETTINGS["save_steps"]


@pytest.mark.parametrize("workers", [0, 1])
def test_standard_output_is_one_line_for_scripts(spoken: dict[int, Spoken], workers: int) -> None:
    answer = json.loads(spoken[workers].out)
    summary = next(line for line in spoken[workers].lines if line.startswith("category: "))
    assert f"macro-F1 {answer['test']['macro_f1']:.4f}" in summary


def test_no_library_tells_its_makers_of_a_run() -> None:
    """MLflow does so unless it is told not to before it is loaded; `training.loop.ray_session` tells Ray."""
    code = """
from training import quiet
quiet.set_up()
from huggingface_hub import constants
from mlflow.telemetry.utils import is_telemetry_disabled
print(is_telemetry_disabled(), constants.HF_HUB_DISABLE_TELEMETRY)
"""
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout
    assert found == "True True\n"


def in_terminal(code: str, *, columns: int = 100, lines: int = 30, **more: str) -> str:
    """What Python code writes to a terminal."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (lines, columns))
    process = subprocess.Popen([sys.executable, "-c", code], env=environment(**more), stdout=its, stderr=its, stdin=its)
    os.close(its)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # how Linux says that nobody holds the other end any more
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 0, written.decode()
    return written.decode()


DRAW = """
import json, logging
from dataclasses import asdict
from training import quiet
from training.progress import bars, forwarding

quiet.set_up()
bars.REDRAW_S = 0.0
log = logging.getLogger("training.test")
progress = bars.Progress("training", 4, sentence="step {done} of {total}")
for step in range(1, 5):
    progress.to(step, f"loss {1 / step:.2f}")
    if step == 2:
        log.info("step 2 of 4: validation: loss 0.50")
progress.close()
log.info("the end")

def rays(data):
    for line in data["lines"]:
        print("RAY", line)

state = bars.State(what="training", done=3, total=9, text="", tail="loss 7.77")
with forwarding.drawn():
    forwarding.show(rays, {"is_err": True, "lines": [bars.MARK + json.dumps(asdict(state)), "12:00:00 ours", "a crash",
        "[E 1 2] core_worker.cc:2465: Actor with class name: 'PreemptionWatcher' and ID: '1' has constructor arguments "
        "in the object store"]})
"""


@pytest.mark.parametrize("columns", [100, 0])
def test_in_a_terminal_a_bar_is_drawn_in_place_and_lines_stand_above_it(columns: int) -> None:
    """A terminal of no size is one that does not know its own, as in some containers."""
    written = in_terminal(DRAW, columns=columns, lines=30 if columns else 0)
    pictures = re.split(r"[\r\n]+", written)
    bar = [picture for picture in pictures if "training " in picture and "|" in picture]
    assert any("2/4, loss 0.50" in picture for picture in bar)
    assert any(re.search(r"4/4, loss 0\.25, \S+ articles/s", picture) for picture in bar)
    assert any("3/9, loss 7.77" in picture for picture in bar), "a worker's bar"
    assert not re.search(r"training .*\n", written.replace("\r\n", "\n").replace("\n\r", "")), "a bar has moved on"
    lines = [re.sub(r"\x1b\[\w+", "", line.split("\r")[-1]).strip() for line in written.split("\r\n")]
    assert [line for line in lines if re.match(CLOCK, line) or line.startswith("RAY")] == [
        *[line for line in lines if line.endswith("validation: loss 0.50")],
        *[line for line in lines if line.endswith("the end")],
        "12:00:00 ours",
        "RAY a crash",
    ]
    assert "\x1b[3" in written, "no colour"


def test_no_colour_is_written_to_who_wants_none() -> None:
    assert "\x1b[3" not in in_terminal(DRAW, NO_COLOR="1")


class Shown:
    """Shows all."""

    def __init__(self) -> None:
        self.states: list[State] = []

    def due(self, done: int, total: int) -> bool:
        return True

    def show(self, state: State) -> None:
        self.states.append(state)

    def close(self) -> None:
        pass


def test_the_rate_leaves_out_what_came_before_the_run_and_the_first_step() -> None:
    shown = Shown()
    progress = Progress("training", 104, weight=16, done=100, shown_by=shown)
    for step in (101, 102, 103, 104):
        progress.since -= 2.0  # as if two more seconds had passed
        progress.to(step)
    rates = [float(found[1]) for state in shown.states if (found := re.search(r"([\d.]+) articles/s", state.tail))]
    assert rates == pytest.approx([8.0] * 4, rel=0.3)
    assert "left" in shown.states[0].tail
    assert "left" not in shown.states[-1].tail


def test_without_a_terminal_a_long_run_says_a_line_each_tenth(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        progress = Progress("training", 1005, sentence="step {done} of {total}")
        for step in range(1, 1006):
            progress.to(step)
    said = [int(re.findall(r"step (\d+) of 1005", message)[0]) for message in caplog.messages]
    assert said[0] == 1
    assert said[-1] == 1005
    assert len(said) == 11


def test_what_is_done_in_a_moment_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert list(track(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert caplog.records == []


def test_a_time_has_the_unit_that_suits_it() -> None:
    assert [duration(s) for s in (0.4, 89, 120, 3600, 3600 * 30)] == ["0 s", "89 s", "2 min", "60 min", "30 h 00 min"]


def test_the_end_tells_the_commands_that_come_next(tmp_path: Path) -> None:
    leads = {f"lead_{count}": {"rougeLsum": 20.0 + count % 3} for count in (1, 2, 3)}
    metrics = {"test": {"rougeLsum": 31.234}, "rows": 40, "steps": 9, "minutes": 2.04, **leads}
    text = told(Task.SUMMARY, metrics, tmp_path / "a b", Tracking(uri="none"))
    assert "ROUGE-Lsum 31.23 on 40 test articles; the baseline (the first 2 sentences of each) has 22.00" in text
    assert f"python -m export summary --checkpoint '{tmp_path}/a b'" in text
    assert "promote" not in text
    recorded = told(Task.SUMMARY, metrics, tmp_path, Tracking(uri="http://mlflow:5000"))
    assert "python -m training promote summary --tracking-uri http://mlflow:5000" in recorded
    for named in ("", "sqlite:///mlruns/mlflow.db"):
        recorded = told(Task.SUMMARY, metrics, tmp_path, Tracking.named(named, experiment="infolens"))
        assert "python -m training promote summary  #" in recorded


def test_the_end_recommends_nothing_that_will_be_refused(tmp_path: Path) -> None:
    figures = {"macro_f1": 0.4, "accuracy": 0.4, "articles": 9}
    metrics = {"test": figures, "baseline": {"test": figures | {"macro_f1": 0.5}}, "steps": 9, "minutes": 2.0}
    text = told(Task.CATEGORY, metrics, tmp_path, Tracking())
    assert "below its baseline: promote will refuse it" in text
    assert "training promote" not in text
    metrics["test"] = figures | {"macro_f1": 0.5}
    assert "training promote" in told(Task.CATEGORY, metrics, tmp_path, Tracking())
