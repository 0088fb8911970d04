"""Which worker takes which article, and which waits."""

from __future__ import annotations

import pytest

from engine.scheduling.errors import BusyError, CancelledError, ClosedError
from engine.scheduling.queue import Queue
from engine.scheduling.tickets import Ticket

from .fake import article


def ticket(bucket: int = 0) -> Ticket:
    return Ticket(article=article(5), answer=lambda _: None, bucket=bucket)


def put(queue: Queue, *buckets: int) -> list[Ticket]:
    tickets = [ticket(bucket) for bucket in buckets]
    for one in tickets:
        queue.put(one)
    return tickets


def taken(queue: Queue, worker: int) -> list[Ticket]:
    found = []
    while (one := queue.take(worker)) is not None:
        found.append(one)
    return found


def test_an_article_goes_to_the_worker_with_the_fewest() -> None:
    queue = Queue([2, 2], workers=3, max_waiting=9)
    first = put(queue, 0, 0, 0, 1, 1)
    assert [taken(queue, worker) for worker in range(3)] == [[first[0], first[3]], [first[1], first[4]], [first[2]]]
    queue.left(0, 0)
    queue.left(0, 1)
    (next_one,) = put(queue, 1)
    assert taken(queue, 0) == [next_one]


def test_the_oldest_comes_first_and_a_full_bucket_holds_up_no_other() -> None:
    queue = Queue([1, 1], workers=1, max_waiting=9)
    running, second, third, other = put(queue, 0, 0, 0, 1)
    assert taken(queue, 0) == [running, other]
    assert queue.waiting == 2
    queue.left(0, 0)
    assert taken(queue, 0) == [second]
    queue.left(0, 1)
    assert taken(queue, 0) == []
    queue.left(0, 0)
    assert taken(queue, 0) == [third]


def test_no_more_wait_than_may() -> None:
    queue = Queue([1, 1], workers=1, max_waiting=2)
    put(queue, 0, 0, 0)
    with pytest.raises(BusyError, match="2 articles wait already, the most that may"):
        queue.put(ticket())
    put(queue, 1)  # It need not wait.
    queue.left(0, 0)
    put(queue, 0)
    with pytest.raises(BusyError):
        queue.put(ticket())


def test_those_that_wait_can_be_withdrawn() -> None:
    queue = Queue([1], workers=1, max_waiting=9)
    running, first, second = put(queue, 0, 0, 0)
    reason = CancelledError("left")
    assert queue.withdraw(lambda one: reason if one is first or one is running else None) == [(first, reason)]
    queue.left(0, 0)
    assert taken(queue, 0) == [running, second]


def test_one_that_gets_a_slot_while_it_is_asked_about_stays() -> None:
    queue = Queue([1], workers=1, max_waiting=9)
    _, first = put(queue, 0, 0)

    def unwanted(_: Ticket) -> Exception:
        queue.left(0, 0)
        return CancelledError("left")

    assert queue.withdraw(unwanted) == []
    assert taken(queue, 0)[1:] == [first]


def test_a_closed_queue_takes_none_and_gives_each_out_once() -> None:
    queue = Queue([1], workers=2, max_waiting=9)
    first, second, third = put(queue, 0, 0, 0)
    queue.close()
    queue.wait(0)
    with pytest.raises(ClosedError, match="the engine is closed"):
        queue.put(ticket())
    queue.left(0, 0)
    assert (queue.drain(0), queue.drain(1)) == ([first, third], [second])
