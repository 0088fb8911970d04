"""Watches the trials from the command's own process: says how they do, ends their runs, clears up, and stops them."""

from __future__ import annotations

import logging
import math
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

from ray.exceptions import RayActorError
from ray.tune import Callback

from training.loop.failures import chain, is_disk_full, is_out_of_memory
from training.tracking.client import REASON, first_line
from training.tracking.ending import KILLED, end_run

from .board import TUNED, Board, Point, State, Trial
from .nested import STOPPED_EARLY, Nested
from .trial import number_of, steps_folder

logger = logging.getLogger(__name__)

_ECHO_S: Final = 0.5
"""Within this time the same signal is the same key: wrappers such as `make` pass on what the terminal has sent too."""


class Watch(Callback):
    """Ray Tune's callback of a search.

    Ray Tune writes its callbacks down with the state of a search; of this one it keeps the name alone, so that a search
    that goes on has the watch of the process that it goes on in.
    """

    current: ClassVar[Watch]

    def __init__(self, board: Board, nested: Nested, trials: Path) -> None:
        self.board, self.nested, self.folder = board, nested, trials
        self.looping = False
        """Whether Ray Tune's loop runs, and looks every moment whether it is to stop."""
        self.stop = False
        """Whether it was told to."""
        self.left = False
        """Whether it did, and killed what ran: that is no failure."""
        self._began = time.monotonic()
        self._ended_here = 0
        self._started: dict[int, tuple[float, float]] = {}
        Watch.current = self

    def __reduce__(self) -> Any:
        return _current, ()

    def setup(self, stop: Any = None, num_samples: Any = None, total_num_samples: Any = None, **info: Any) -> None:
        """Take note of how many trials there will be."""
        self.board.total = total_num_samples or self.board.total
        self.looping = True

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial that begins or goes on."""
        known = self._known(trial)
        self._started[known.number] = time.monotonic(), known.train_s
        self.board.put(replace(known, state=State.RUNNING, error=""))

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """Note a measurement and say it."""
        known = self._known(trial)
        if "failed" in result or not math.isfinite(result["score"]):
            self.board.put(replace(known, error=result.get("failed", "the score is not a number")))
            return
        new = not known.points or known.points[-1].step < result["step"]
        point = Point(step=result["step"], score=float(result["score"]), loss=float(result["loss"]))
        self.board.put(known.measured(point))
        if new:  # a trial that goes on tells its last measurement once more
            logger.info(
                "trial %d of %d: %s %.4g after step %d of %d",
                known.number, self.board.total, self.board.score, point.score, point.step, result["steps"],
            )  # fmt: skip

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note how a trial ended: whole, stopped by ASHA, or diverged."""
        known = self._known(trial)
        last = trial.last_result or {}
        if known.error or not known.points:
            self._failed(known, known.error or "it ended without a measurement")
            return
        whole = last.get("step", 0) >= last.get("steps", 0)
        state = State.FINISHED if whole else State.STOPPED_EARLY
        self._end(replace(known, state=state), "FINISHED", {} if whole else {STOPPED_EARLY: "true"})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial that failed for good; the others go on."""
        if not self.left:
            self._failed(self._known(trial), _reason(trial))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say that a trial that broke off is tried once more."""
        if not self.left:
            logger.warning("trial %d broke off (%s); it is tried once more", number_of(trial.trial_id), _reason(trial))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """End Ray Tune's loop, once this was asked for: it writes its state down and leaves."""
        if not self.stop or self.left:
            return
        import ray

        self.left = True
        self.nested.end_open()  # first: Ray may be gone too, and its calls would wait for it
        end_run(self.nested.client, self.nested.parent, KILLED)
        for trial in trials:  # Ray Tune would wait for the next measurement of each
            if trial.temporary_state.ray_actor is not None and not trial.is_finished():
                ray.kill(trial.temporary_state.ray_actor)
        signal.raise_signal(signal.SIGUSR1)  # which Ray Tune takes for this, and for nothing else

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Ray Tune has stopped looking."""
        self.looping = False

    def _known(self, trial: Any) -> Trial:
        """What is known of a trial, with the time that it has taken until now."""
        number = number_of(trial.trial_id)
        known = self.board.trials.get(number)
        if known is None:
            known = Trial(number=number, settings={name: trial.config[name] for name in TUNED})
        began, before_s = self._started.get(number, (time.monotonic(), known.train_s))
        return replace(known, train_s=before_s + time.monotonic() - began)

    def _failed(self, trial: Trial, reason: str) -> None:
        logger.warning("trial %d of %d failed: %s; the others go on", trial.number, self.board.total, reason)
        self._end(replace(trial, state=State.FAILED, error=reason), "FAILED", {REASON: reason})

    def _end(self, trial: Trial, status: str, tags: dict[str, str]) -> None:
        """Write down how a trial ended, here and in MLflow, and say how far the search is."""
        board = self.board
        board.put(trial)
        if trial.state is not State.FAILED:  # a failed one may be begun again
            shutil.rmtree(steps_folder(self.folder, trial.number), ignore_errors=True)
        metrics = {f"score/{board.score}": (trial.points[-1].score, trial.points[-1].step)} if trial.points else {}
        self.nested.end(trial.number, status, tags=tags, metrics=metrics)
        best = board.best()
        if best is not None and best.score is not None:
            self.nested.log_best(f"best/{board.score}", best.score, board.ended)
        self._ended_here += 1
        left = board.total - board.ended
        each_s = (time.monotonic() - self._began) / self._ended_here
        early = f" (trial {trial.number} was stopped early)" if trial.state is State.STOPPED_EARLY else ""
        logger.info("%s%s%s", board.told(), early, f"; about {_time(each_s * left)} left" if left > 0 else "")


@contextmanager
def stops_softly(watch: Watch) -> Iterator[None]:
    """Have the first SIGINT or SIGTERM in the block end Ray Tune's loop at its next look, and only then do what it did.

    Ray Tune's own handler of SIGINT is to be switched off. A second signal, or one before or after the loop, does what
    it did before at once. Outside of a process's main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    came: list[tuple[int, float]] = []

    def stop(number: int, frame: Any) -> None:
        previous = before[signal.Signals(number)]
        if watch.looping and not came:
            came.append((number, time.monotonic()))
            watch.stop = True
        elif came and time.monotonic() - came[-1][1] < _ECHO_S:
            return
        elif callable(previous):
            previous(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(before[number]):
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came and callable(previous := before[signal.Signals(came[0][0])]):
        previous(came[0][0], None)


def _current() -> Watch:
    return Watch.current


def _reason(trial: Any) -> str:
    """Why a Ray Tune trial failed, in one line."""
    from ray import cloudpickle

    if not trial.pickled_error_file:
        return "it broke off before it began"
    error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    if is_disk_full(error):
        return "the disk is full"
    if is_out_of_memory(error):
        return "out of memory"
    deepest = next(chain(error))
    if isinstance(deepest, RayActorError):
        return "its process died"
    return f"{type(deepest).__name__}: {first_line(deepest)}"


def _time(seconds: float) -> str:
    """A time to wait, in the unit that suits it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
