"""ASHA (Li et al., 2020) for a search that may be stopped and go on."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from ray.tune.schedulers import ASHAScheduler

from .board import Board, State
from .trial import number_of

MEASUREMENT: Final = "measurement"
SCORE: Final = "score"
"""What a trial reports: which of its measurements this is, from 1 on, and what it came to."""


class Halving(ASHAScheduler):
    """Stops the trials that are behind others, those of an earlier process among them.

    Ray Tune writes its scheduler down as it was when the search began, so that one that goes on would have nothing to
    compare a trial with. Of this one it keeps the name alone: a search that goes on has the scheduler of the process
    that it goes on in, which learns from the board what each trial has reached.
    """

    current: ClassVar[Halving]

    def __init__(self, board: Board, *, measurements: int, grace: int, reduction: int) -> None:
        super().__init__(
            time_attr=MEASUREMENT,
            max_t=measurements,
            grace_period=grace,
            reduction_factor=reduction,
        )
        self.board = board
        Halving.current = self

    def __reduce__(self) -> Any:
        return _current, ()

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a trial in, with all that it has reached; one that failed begins again, and is judged again."""
        super().on_trial_add(tune_controller, trial)
        known = self.board.trials.get(number_of(trial.trial_id))
        if known is None or known.state is State.FAILED:
            return
        for measurement, point in enumerate(known.points, start=1):
            self.on_trial_result(tune_controller, trial, {MEASUREMENT: measurement, SCORE: point.score})


def _current() -> Halving:
    return Halving.current
