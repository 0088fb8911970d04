import pytest

from benchmarks.peers.timings import Spread, agreement, largest_difference, ratios


def test_the_median_is_the_middle_whatever_the_order():
    assert Spread.of([9.0, 1.0, 2.0]) == Spread(median=2.0, minimum=1.0, maximum=9.0)
    assert Spread.of([4.0, 1.0, 2.0, 3.0]).median == 2.5
    with pytest.raises(ValueError, match="at least one"):
        Spread.of([])


def test_ratios_are_taken_round_by_round():
    # A minute in which everything took ten times as long changes no ratio.
    assert ratios([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == Spread(median=2.0, minimum=2.0, maximum=2.0)
    assert ratios([1.0, 6.0], [2.0, 2.0]) == Spread(median=1.75, minimum=0.5, maximum=3.0)


def test_ratios_need_pairs():
    with pytest.raises(ValueError, match="3 and 2"):
        ratios([1.0, 1.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="above 0"):
        ratios([1.0], [0.0])


def test_agreement_counts_rows_that_are_the_same():
    assert agreement([[1, 2], [3, 4]], [[1, 2], [4, 3]]) == 0.5
    assert largest_difference([[0.25, 0.75], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]) == 0.25
