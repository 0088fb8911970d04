"""The simulated server against theory, and its rules."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.capacity.queueing import Card, Place, Requests, Server, Station, highest, simulate

COUNT = 60_000


def requests(arrivals_s, *, shapes=None, **cpu_s) -> Requests:
    arrivals_s = np.asarray(arrivals_s, float)
    return Requests(
        arrivals_s=arrivals_s,
        cpu_s={name: np.broadcast_to(np.asarray(values, float), arrivals_s.shape) for name, values in cpu_s.items()},
        shapes=shapes or {},
    )


def poisson(rate_per_s: float, count: int = COUNT) -> np.ndarray:
    return np.cumsum(np.random.default_rng(1).exponential(1 / rate_per_s, count))


def exponential(mean_s: float, count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(2).exponential(mean_s, count)


def one(cores: int = 1, **station) -> Server:
    return Server(cores=cores, chains=((Station(name="a", **station),),))


# -- theory -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_instance_is_the_m_m_1_queue(load):
    found = simulate(one(instances=1), requests(poisson(load), a=exponential(1.0)))

    assert found.latency_ms.mean() / 1e3 == pytest.approx(1 / (1 - load), rel=0.04)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_instance_with_equal_work_is_the_m_d_1_queue(load):
    found = simulate(one(instances=1), requests(poisson(load), a=1.0))

    # Pollaczek and Khinchine: work is waited for half as long as at random lengths.
    assert found.latency_ms.mean() / 1e3 == pytest.approx(1 + load / (2 * (1 - load)), rel=0.04)


def test_many_instances_share_a_core_as_m_g_1_ps_whatever_the_lengths_are():
    arrivals = poisson(0.7)
    for work in (exponential(1.0), np.ones(COUNT)):
        found = simulate(one(), requests(arrivals, a=work))

        assert found.latency_ms.mean() / 1e3 == pytest.approx(1 / (1 - 0.7), rel=0.05)


def test_more_instances_than_work_on_two_cores_is_m_m_2():
    load = 0.7  # Of each core.
    found = simulate(one(cores=2, instances=2), requests(poisson(2 * load), a=exponential(1.0)))

    assert found.latency_ms.mean() / 1e3 == pytest.approx(1 / (1 - load**2), rel=0.04)  # Erlang's C for two


def test_two_executions_on_one_core_take_twice_as_long():
    found = simulate(one(), requests([0.0, 0.0, 10.0], a=[1.0, 2.0, 1.0]))

    assert found.latency_ms == pytest.approx([2000, 3000, 1000])


def test_work_is_conserved_and_cores_are_busy_as_much_as_is_asked():
    server = replace(chained(cores=3), max_running=7)
    arrivals, work = poisson(0.5, 3000), exponential(1.0, 3000)
    found = simulate(server, requests(arrivals, front=0.1, fan=0.2, a=work, b=0.5, c=0.3))

    assert found.busy_s == pytest.approx(work.sum() + 3000 * 1.1, rel=1e-6)
    assert found.refused == 0
    assert found.busy_s / found.seconds / 3 == pytest.approx(0.5 * 2.1 / 3, rel=0.05)


def chained(cores: int) -> Server:
    return Server(
        cores=cores,
        entry=(Station(name="front"),),
        inner=(Station(name="fan", instances=1),),
        chains=((Station(name="a", instances=2), Station(name="b", instances=1)), (Station(name="c", instances=1),)),
    )


# -- the rules of the server ------------------------------------------------------------------------------------


def test_a_request_is_answered_when_its_last_chain_is_done():
    found = simulate(chained(cores=4), requests([5.0], front=0.1, fan=0.2, a=1.0, b=0.5, c=0.3))

    assert found.latency_ms == pytest.approx([1e3 * (0.1 + 0.2 + 1.0 + 0.5)])


def test_a_batch_takes_what_waits_in_order_up_to_its_size():
    server = one(instances=1, max_batch=3, batch_share=0.5)
    found = simulate(server, requests([0.0, 0.1, 0.1, 0.1, 0.1], a=[1.0, 1.0, 2.0, 1.0, 1.0]))

    # The first alone; then three of 1, 2 and 1 s: 2 + (1 + 1) / 2 s; then the last one.
    assert found.latency_ms == pytest.approx([1000, 3900, 3900, 3900, 4900])
    assert found.batches["a"] == pytest.approx(5 / 3)


def test_only_equal_shapes_share_a_batch():
    shapes = {"a": np.array([0, 0, 1, 0])}
    found = simulate(
        one(instances=1, max_batch=4, batch_share=0.0), requests([0.0, 0.1, 0.1, 0.1], a=1.0, shapes=shapes)
    )

    assert found.latency_ms == pytest.approx([1000, 1900, 2900, 3900])


def test_the_window_lets_the_next_one_in_when_one_is_answered():
    server = replace(one(cores=4), max_running=2)
    found = simulate(server, requests([0.0, 0.0, 0.1, 0.2, 0.3], a=1.0))

    # First come, first served.
    assert found.latency_ms == pytest.approx([1000, 1000, 1900, 1800, 2700])


def test_a_request_that_would_wait_too_long_is_refused_and_counts_as_late():
    server = replace(one(), max_running=1, max_wait_ms=1500)
    # An answer a second once the first one is there: one may wait, the next would wait for two seconds.
    found = simulate(server, requests([0.0, 2.0, 2.1, 2.2, 2.3], a=1.0))

    assert np.isinf(found.latency_ms).tolist() == [False, False, False, True, True]
    assert found.refused == 2
    assert found.percentile_ms(99) == float("inf")
    assert found.percentile_ms(50) == pytest.approx(1900)


def test_more_cores_are_never_worse():
    made = requests(poisson(1.0, 3000), front=0.1, fan=0.2, a=exponential(0.6, 3000), b=0.1, c=0.3)
    means = [simulate(chained(cores), made).latency_ms.mean() for cores in (1, 2, 4, 8)]

    assert means == sorted(means, reverse=True)
    assert means[0] > 1.5 * means[-1]


def test_the_same_requests_give_the_same_result():
    made = requests(poisson(1.0, 500), front=0.1, fan=0.2, a=exponential(0.6, 500), b=0.1, c=0.3)

    assert (simulate(chained(2), made).latency_ms == simulate(chained(2), made).latency_ms).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Station(name="a", instances=0), "instances of a is a whole number from 1, not 0"),
        (lambda: Station(name="a", batch_share=-1), "batch_share of a is a number from 0"),
        (lambda: Server(cores=0, chains=((Station(name="a"),),)), "cores and max_running are from 1 on, not 0"),
        (lambda: Server(cores=1, chains=((),)), "at least one chain of at least one station"),
    ],
)
def test_a_server_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -- the search -------------------------------------------------------------------------------------------------


def test_the_search_finds_the_edge():
    assert highest(lambda rate: rate <= 37.2, low=1, high=100) == pytest.approx(37.2, abs=1)
    assert highest(lambda rate: rate <= 37.2, low=1, high=100, resolution=1e-4) == pytest.approx(37.2, abs=0.01)


def test_the_search_says_when_nothing_or_everything_holds():
    assert highest(lambda _: False, low=1, high=100) == 0
    assert highest(lambda _: True, low=1, high=100) == 100
    with pytest.raises(ValueError, match="from a number above 0 to a higher one, not from 5 to 5"):
        highest(lambda _: True, low=5, high=5)


# -- a GPU ------------------------------------------------------------------------------------------------------


def on_card(*slowdown, programs: int = 0, **station) -> Server:
    """An engine, and classifiers beside it, each request asking all of them."""
    kinds = [Station(name="a", instances=len(slowdown), place=Place.ENGINE)]
    kinds += [Station(name=f"p{one}", instances=1, place=Place.PROGRAMS, **station) for one in range(programs)]
    return Server(cores=1, chains=tuple((kind,) for kind in kinds), card=Card(slowdown=slowdown))


def test_articles_of_an_engine_share_steps_at_the_rate_of_so_many():
    found = simulate(on_card(1.0, 1.5), requests([0.0, 0.0, 0.0], a=1.0))

    # Two at 1.5 times the step, then the third alone, which had no slot until then.
    assert found.latency_ms == pytest.approx([1500, 1500, 2500])
    assert found.card_busy_s == pytest.approx(2.5)
    assert found.busy_s == 0


def test_a_step_that_costs_no_more_with_two_articles_answers_twice_as_many():
    crowd = requests(np.zeros(200), a=1.0)

    alone, shared = (simulate(on_card(*slowdown), crowd).seconds for slowdown in ((1.0,), (1.0, 1.0)))
    assert (alone, shared) == pytest.approx((200, 100))
    # And none at all where it costs twice as much: as two executions that share a core.
    assert simulate(on_card(1.0, 2.0), crowd).seconds == pytest.approx(200)


def test_an_engine_with_one_law_is_the_m_g_1_ps_queue():
    """Steps in proportion to their articles are processor sharing, whatever the lengths are."""
    load = 0.6
    found = simulate(on_card(*range(1, 400)), requests(poisson(load), a=exponential(1.0)))

    assert found.latency_ms.mean() / 1e3 == pytest.approx(1 / (1 - load), rel=0.05)


def test_programs_have_the_card_in_turns_with_the_engine():
    found = simulate(on_card(1.0, programs=1), requests([0.0], a=2.0, p0=1.0))

    assert found.latency_ms == pytest.approx([3000])  # 2 s for the program at half the rate, then 1 s for the rest
    assert found.card_busy_s == pytest.approx(3.0)
    assert simulate(on_card(1.0, programs=2), requests([0.0], a=1.0, p0=1.0, p1=1.0)).latency_ms == pytest.approx(
        [3000]
    )


def test_cores_and_card_do_not_slow_each_other():
    both = replace(on_card(1.0), chains=((Station(name="a", place=Place.ENGINE, instances=1),), (Station(name="b"),)))
    found = simulate(both, requests([0.0], a=1.0, b=1.0))

    assert found.latency_ms == pytest.approx([1000])
    assert (found.busy_s, found.card_busy_s) == pytest.approx((1.0, 1.0))


def test_a_station_on_a_card_needs_one_and_a_card_says_how_steps_grow():
    with pytest.raises(ValueError, match="a computes on a GPU, and the server has none"):
        Server(cores=1, chains=((Station(name="a", place=Place.ENGINE),),))
    for slowdown in ((), (1.0, 0.5)):
        with pytest.raises(ValueError, match="a number from 1 for each article"):
            Card(slowdown=slowdown)
