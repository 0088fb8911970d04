"""The keeper: nothing that was acknowledged is lost, nothing counts twice, and nobody waits long for the database."""

from __future__ import annotations

import asyncio
import dataclasses
from io import BytesIO
from pathlib import Path

import pytest

from serving.errors import FeedbackAwayError, FeedbackError
from serving.feedback.keeper import Keeper, off
from serving.feedback.keeping import Outcome
from serving.feedback.opening import open_feedback
from serving.feedback.options import FeedbackOptions
from serving.feedback.records import Prediction, Tally, make_id
from serving.feedback.rule import check_feedback
from serving.feedback.writing.committer import MAX_ENTRIES as AT_ONCE
from serving.feedback.writing.queue import MAX_ENTRIES
from serving.gateway.logs import open_log
from serving.gateway.metrics import GatewayMetrics
from tests.serving.feedback.keeper.memory import (
    AWAY,
    PATIENCE_S,
    QUICK,
    SPOOL_BYTES,
    Memory,
    keeping,
    prediction,
    segments,
    submission,
    until,
)

HASTY = dataclasses.replace(QUICK, caller_s=0.05, commit_s=0.01)


@pytest.fixture
def store() -> Memory:
    return Memory()


async def test_what_is_noted_is_found_rated_and_erased(store: Memory, tmp_path: Path) -> None:
    async with keeping(store, tmp_path) as keeper:
        made = prediction()
        keeper.note(made, "A text.", "A title")
        assert await keeper.find(made.id) == made
        said = submission(made.id)
        receipt = await keeper.submit(said)
        assert (receipt.where, receipt.written and receipt.written.outcome) == ("database", Outcome.KEPT)
        again = (await keeper.submit(dataclasses.replace(said, id=make_id()))).written
        assert again is not None
        assert (again.outcome, again.id) == (Outcome.REPEATED, said.id)
        assert await keeper.find(made.id) == made
        assert await keeper.said(made.id) == [said]
        assert await keeper.ask(lambda one: one.prediction(made.id)) == made
        await keeper.erase(made.id)
        assert await keeper.find(made.id) is None
        await until(lambda: keeper.salt == "grains" and not keeper.standing().queued)
        assert (keeper.standing().kept, keeper.standing().repeated) == (3, 1)
    assert await asyncio.to_thread(store.closed.wait, PATIENCE_S)


async def test_texts_are_counted_up_and_kept_only_where_texts_are(store: Memory, tmp_path: Path) -> None:
    def tally(one: Prediction, text: str, title: str | None) -> tuple[Tally, ...]:
        if title is None:
            raise ValueError(text)
        return (Tally(task="category", model="roberta", revision="abc", what="words", bucket=f"{text} {title}"),)

    log = BytesIO()
    for texts in (False, True):
        async with keeping(store, tmp_path, log, texts=texts, tally=tally) as keeper:
            made = prediction()
            await keeper.keep(made, "marker-text", "marker-title")
            found = store.predictions[made.id]
            assert (found.text, found.title) == (("marker-text", "marker-title") if texts else (None, None))
            keeper.note(prediction(text="marker-text", title="marker-title"), "marker-text")
    assert store.tallied == {"marker-text marker-title": 2}
    assert len(store.predictions) == 4, "a tally that fails costs nothing else"
    assert log.getvalue().count(b"feedback not tallied") == 2
    assert b"marker" not in log.getvalue()


async def test_many_share_a_commit_in_their_order(store: Memory, tmp_path: Path) -> None:
    store.go_on.clear()
    async with keeping(store, tmp_path) as keeper:
        first = asyncio.create_task(keeper.submit(submission("x" * 22)))
        await asyncio.to_thread(store.begun.wait, PATIENCE_S)
        await until(lambda: keeper.standing().queued == 1)
        said = [submission("x" * 22) for _ in range(AT_ONCE + 3)]
        rest = [asyncio.create_task(keeper.submit(one)) for one in said]
        await until(lambda: keeper.standing().queued == len(said) + 1)
        store.go_on.set()
        await asyncio.gather(first, *rest)
    assert store.batches == [1, AT_ONCE, 3]
    assert list(store.said)[1:] == [one.token for one in said]


async def test_a_caller_waits_no_longer_than_he_has_time(store: Memory, tmp_path: Path) -> None:
    store.go_on.clear()
    async with keeping(store, patience=HASTY) as keeper:
        with pytest.raises(FeedbackAwayError, match="no time was left"):
            await keeper.submit(submission("x" * 22), within_s=0)
        for call in (keeper.submit(submission("x" * 22)), keeper.find("x" * 22)):
            with pytest.raises(FeedbackAwayError):
                await call
        store.go_on.set()


async def test_a_prediction_that_is_not_acknowledged_is_not_kept(store: Memory, tmp_path: Path) -> None:
    """A blind audit: where it cannot be kept the answer is shown, and then its labels must not be asked for."""
    async with keeping(store, tmp_path) as keeper:
        await until(lambda: keeper.salt)
        store.go_on.clear()
        first, second = prediction(audit=True), prediction(audit=True)
        asked = asyncio.create_task(keeper.keep(first))
        assert await asyncio.to_thread(store.begun.wait, PATIENCE_S)
        with pytest.raises(FeedbackAwayError):
            await keeper.keep(second, within_s=0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await keeper.find(first.id) is None
        store.go_on.set()
        await keeper.submit(submission("x" * 22))
        assert store.predictions == {}
        await until(lambda: not keeper.standing().queued)
        assert keeper.standing().kept == 3, "the first, which was under way, its erasure, and the rating"


async def test_a_full_queue_drops_predictions_and_counts_them(store: Memory, tmp_path: Path) -> None:
    async with keeping(store, tmp_path) as keeper:
        await until(lambda: keeper.salt)
        store.go_on.clear()
        keeper.note(prediction())
        await until(lambda: keeper.standing().queued == 1)
        await asyncio.to_thread(store.begun.wait, PATIENCE_S)
        one = prediction()
        for _ in range(2 * MAX_ENTRIES):
            keeper.note(one)
        dropped = keeper.standing().dropped
        assert MAX_ENTRIES - AT_ONCE <= dropped <= MAX_ENTRIES
        said = asyncio.create_task(keeper.submit(submission(one.id)))
        store.go_on.set()
        assert (await said).where == "database", "what people say has room still"


async def test_the_metrics_tell_how_it_is(store: Memory, tmp_path: Path) -> None:
    metrics = GatewayMetrics(open_log(BytesIO()))
    metrics.watch_feedback(off("for a reason"))
    async with keeping(store, tmp_path) as keeper:
        metrics.watch_feedback(keeper)
        await keeper.keep(made := prediction())
        await keeper.keep(made)
        store.failure = AWAY
        await keeper.keep(prediction())

        def value(name: str) -> float | None:
            return metrics.registry.get_sample_value(f"infolens_feedback_{name}")

        assert (value("kept_total"), value("repeated_total"), value("dropped_total")) == (1, 1, 0)
        assert (value("away"), value("spooled_entries"), value("spool_limit_bytes")) == (1, 1, SPOOL_BYTES)
        assert value("spooled_bytes") == sum(segments(tmp_path))
        assert (value("refused_total"), value("torn_total")) == (0, 0)


async def test_what_is_too_old_is_forgotten_now_and_then(store: Memory, tmp_path: Path) -> None:
    async with keeping(store, tmp_path, patience=dataclasses.replace(QUICK, forget_every_s=0.01)):
        await until(lambda: len(store.forgotten) > 2)
    assert set(store.forgotten) == {9}


async def test_a_keeper_that_is_off_says_why() -> None:
    keeper = off("it was started with --no-feedback")
    async with keeper.running():
        assert (keeper.keeps, keeper.why_not, keeper.salt) == (False, "it was started with --no-feedback", "")
        keeper.note(prediction())
        assert await keeper.find("x" * 22) is None
        assert await keeper.said("x" * 22) == ()
        for call in (keeper.submit(submission("x" * 22)), keeper.erase("x" * 22), keeper.keep(prediction())):
            with pytest.raises(FeedbackError, match="--no-feedback"):
                await call
        with pytest.raises(FeedbackError, match="--no-feedback"):
            await keeper.ask(lambda store: store.salt)
        assert keeper.standing().queued == 0


async def test_a_door_keeps_what_its_options_say(tmp_path: Path) -> None:
    options = check_feedback(FeedbackOptions(days=7, texts=True, batch=20, trust=0.5), tmp_path)
    made = prediction()
    async with open_feedback(options, open_log(BytesIO())) as keeper:
        assert (keeper.keeps, keeper.days, keeper.texts, keeper.batch, keeper.trust) == (True, 7, True, 20, 0.5)
        await keeper.keep(made, "A text.", "A title")
        await keeper.submit(submission(made.id))
        await until(lambda: keeper.salt)
    async with open_feedback(options, open_log(BytesIO())) as keeper:
        found = await keeper.find(made.id)
        assert found is not None
        assert (found.text, found.title) == ("A text.", "A title")
        assert len(await keeper.said(made.id)) == 1
    for other in (FeedbackOptions(keeps=False, why_not="for a reason"), FeedbackOptions()):
        async with open_feedback(other, None) as keeper:
            assert isinstance(keeper, Keeper)
            assert not keeper.keeps
