"""Effects, equivalence, power and the bootstrap: known values, and what simulations say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from experiments.shared.effects import (
    Effect,
    contrast,
    crossed_bootstrap,
    effect,
    equivalence_power,
    factorial,
    holm,
    pairs_for,
    power,
)

# Scores of four arms from five seeds, those of a 2 x 2 design.
SCORES = {
    "none": dict(enumerate([0.4941, 0.5124, 0.5170, 0.5005, 0.5254])),
    "a": dict(enumerate([0.4997, 0.5028, 0.5009, 0.5087, 0.5059])),
    "b": dict(enumerate([0.5091, 0.5107, 0.5189, 0.5134, 0.5087])),
    "a+b": dict(enumerate([0.5083, 0.4985, 0.5149, 0.5017, 0.5131])),
}


def test_main_effects_and_the_interaction_have_the_p_values_of_the_analysis_of_variance() -> None:
    """Those of AnovaRM of statsmodels 0.15, both factors within the seeds."""
    found = {name: effect(contrast(SCORES, sides)) for name, sides in factorial(["a", "b"]).items()}
    assert list(found) == ["a", "b", "a x b"]
    assert [round(each.p, 4) for each in found.values()] == [0.0947, 0.3958, 0.8606]
    assert found["b"].mean == pytest.approx(0.00299)


def test_a_factorial_of_three_counts_every_arm_once_in_each_effect() -> None:
    found = factorial(["a", "b", "c"])
    assert list(found) == ["a", "b", "c", "a x b", "a x c", "b x c", "a x b x c"]
    for plus, minus in found.values():
        assert len(plus) == len(minus) == 4 and len({*plus, *minus}) == 8
    signs = {name: {arm: 1 if arm in plus else -1 for arm in (*plus, *minus)} for name, (plus, minus) in found.items()}
    assert all(signs["a x b"][arm] == signs["a"][arm] * signs["b"][arm] for arm in signs["a"])  # effect coding
    assert all(signs["a x b x c"][arm] == signs["a x b"][arm] * signs["c"][arm] for arm in signs["a"])


def test_a_contrast_takes_the_seeds_that_all_its_arms_have() -> None:
    scores = {"none": {0: 1.0, 1: 2.0}, "a": {1: 5.0, 2: 7.0}}
    assert contrast(scores, (("a",), ("none",))) == [3.0]
    assert contrast(scores, (("b",), ("none",))) == []


def test_an_effect_is_that_of_students_test() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, 12)
    found, reference = effect(differences.tolist()), stats.ttest_1samp(differences, 0)
    low, high = reference.confidence_interval(0.9)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.half(0.1) == pytest.approx((high - low) / 2) and found.mean == pytest.approx((high + low) / 2)


def test_equivalence_is_that_of_two_one_sided_tests() -> None:
    """Of ttost_paired of statsmodels 0.15: 0.10054 for "b" and a margin of 0.011; and the 90 % interval agrees."""
    found = effect(contrast(SCORES, (("b",), ("none",))))
    assert found.equivalence(0.011) == pytest.approx(0.1005406827854494)
    just = abs(found.mean) + found.half(0.1)
    assert found.equivalence(just) == pytest.approx(0.05)


def test_too_few_pairs_say_nothing() -> None:
    for found in (effect([]), effect([1.5])):
        assert math.isnan(found.half()) and math.isnan(found.p) and math.isnan(found.equivalence(1))
    assert math.isnan(effect([]).mean) and effect([1.5]).mean == 1.5
    assert math.isnan(power(1, 1, 1)) and math.isnan(equivalence_power(math.nan, 5, 1))


def test_differences_without_spread_are_certain() -> None:
    same = effect([2.0, 2.0, 2.0])
    assert (same.half(), same.p, same.equivalence(1), same.equivalence(3)) == (0, 0, 1, 0)
    assert effect([0.0, 0.0]).p == 1


def test_holm_is_that_of_statsmodels() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([0.6, 0.7]) == [1, 1] and holm([]) == []
    waiting, tested = holm([math.nan, 0.02])
    assert math.isnan(waiting) and tested == 0.04


def test_power_is_that_of_other_programs() -> None:
    assert power(1, 12, 0.8) == pytest.approx(0.7136600656, abs=1e-8)  # TTestPower of statsmodels 0.15
    assert power(1, 34, 0.5) == pytest.approx(0.808, abs=5e-4)  # G*Power 3.1: two-sided, dz = 0.5
    assert power(2, 20, 0) == pytest.approx(0.05)


@pytest.mark.parametrize(("pairs", "margin", "truth"), [(5, 1.5, 0.0), (16, 0.8, 0.0), (16, 0.8, 0.4), (4, 0.5, 0.0)])
def test_power_of_equivalence_is_what_simulations_give(pairs: int, margin: float, truth: float) -> None:
    draws = np.random.default_rng(0).normal(truth, 1, (200_000, pairs))
    means, deviations = draws.mean(1), draws.std(1, ddof=1)
    reach = stats.t.ppf(0.95, pairs - 1) * deviations / math.sqrt(pairs)
    passed = (np.abs(means) + reach < margin).mean()
    assert equivalence_power(1, pairs, margin, truth) == pytest.approx(passed, abs=4e-3)


def test_power_at_the_margin_is_the_level() -> None:
    assert equivalence_power(1, 100, 0.5, 0.5) == pytest.approx(0.05, abs=1e-6)


def test_more_power_wants_more_pairs() -> None:
    assert pairs_for(0.8, lambda pairs: equivalence_power(1, pairs, 0.5)) == 36
    with pytest.raises(ValueError, match="take a larger effect"):
        pairs_for(0.8, lambda pairs: 0.0)


# --- the bootstrap


def _spread(interval: tuple[float, float]) -> float:
    """The standard deviation of a normal distribution with this interval of 95 %."""
    return (interval[1] - interval[0]) / (2 * 1.959964)


def test_the_bootstrap_knows_the_spread_of_seeds_and_of_blocks() -> None:
    """With an effect of seeds alone, or of blocks alone, it is the plain bootstrap of these."""
    rng = np.random.default_rng(0)
    seeds, blocks = rng.normal(0, 1, 40), np.repeat(np.arange(50), 4)
    of_blocks = rng.normal(0, 1, 50)
    interval = crossed_bootstrap(np.repeat(seeds[:, None], 200, 1), blocks)
    assert _spread(interval) == pytest.approx(seeds.std() / math.sqrt(40), rel=0.05)
    interval = crossed_bootstrap(np.repeat(of_blocks[blocks][None], 40, 0), blocks)
    assert _spread(interval) == pytest.approx(of_blocks.std() / math.sqrt(50), rel=0.05)
    both = crossed_bootstrap(seeds[:, None] + of_blocks[blocks], blocks)
    assert _spread(both) == pytest.approx(
        math.hypot(seeds.std() / math.sqrt(40), of_blocks.std() / math.sqrt(50)), rel=0.05
    )


def test_neighbours_do_not_count_as_independent() -> None:
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(20), 10)
    values = np.repeat(rng.normal(0, 1, 20)[blocks][None], 6, 0)
    together, apart = crossed_bootstrap(values, blocks), crossed_bootstrap(values, range(200))
    assert _spread(together) == pytest.approx(math.sqrt(10) * _spread(apart), rel=0.1)


def test_the_bootstrap_of_a_ratio_of_counts() -> None:
    """A score that is no mean over images: the hits of the whole set through its tries."""
    rng = np.random.default_rng(2)
    tries = rng.integers(1, 100, (5, 30)).astype(float)
    counts = np.stack([0.25 * tries, tries], axis=-1)
    interval = crossed_bootstrap(counts, range(30), statistic=lambda means: means[:, 0] / means[:, 1])
    assert interval == pytest.approx((0.25, 0.25))


def test_the_bootstrap_gives_the_same_interval_twice() -> None:
    values = np.random.default_rng(3).normal(size=(3, 8))
    assert crossed_bootstrap(values, range(8), draws=50) == crossed_bootstrap(values, range(8), draws=50)
    assert crossed_bootstrap(values, range(8), draws=50) != crossed_bootstrap(values, range(8), draws=50, seed=1)


def test_an_effect_is_a_mean_with_its_error() -> None:
    assert Effect(1.0, 2.0, 16).error == 0.5
