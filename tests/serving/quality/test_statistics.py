"""The statistics equal those of an independent computation (scipy's, and published examples), and are honest of few."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from serving.feedback.keeping import Judgment
from serving.quality.agreement import agreement
from serving.quality.drift import FLOOR, State, chi_squared_p, drift, upper_gamma
from serving.quality.intervals import mean_stars, share

CASES = 200


def test_the_interval_of_a_share_is_wilsons() -> None:
    random = np.random.default_rng(1)
    cases = [(0, 1), (1, 1), (0, 7), (7, 7)]
    cases += [(int(random.integers(0, n + 1)), int(n)) for n in random.integers(1, 3000, CASES)]
    for right, count in cases:
        found = share(right, count)
        wanted = stats.binomtest(right, count).proportion_ci(method="wilson")
        assert found is not None
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
        assert found.value == right / count
    assert share(0, 0) is None
    with pytest.raises(ValueError, match="3 of 2"):
        share(3, 2)


def test_the_interval_of_stars_is_that_of_a_bootstrap() -> None:
    random = np.random.default_rng(2)
    stars = np.arange(1, 6)
    for count in random.integers(1, 300, CASES):
        counts = random.multinomial(count, random.dirichlet([1] * 5))
        found = mean_stars(tuple(counts.tolist()))
        drawn = random.multinomial(count, (counts + 0.2) / (count + 1), 20_000) @ stars / count
        low, high = np.quantile(drawn, [0.025, 0.975])
        value = float(counts @ stars) / count
        assert found is not None
        assert found.value == pytest.approx(value)
        # Steps of one star more or less, and the error of 20,000 resamples.
        near = 1.01 / count + 0.04 * float(high - low)
        assert found.low == pytest.approx(min(low, value), abs=near)
        assert found.high == pytest.approx(max(high, value), abs=near)


def test_of_many_ratings_the_bootstrap_is_scipys_without_its_smoothing() -> None:
    random = np.random.default_rng(3)
    for _ in range(5):
        counts = random.multinomial(800, random.dirichlet([2] * 5))
        found = mean_stars(tuple(counts.tolist()))
        ratings = np.repeat(np.arange(1, 6), counts)
        wanted = stats.bootstrap((ratings,), np.mean, method="percentile", rng=4, n_resamples=4999).confidence_interval
        assert found is not None
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.015)


def test_the_normal_way_of_very_many_joins_the_exact_one() -> None:
    exact, normal = mean_stars((500, 700, 900, 1200, 1700)), mean_stars((500, 700, 900, 1200, 1701))
    assert exact is not None
    assert normal is not None
    assert (exact.low, exact.high) == pytest.approx((normal.low, normal.high), abs=0.001)


@pytest.mark.parametrize("count", [5, 20, 60])
def test_the_interval_of_stars_holds_the_truth_as_often_as_it_says(count: int) -> None:
    random = np.random.default_rng(count)
    hits = total = 0
    for truth in ([0.05, 0.05, 0.1, 0.3, 0.5], [0.2] * 5, [0.02, 0.02, 0.02, 0.04, 0.9]):
        mean = float(np.dot(truth, np.arange(1, 6)))
        for counts in random.multinomial(count, truth, 400):
            found = mean_stars(tuple(counts.tolist()))
            assert found is not None
            hits += found.low <= mean <= found.high
            total += 1
    assert hits / total > 0.92


def test_one_rating_or_all_alike_do_not_seem_sure() -> None:
    one, alike, none = mean_stars((0, 0, 0, 0, 1)), mean_stars((0, 0, 0, 0, 10)), mean_stars((0, 0, 0, 0, 0))
    assert none is None
    assert one is not None
    assert alike is not None
    assert (one.low, one.value, one.high) == (1, 5, 5)
    assert 4 < alike.low < 5 == alike.high
    first = share(1, 1)
    assert first is not None
    assert first.low < 0.25


def test_the_gamma_function_is_scipys() -> None:
    random = np.random.default_rng(5)
    cases = [(a, x) for a, x in zip(random.uniform(0.5, 300, CASES), random.uniform(0, 600, CASES), strict=True)]
    for a, x in [*cases, (0.5, 0.0), (0.5, 1e-9), (4.5, 5.5), (128.0, 128.0), (0.5, 700.0), (300.0, 1.0)]:
        assert upper_gamma(a, x) == pytest.approx(special.gammaincc(a, x), rel=1e-9, abs=1e-14)
    assert chi_squared_p(3.84, 1) == pytest.approx(stats.chi2.sf(3.84, 1))
    assert chi_squared_p(3.84, 0) == 1
    with pytest.raises(ValueError, match="above 0"):
        upper_gamma(0, 1)


def test_drift_is_the_textbooks() -> None:
    random, by_chance = np.random.default_rng(6), 0
    for _ in range(CASES):
        size = int(random.integers(2, 40))
        expected = random.dirichlet([1] * size)
        truth = 0.98 * expected + 0.02 * random.dirichlet([1] * size)  # else chance would never explain it
        counts = random.multinomial(int(random.integers(1, 5000)), truth)
        names = [f"b{index}" for index in range(size)]
        found = drift(dict(zip(names, expected, strict=True)), dict(zip(names, counts.tolist(), strict=True)))
        e, s = np.clip(expected, FLOOR, None), np.clip(counts / counts.sum(), FLOOR, None)
        test = stats.chisquare(counts, e / e.sum() * counts.sum())
        assert found is not None
        assert found.psi == pytest.approx(float(((s - e) * np.log(s / e)).sum()))
        assert found.p == pytest.approx(test.pvalue, rel=1e-8, abs=1e-14)
        by_chance += 0.01 < found.p < 0.99
    assert by_chance > CASES / 4


def test_drift_tells_chance_from_change() -> None:
    expected = {"a": 0.5, "b": 0.3, "c": 0.2}
    assert drift(expected, {}) is None
    for counts, state in (
        ({"a": 2, "c": 1}, State.STABLE),  # far off, and of three articles
        ({"a": 500, "b": 300, "c": 200}, State.STABLE),
        ({"a": 300, "b": 370, "c": 330}, State.MOVING),
        ({"a": 100, "b": 300, "c": 600}, State.MOVED),
        ({"a": 250, "b": 150, "c": 100, "new": 500}, State.MOVED),  # a label that was never seen
        ({"a": 1000}, State.MOVED),
    ):
        found = drift(expected, counts)
        assert found is not None
        assert found.state == state, counts
    many, alone = (
        drift(expected, {"a": 60, "b": 24, "c": 15}, design_effect=3),
        drift(expected, {"a": 20, "b": 8, "c": 5}),
    )
    assert many is not None
    assert alone is not None
    assert many.p == pytest.approx(alone.p), "three words of one article say as much as one"
    with pytest.raises(ValueError, match="no share is expected"):
        drift({}, {"a": 1})


# The data of K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers, twelve
# units, values 1 to 5; a dot is missing.
PUBLISHED = {"A": "123321412...", "B": "1233224125.3", "C": ".3332342251.", "D": "12332441251."}


def judged(rows: dict[str, str], values: dict[str, str] | None = None) -> list[Judgment]:
    """Judgments of raters, whose values stand in strings of a character for each answer."""
    return [
        Judgment(
            task="t", model="m", revision="r", prediction=str(unit), rater=rater, value=(values or {}).get(one, one)
        )
        for rater, row in rows.items()
        for unit, one in enumerate(row)
        if one != "."
    ]


def test_agreement_is_the_published_one() -> None:
    nominal, ordinal = agreement(judged(PUBLISHED), ordered=False), agreement(judged(PUBLISHED), ordered=True)
    assert nominal is not None
    assert ordinal is not None
    assert nominal.alpha == pytest.approx(0.743, abs=0.0005)
    assert ordinal.alpha == pytest.approx(0.815, abs=0.0005)
    assert (nominal.answers, nominal.raters) == (11, 4), "the twelfth unit has one value only"


def by_hand(rows: dict[str, str]) -> float:
    """Nominal alpha by going through all pairs."""
    units = [[one for one in column if one != "."] for column in zip(*rows.values(), strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    every = [one for unit in units for one in unit]
    seen = sum(
        (a != b) / (len(unit) - 1) for unit in units for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j
    )
    chance = sum(a != b for i, a in enumerate(every) for j, b in enumerate(every) if i != j)
    return 1 - (seen / len(every)) / (chance / (len(every) * (len(every) - 1)))


def test_agreement_is_that_of_all_pairs() -> None:
    random = np.random.default_rng(7)
    for _ in range(CASES):
        shape = int(random.integers(2, 5)), int(random.integers(2, 12))
        letters = random.choice(list("PSB."), shape)
        rows = {f"r{index}": "".join(row) for index, row in enumerate(letters)}
        found = agreement(judged(rows), ordered=False)
        if found is None or found.alpha is None:
            continue
        assert found.alpha == pytest.approx(by_hand(rows))


def test_who_says_only_that_a_label_is_wrong_agrees_with_every_other_label() -> None:
    labels = {"P": "Politics", "S": "Sports", "-": "not Politics"}
    agreeing = agreement(judged({"a": "SPS", "b": "-P-"}, labels), ordered=False)
    differing = agreement(judged({"a": "PPS", "b": "-PS"}, labels), ordered=False)
    assert agreeing is not None
    assert differing is not None
    assert (agreeing.same, agreeing.alpha) == (1, 1)
    assert differing.same == pytest.approx(2 / 3)


def test_without_a_difference_nothing_is_said_of_chance() -> None:
    assert agreement([], ordered=True) is None
    assert agreement(judged({"a": "5", "b": "."}), ordered=True) is None
    alike = agreement(judged({"a": "555", "b": "555"}), ordered=True)
    assert alike is not None
    assert (alike.same, alike.alpha) == (1, None)
