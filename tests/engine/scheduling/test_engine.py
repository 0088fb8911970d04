"""The engine step by step: what joins when, who gets which slot, and what no engine can be made of."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import numpy as np
import pytest

from engine.scheduling.engine import Engine
from engine.scheduling.tickets import trimmed
from engine.settings import Bucket

from .fake import RULES, Answers, Fake, article, buckets, plan, random_article, summary_of
from .gate import LONG, SHORT, Gate, engine_of


def test_the_long_one_is_long() -> None:
    assert (len(summary_of(LONG)), len(summary_of(SHORT))) == (21, 2)


def test_so_many_join_between_two_steps_and_no_more() -> None:
    gate, answers, log = Gate(), Answers(), list[tuple[str, int]]()
    engine = engine_of(gate, 1, log=log, slots=8, joins_per_step=2)
    engine.submit(LONG, answers.taker(0))
    gate.wait(1)
    for number in range(1, 6):
        engine.submit(LONG, answers.taker(number))
    gate.open()
    answers.wait(6)
    engine.close()
    joins = [0]
    for method, _ in log:
        if method == "step":
            joins.append(0)
        joins[-1] += method == "join"
    assert joins[:5] == [1, 2, 2, 1, 0]


def test_articles_that_come_while_others_run_are_gathered_for_some_steps() -> None:
    gate, answers, log = Gate(), Answers(), list[tuple[str, int]]()
    engine = engine_of(gate, 1, log=log, slots=8, joins_per_step=3, gather_rounds=8)
    engine.submit(LONG, answers.taker(0))
    gate.wait(2)
    for number in (1, 2):
        engine.submit(LONG, answers.taker(number))
    gate.wait(10)  # The eighth round is over, whenever it was asked whether some wait.
    for number in (3, 4, 5):
        engine.submit(LONG, answers.taker(number))
    gate.open()
    answers.wait(6)
    engine.close()
    costs = [cost for method, cost in log if method == "step"]
    assert costs[:11] == [1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 6]


def test_an_article_joins_while_others_run() -> None:
    gate, answers, log = Gate(), Answers(), list[tuple[str, int]]()
    engine = engine_of(gate, 1, log=log)
    engine.submit(LONG, answers.taker(0))
    gate.wait(3)
    engine.submit(article(5, max_length=3), answers.taker(1))
    gate.allow(8)
    assert answers.of(1) == summary_of(article(5, max_length=3))
    assert 0 not in answers.found
    gate.open()
    assert answers.of(0) == summary_of(LONG)
    engine.close()


def test_the_last_slot_moves_into_one_that_is_free() -> None:
    """So that a step costs as many slots as there are articles."""
    gate, answers, log = Gate(), Answers(), list[tuple[str, int]]()
    engine = engine_of(gate, 1, log=log, joins_per_step=3)
    engine.submit(LONG, answers.taker(0))
    gate.wait(1)
    engine.submit(SHORT, answers.taker(1))
    engine.submit(LONG, answers.taker(2))
    gate.open()
    assert [answers.of(number) for number in range(3)] == [summary_of(one) for one in (LONG, SHORT, LONG)]
    engine.close()
    assert [cost for method, cost in log if method == "step"][:4] == [1, 3, 2, 2]
    assert sum(method == "move" for method, _ in log) == 2  # Once more when the first one is done.


def test_none_moves_where_a_step_would_cost_the_same() -> None:
    """With steps of 1, 2, 4 or 8 slots, from six articles to four: the last two move into the empty slots."""
    gate, answers, log = Gate(), Answers(), list[tuple[str, int]]()
    engine = Engine(
        plan(partial(Fake, sizes=(1, 2, 4, 8), trouble=gate, log=log), 1, slots=8, joins_per_step=8), clock=lambda: 0.0
    )
    engine.submit(LONG, answers.taker(0))
    gate.wait(1)
    texts = [SHORT, LONG, article(5, max_length=4), LONG, LONG]
    for number, text in enumerate(texts, 1):
        engine.submit(text, answers.taker(number))
    gate.open()
    assert [answers.of(number) for number in range(6)] == [summary_of(one) for one in (LONG, *texts)]
    engine.close()
    log = log[: log.index(("step", 4)) + 1]
    assert [cost for method, cost in log if method == "step"] == [1, 8, 8, 8, 4]
    assert [articles for method, articles in log if method == "move"] == [4, 4]


def test_buffers_are_made_for_the_first_article_that_needs_them() -> None:
    made: list[int] = []

    def make(bucket: Bucket) -> Fake:
        made.append(bucket.beams)
        return Fake(bucket)

    engine = Engine(plan(make, 1, 2, 4))
    assert engine.statistics().slots == 0
    engine.summarize(article(5, num_beams=3))
    engine.summarize(article(5, num_beams=4))
    assert (made, engine.statistics().slots) == ([4], 3)
    engine.close()


def test_many_articles_at_once_are_spread_over_the_workers() -> None:
    gates = {name: Gate() for name in ("engine-0", "engine-1")}
    logs: list[list[tuple[str, int]]] = []

    def make(bucket: Bucket) -> Fake:
        logs.append([])
        return Fake(bucket, trouble=gates[threading.current_thread().name], log=logs[-1])

    answers = Answers()
    engine = Engine(plan(make, 1, workers=2, slots=4, joins_per_step=4))
    for number in range(6):
        engine.submit(LONG, answers.taker(number))
    for gate in gates.values():
        gate.wait(1)
        gate.open()
    answers.wait(6)
    engine.close()
    assert [sum(method == "join" for method, _ in log) for log in logs] == [3, 3]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": 0}, "workers is 1 or more, not 0"),
        ({"max_waiting": -1}, "max_waiting is 0 or more, not -1"),
        ({"joins_per_step": 0}, "joins_per_step is 1 or more, not 0"),
        ({"gather_rounds": 0}, "gather_rounds is 1 or more, not 0"),
        ({"buckets": buckets(4, 1)}, r"each once and growing, not \[4, 1\]"),
        ({"buckets": ()}, r"each once and growing, not \[\]"),
    ],
)
def test_what_no_engine_can_be_made_of_is_refused(changes: dict[str, Any], words: str) -> None:
    values = {"buckets": buckets(1), "workers": 1, "max_waiting": 1, **changes}
    with pytest.raises(ValueError, match=words):
        type(plan())(rules=RULES, vocabulary=100, make=Fake, **values)


@pytest.mark.parametrize(
    ("tokens", "longest", "wanted"),
    [
        ([2, 9, 2, 1, 1], 5, [2, 9, 2]),
        ([2, 9, 3, 1, 1], 5, [2, 9, 3]),
        ([2, 9, 8, 1, 1], 3, [2, 9, 8]),
        ([2, 1, 8, 2, 1], 4, [2, 1, 8, 2]),
    ],
)
def test_padding_behind_a_summary_is_cut_off(tokens: list[int], longest: int, wanted: list[int]) -> None:
    assert trimmed(np.array(tokens), longest, RULES).tolist() == wanted


def test_summaries_of_many_threads_are_their_own() -> None:
    engine = engine_of(lambda _: None, 1, 2, 4, workers=2)
    random = np.random.default_rng(9)
    articles = [random_article(random) for _ in range(40)]
    found: dict[int, list[int]] = {}

    def ask(first: int) -> None:
        for number in range(first, 40, 4):
            found[number] = engine.summarize(articles[number]).tolist()

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()
    assert found == {number: summary_of(one) for number, one in enumerate(articles)}
