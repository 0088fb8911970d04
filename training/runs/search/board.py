"""What is known of the trials of a search: kept in ``trials.json`` from the first measurement on, whatever happens."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from training.errors import SettingError
from training.runs.output import write_whole

TUNED: Final = ("learning_rate", "per_device_train_batch_size", "optim", "warmup_ratio", "weight_decay")
"""What a search varies."""
FILE: Final = "trials.json"


class State(StrEnum):
    """How far a trial has come."""

    RUNNING = "running"
    UNFINISHED = "unfinished"
    """The search was stopped while it ran."""
    FINISHED = "finished"
    STOPPED_EARLY = "stopped early"
    """ASHA stopped it, since others did better."""
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement on the validation split."""

    step: int
    score: float
    loss: float


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial; its number counts from 1."""

    number: int
    settings: Mapping[str, Any]
    """The value of each setting of `TUNED`."""
    state: State = State.RUNNING
    points: tuple[Point, ...] = ()
    """Its measurements, in the order of their steps."""
    train_s: float = 0.0
    """How long it has run, the start of its process and all its attempts counted."""
    error: str = ""
    """Why it failed."""

    @property
    def score(self) -> float | None:
        """The last measurement; None before the first."""
        return self.points[-1].score if self.points else None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it in this search."""
        return self.state in (State.FINISHED, State.STOPPED_EARLY, State.FAILED)

    def measured(self, point: Point) -> Trial:
        """This trial with one more measurement, which takes the place of an earlier one of the same step or after."""
        return replace(self, points=(*(each for each in self.points if each.step < point.step), point))


@dataclass(kw_only=True)
class Board:
    """The trials of the search in a folder."""

    folder: Path
    score: str
    """The validation figure that is searched for, such as ``macro_f1``."""
    higher_is_better: bool
    total: int
    """Trials that the search will have when it is done."""
    trials: dict[int, Trial] = field(default_factory=dict)
    """By number."""

    @classmethod
    def read(cls, folder: Path, *, score: str, higher_is_better: bool, total: int) -> Board:
        """The board of a search that was stopped, or an empty one.

        Raises:
            SettingError: The folder's ``trials.json`` is none of ours.
        """
        board = cls(folder=folder, score=score, higher_is_better=higher_is_better, total=total)
        file = folder / FILE
        if file.exists():
            try:
                found = [_trial(entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
            except (ValueError, KeyError, TypeError) as error:
                raise SettingError(
                    f"{file}: is no list of trials ({error!r}); name another folder with --out"
                ) from error
            board.trials = {trial.number: trial for trial in found}
        return board

    def put(self, trial: Trial) -> None:
        """Take what is known of a trial now, and write it down."""
        self.trials[trial.number] = trial
        self.write()

    def write(self) -> None:
        """Write ``trials.json``, the best trial first."""
        write_whole(self.folder / FILE, json.dumps([_entry(trial) for trial in self.ranked()], indent=2) + "\n")

    def close(self) -> None:
        """Say of the trials that still run that they are unfinished: nobody trains them any more."""
        running = [trial for trial in self.trials.values() if trial.state is State.RUNNING]
        self.trials |= {trial.number: replace(trial, state=State.UNFINISHED) for trial in running}
        if self.trials:
            self.write()

    def ranked(self) -> list[Trial]:
        """The trials, the best first; failed ones and those without a measurement last."""

        def place(trial: Trial) -> tuple[bool, float, int]:
            score = trial.score
            if score is None or trial.state is State.FAILED:
                return True, 0.0, trial.number
            return False, -score if self.higher_is_better else score, trial.number

        return sorted(self.trials.values(), key=place)

    def best(self) -> Trial | None:
        """The trial with the best last measurement, of those that did not fail; None where there is no such trial."""
        first = next(iter(self.ranked()), None)
        return None if first is None or first.score is None or first.state is State.FAILED else first

    def count(self, *states: State) -> int:
        """How many trials are in one of the states."""
        return sum(trial.state in states for trial in self.trials.values())

    @property
    def worked_s(self) -> float:
        """Seconds that the trials took, all of them together."""
        return sum(trial.train_s for trial in self.trials.values())

    @property
    def ended(self) -> int:
        """Trials of which nothing more will come."""
        return sum(trial.ended for trial in self.trials.values())

    @property
    def complete(self) -> bool:
        """Whether every trial has come to an end, and none failed."""
        return self.count(State.FINISHED, State.STOPPED_EARLY) >= self.total

    def told(self) -> str:
        """How far the search is, in one line."""
        line = f"{self.ended} of {self.total} trials done"
        if failed := self.count(State.FAILED):
            line += f", {failed} of them failed"
        best = self.best()
        if best is None or best.score is None:
            return line
        return f"{line}; best {self.score} {best.score:.4g} (trial {best.number}: {shown(best.settings)})"


def shown(settings: Mapping[str, Any]) -> str:
    """The settings of a trial, in words."""
    words = {"per_device_train_batch_size": "batch", "optim": "optimizer", "warmup_ratio": "warm-up"}
    return ", ".join(f"{words.get(name, name)} {figure(value)}" for name, value in settings.items())


def figure(value: Any) -> str:
    """A value of a setting with three digits."""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.2e}"
    return text.replace("e-0", "e-").replace("e+0", "e")


def _entry(trial: Trial) -> dict[str, Any]:
    last = trial.points[-1] if trial.points else None
    return {
        "trial": trial.number,
        "state": trial.state.value,
        **trial.settings,
        "score": last.score if last else None,
        "loss": last.loss if last and math.isfinite(last.loss) else None,
        "measurements": len(trial.points),
        "scores": [[point.step, point.score] for point in trial.points],
        "train_s": round(trial.train_s, 1),
        "error": trial.error or None,
    }


def _trial(entry: Mapping[str, Any]) -> Trial:
    """What `_entry` has written; a trial that ran when its search was killed is unfinished."""
    state = State(entry["state"])
    loss = math.nan if entry["loss"] is None else float(entry["loss"])
    return Trial(
        number=entry["trial"],
        settings={name: entry[name] for name in TUNED},
        state=State.UNFINISHED if state is State.RUNNING else state,
        points=tuple(Point(step=step, score=score, loss=loss) for step, score in entry["scores"]),
        train_s=entry["train_s"],
        error=entry["error"] or "",
    )
