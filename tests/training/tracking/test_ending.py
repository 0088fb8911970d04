"""What MLflow says of runs that end before they are through."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from training.errors import RunError, StoppedError
from training.tracking.client import REASON, Tracking, open_client, open_run
from training.tracking.ending import honest_end
from training.tracking.figures import Curves

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "KILLED", None),
        (StoppedError("go on so"), "KILLED", None),
        (RunError("the disk is full\nin two lines"), "FAILED", "the disk is full"),
        (ValueError(), "FAILED", "ValueError"),
    ],
)
def test_a_run_ends_as_its_block_does_and_goes_on_without_the_reason(
    tracking: Tracking, error: BaseException, status: str, reason: str | None
) -> None:
    client = open_client(tracking)
    run_id = open_run(client, tracking, "run", tags={})
    with pytest.raises(type(error)), honest_end(client, run_id):
        raise error
    ended = client.get_run(run_id)
    assert (ended.info.status, ended.data.tags.get(REASON)) == (status, reason)
    assert open_run(client, tracking, "run", tags={}, run_id=run_id) == run_id
    again = client.get_run(run_id)
    assert (again.info.status, again.data.tags.get(REASON)) == ("RUNNING", None)


def test_a_run_that_is_interrupted_while_it_writes_figures_is_killed_all_the_same(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client(tracking)
    run_id = open_run(client, tracking, "run", tags={})
    Curves(client, run_id).send([{"loss": 1.0, "step": 1}])
    execute = DefaultDialect.do_execute
    wrote: list[str] = []

    def interrupted(self: Any, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        execute(self, cursor, statement, parameters, context)  # type: ignore[no-untyped-call]
        wrote.extend([statement] if statement.startswith("INSERT INTO metrics") else [])
        if wrote and statement.startswith("SELECT"):  # in the middle of the transaction, with rows still to come
            wrote.clear()
            raise KeyboardInterrupt

    monkeypatch.setattr(DefaultDialect, "do_execute", interrupted)
    with pytest.raises(KeyboardInterrupt), honest_end(client, run_id):
        Curves(client, run_id).send([{"loss": 0.5, "step": 2}])
    assert client.get_run(run_id).info.status == "KILLED"
