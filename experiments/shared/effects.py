"""Effects of paired runs: contrasts of arms, intervals, equivalence, power, and a bootstrap of seeds and scenes.

A contrast is one number for each seed: the mean score of some arms less that of others. Its mean over the seeds is the
effect, and Student's t says how well that is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.integrate import quad
from scipy.stats import chi, nct, norm, t

LEVEL = 0.05
MOST_PAIRS = 10_000  # more than anybody trains

Array = np.ndarray
Sides = tuple[tuple[str, ...], tuple[str, ...]]
"""The arms that are added in a contrast, and those that are subtracted."""


# --- contrasts of arms ------------------------------------------------------------------------------------------


def factorial(factors: Sequence[str]) -> dict[str, Sides]:
    """The contrasts of a full factorial design, whose arms are named by their factors: main effects and interactions.

    >>> factorial(["a", "b"])["a"]
    (('a', 'a+b'), ('none', 'b'))
    >>> factorial(["a", "b"])["a x b"]
    (('none', 'a+b'), ('a', 'b'))
    """
    chosen = [arm for size in range(len(factors) + 1) for arm in combinations(factors, size)]
    found: dict[str, Sides] = {}
    for involved in chosen[1:]:
        sides: tuple[list[str], list[str]] = ([], [])
        for arm in chosen:
            absent = len(set(involved) - set(arm))
            sides[absent % 2].append("+".join(arm) or "none")
        found[" x ".join(involved)] = tuple(sides[0]), tuple(sides[1])
    return found


def contrast(scores: Mapping[str, Mapping[int, float]], sides: Sides) -> list[float]:
    """The contrast for each seed that all of its arms have; `scores` are by arm and seed."""
    plus, minus = sides
    seeds = set.intersection(*(set(scores.get(arm, {})) for arm in (*plus, *minus)))
    return [
        math.fsum(scores[arm][seed] for arm in plus) / len(plus)
        - math.fsum(scores[arm][seed] for arm in minus) / len(minus)
        for seed in sorted(seeds)
    ]


# --- effects ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """The mean of so many differences, and their standard deviation: NaN where one cannot be had."""

    mean: float
    deviation: float
    pairs: int

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self.deviation / math.sqrt(self.pairs) if self.pairs else math.nan

    def half(self, level: float = LEVEL) -> float:
        """Half the width of Student's interval, in which the truth lies with a probability of 1 - `level`."""
        return float(t.ppf(1 - level / 2, self.pairs - 1)) * self.error if self.pairs > 1 else math.nan

    @property
    def p(self) -> float:
        """Of the two-sided t test that there is no effect."""
        return 2 * self._beyond(abs(self.mean))

    def equivalence(self, margin: float) -> float:
        """Of two one-sided t tests (TOST) that the effect is at least `margin` large in one of the directions.

        Below 0.05, the interval of 90 % lies inside the margin.
        """
        return self._beyond(margin - abs(self.mean))

    def _beyond(self, distance: float) -> float:
        """How likely a mean is so far above the truth."""
        if self.pairs < 2:
            return math.nan
        if not self.error:
            return (1 - float(np.sign(distance))) / 2
        return float(t.sf(distance / self.error, self.pairs - 1))


def effect(differences: Sequence[float]) -> Effect:
    """The effect that differences of paired runs show.

    >>> found = effect([1.0, 2.0, 3.0])
    >>> found.mean, round(found.half(), 4), round(found.p, 4)
    (2.0, 2.4841, 0.0742)
    """
    values = np.asarray(differences, dtype=float)
    if not len(values):
        return Effect(math.nan, math.nan, 0)
    deviation = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return Effect(math.fsum(values) / len(values), deviation, len(values))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjustment of several p values; NaN, of what cannot be tested yet, counts and stays.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted, least = [math.nan] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda i: (math.isnan(ps[i]), ps[i]))):
        if not math.isnan(ps[place]):
            least = max(least, min(1.0, (len(ps) - rank) * ps[place]))
            adjusted[place] = least
    return adjusted


# --- power ------------------------------------------------------------------------------------------------------


def power(deviation: float, pairs: int, truth: float, *, level: float = LEVEL) -> float:
    """How likely the two-sided t test finds an effect of `truth`, if differences have this standard deviation.

    >>> round(power(1.0, 34, 0.5), 3)
    0.808
    """
    if pairs < 2 or not deviation > 0:
        return math.nan
    reach, centre = t.ppf(1 - level / 2, pairs - 1), truth / deviation * math.sqrt(pairs)
    return float(nct.sf(reach, pairs - 1, centre) + nct.cdf(-reach, pairs - 1, centre))


def equivalence_power(
    deviation: float, pairs: int, margin: float, truth: float = 0.0, *, level: float = LEVEL
) -> float:
    """How likely two one-sided t tests exclude an effect of `margin`, if it is really `truth`: exact, by quadrature."""
    if pairs < 2 or not deviation > 0:
        return math.nan
    error, reach = deviation / math.sqrt(pairs), float(t.ppf(1 - level, pairs - 1))
    above, below = (margin - truth) / error, (margin + truth) / error
    ratio = chi(pairs - 1, scale=1 / math.sqrt(pairs - 1))  # of the observed to the true deviation

    def passed(u: float) -> float:
        return float((norm.cdf(above - reach * u) - norm.cdf(reach * u - below)) * ratio.pdf(u))

    last = min(margin / error / reach, float(ratio.isf(1e-12)))
    return min(1.0, float(quad(passed, 0, last, points=[min(1.0, last)], limit=200)[0]))


def pairs_for(wanted: float, power_of: Callable[[int], float]) -> int:
    """The smallest number of pairs with which the power is at least `wanted`.

    >>> pairs_for(0.8, lambda pairs: power(1.0, pairs, 0.5))
    34
    """
    for pairs in range(2, MOST_PAIRS):
        if power_of(pairs) >= wanted:
            return pairs
    raise ValueError(f"no power of {wanted} with fewer than {MOST_PAIRS} pairs: take a larger effect")


# --- seeds and scenes -------------------------------------------------------------------------------------------


def crossed_bootstrap(
    values: Array,
    blocks: Sequence[int],
    *,
    statistic: Callable[[Array], Array] = lambda means: means[:, 0],
    draws: int = 4000,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float]:
    """The interval of a mean over seeds and images, both of which are samples, by the bootstrap.

    Seeds are drawn with replacement, and blocks of images that resemble each other, such as frames of a scene, crossed
    with them (Owen 2007, "The pigeonhole bootstrap"): a draw takes all chosen blocks of all chosen seeds. It errs to
    the side of wide intervals.

    Args:
        values: (seeds, images) numbers, such as differences of scores; or (seeds, images, columns), such as counts.
        blocks: which block each image belongs to.
        statistic: scores, (n,), from means over images, (n, columns).
    """
    values = np.asarray(values, dtype=float)
    values = values.reshape(*values.shape[:2], -1)
    _, place = np.unique(np.asarray(blocks), return_inverse=True)
    sizes = np.bincount(place).astype(float)
    sums = np.zeros((values.shape[0], len(sizes), values.shape[2]))
    for row, total in zip(values, sums, strict=True):
        np.add.at(total, place, row)
    rng = np.random.default_rng(seed)
    of_blocks = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=draws)
    of_seeds = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=draws)
    means = np.tensordot(of_blocks, sums, ([1], [1])) / (of_blocks @ sizes)[:, None, None]
    scores = statistic(means.reshape(-1, sums.shape[2])).reshape(draws, len(sums))
    found = (of_seeds * scores).sum(1) / len(sums)
    low, high = np.quantile(found, [level / 2, 1 - level / 2])
    return float(low), float(high)
