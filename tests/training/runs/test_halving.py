"""ASHA in a search that goes on: its decisions are those of a search that was never stopped."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from training.runs.search.board import TUNED, Board, Point, State, Trial
from training.runs.search.halving import Halving

SETTINGS = dict.fromkeys(TUNED, 0)


def _ended(
    tmp_path: Path, scores: dict[int, list[float]], *, stop_after: int = 0, higher_is_better: bool = True
) -> dict[int, int]:
    """After how many measurements each trial ended that makes these, with a new process after one of them."""
    from ray import cloudpickle
    from ray.tune.schedulers import TrialScheduler

    def scheduler() -> Halving:
        board = Board.read(tmp_path, score="macro_f1", higher_is_better=higher_is_better, total=len(scores))
        made = Halving(board, measurements=4, grace=1, reduction=2)
        assert made.set_search_properties("score", "max" if higher_is_better else "min")
        return made

    halving, ended = scheduler(), {}
    written = cloudpickle.dumps(halving)
    for number, reached in scores.items():
        trial = SimpleNamespace(trial_id=f"search_{number - 1:05d}")
        halving.on_trial_add(None, trial)
        known = Trial(number=number, settings=SETTINGS)
        for measurement, score in enumerate(reached, start=1):
            known = known.measured(Point(step=measurement * 10, score=score, loss=0.0))
            halving.board.put(known)
            result = {"measurement": measurement, "score": score}
            if halving.on_trial_result(None, trial, result) == TrialScheduler.STOP or measurement == len(reached):
                break
        ended[number] = measurement
        halving.on_trial_complete(None, trial, result)
        halving.board.put(dataclasses.replace(known, state=State.FINISHED))
        if number == stop_after:
            fresh = scheduler()
            halving = cloudpickle.loads(written)
            assert halving is fresh  # what Ray Tune has written down knows nothing
            for earlier in range(1, number + 1):
                halving.on_trial_add(None, SimpleNamespace(trial_id=f"search_{earlier - 1:05d}"))
    return ended


@pytest.mark.parametrize("higher_is_better", [True, False])
@pytest.mark.parametrize("stop_after", [1, 2])
def test_poor_trials_stop_early_in_a_search_that_goes_on_too(
    tmp_path: Path, stop_after: int, higher_is_better: bool
) -> None:
    sign = 1 if higher_is_better else -1
    scores = {
        number: [sign * score for score in reached]
        for number, reached in {
            1: [0.6, 0.7, 0.8, 0.9], 2: [0.1, 0.2, 0.3, 0.4], 3: [0.65, 0.66, 0.67, 0.68], 4: [0.63, 0.9, 0.9, 0.9],
        }.items()
    }  # fmt: skip
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = _ended(tmp_path / "whole", scores, higher_is_better=higher_is_better)
    assert whole == {1: 4, 2: 1, 3: 2, 4: 4}
    stopped = _ended(tmp_path / "stopped", scores, stop_after=stop_after, higher_is_better=higher_is_better)
    assert stopped == whole


def test_a_trial_that_failed_is_judged_again(tmp_path: Path) -> None:
    board = Board(folder=tmp_path, score="macro_f1", higher_is_better=True, total=2)
    for number, score, state in ((1, 0.9, State.FINISHED), (2, 0.1, State.FAILED)):
        board.put(Trial(number=number, settings=SETTINGS, state=state).measured(Point(step=10, score=score, loss=0.0)))
    halving = Halving(board, measurements=4, grace=1, reduction=2)
    assert halving.set_search_properties("score", "max")
    for place in (0, 1):
        halving.on_trial_add(None, SimpleNamespace(trial_id=f"search_{place:05d}"))
    result = {"measurement": 1, "score": 0.2}
    assert halving.on_trial_result(None, SimpleNamespace(trial_id="search_00001"), result) == "STOP"
