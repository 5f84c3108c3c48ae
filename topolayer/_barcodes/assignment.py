"""Optimal matchings of bars, points (birth, death) in the plane, each of which may go to the diagonal instead.

Whatever is not matched goes to the diagonal: to the middle (b + d)/2 of the bar, the nearest point there in every norm,
at the distance that `to_diagonal` gives.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching, min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_MANY = 60_000  # pairs with a gain: with fewer the assignment is found before a good start would be
_NEAR = 10  # neighbours of each point among which the start is sought
_DIRECTIONS = 4  # in which each point is also paired with the one that has its rank
_ROUNDS = 1000  # of rising prices at most: more have not been seen, and the result does not depend on them
_BLOCK = 2**15  # entries of the matrix that are made at a time: what fits into the cache


class Matching(NamedTuple):
    """A matching of n bars with m others, by their indices."""

    pairs: Indices  # (2, matched)
    first: Indices  # those of the n that go to the diagonal
    second: Indices  # those of the m


def to_diagonal(lengths: Any, norm: float) -> Any:
    """Distance to the diagonal of bars with these lengths."""
    return lengths * 2 ** (1 / norm - 1)


def optimal_matching(x: Floats, y: Floats, *, order: float, norm: float) -> Matching:
    """The matching with the least sum of distances ** order, exactly; (n, 2) and (m, 2) births and deaths.

    Let d and e be the costs of the diagonal for a row and a column, c that of their pair. A matching costs the sum of
    all d and e, less the gain d + e - c of each of its pairs. A pair without gain can be dropped, so what is sought is
    the matching of largest gain, which may leave bars alone. With gains below 0 raised to 0, leaving alone is the same
    as a pair that gains 0, so this is an assignment of min(n, m) pairs in an n x m matrix, not of n + m in one of
    (n + m) x (n + m), and pairs that gain 0 are dropped from its solution.

    Gains are rounded like what the diagonal costs, and a distance may be much smaller. In that case the assignment is
    repeated with costs of the diagonal cut off at twice the cost that was found: none that is higher can be optimal.
    """
    matching = _with_the_others(np.empty((2, 0), dtype=np.int64), len(x), len(y))
    if min(len(x), len(y)) == 0:
        return matching
    alike = _bijection(x, y)
    if alike is not None:  # not left to rounding: the distance is exactly 0
        return _with_the_others(alike, len(x), len(y))
    spare_x, spare_y = to_diagonal(_lengths(x), norm), to_diagonal(_lengths(y), norm)
    unit = max(spare_x.max(), spare_y.max())
    while unit > 0:
        costs_x, costs_y = (np.minimum(spare / unit, 2 ** (1 / order)) ** order for spare in (spare_x, spare_y))
        gains = _Gains(x / unit, y / unit, costs_x, costs_y, order, norm)
        pairs = np.stack(gains.assignment())
        matching = _with_the_others(pairs[:, gains.of(*pairs) > 0], len(x), len(y))
        apart = _distances(x[matching.pairs[0]], y[matching.pairs[1]], norm)
        distances = np.concatenate([apart, spare_x[matching.first], spare_y[matching.second]])
        largest = distances.max()
        if largest == 0:
            break
        distance = largest * ((distances / largest) ** order).sum() ** (1 / order)
        if distance >= unit or (distance / unit) ** order >= 1e-6 * (costs_x.sum() + costs_y.sum()):
            break
        unit = distance
    return matching


class _Gains(NamedTuple):
    x: Floats
    y: Floats
    spare_x: Floats  # what the diagonal costs
    spare_y: Floats
    order: float
    norm: float

    def of(self, rows: Any, columns: Any) -> Floats:
        """The gains of these pairs, 0 at least."""
        with np.errstate(over="ignore"):  # an infinite cost, of a pair that is farther apart than the diagonal
            if self.order == self.norm == 2:  # without a root
                apart = sum(np.square(self.x[rows, end] - self.y[columns, end]) for end in (0, 1))
            else:
                apart = _distances(self.x[rows], self.y[columns], self.norm)
                apart **= self.order
        gain: Floats = self.spare_x[rows] + self.spare_y[columns] - apart
        return np.maximum(gain, 0, out=gain)

    def assignment(self) -> tuple[Indices, Indices]:
        """Pairs of the largest sum of gains, each bar in one pair at most.

        scipy's algorithm adds one row at a time, along paths that are shorter the better the prices (the dual
        variables) that it has so far. It starts with prices of 0, and hundreds of alternatives for each row. But in a
        square problem a number may be added to a row or column without another assignment becoming optimal: with
        nearly optimal prices subtracted it has hardly anything left to do. The result is the same for any prices. A
        problem that is far from square is left as it is: the rows to be added make it slow.

        Where one side has equal bars, as a mask of 0 and 1 does, there is nothing to assign: they go to the bars of the
        other side that gain most.
        """
        n, m = len(self.x), len(self.y)
        if (self.y == self.y[0]).all():
            rows = self._largest(self.of(slice(None), slice(0, 1)), m)
            return rows, np.arange(len(rows))
        if (self.x == self.x[0]).all():
            columns = self._largest(self.of(slice(0, 1), slice(None)), n)
            return np.arange(len(columns)), columns
        if min(n, m) <= 0.9 * max(n, m):
            return linear_sum_assignment(self._losses(n, m))  # type: ignore[no-any-return]
        losses = self._losses(max(n, m), max(n, m))
        if np.count_nonzero(losses) > _MANY:
            price_x, price_y = self._prices()
            losses[:n] += price_x[:, None]
            losses[:, :m] += price_y
        rows, columns = linear_sum_assignment(losses)
        both = (rows < n) & (columns < m)
        return rows[both], columns[both]

    @staticmethod
    def _largest(gains: Floats, count: int) -> Indices:
        """Where the `count` largest ones are, ascending; of equal ones the first."""
        return np.sort(np.argsort(-gains, kind="stable")[:count])

    def _losses(self, rows: int, columns: int) -> Floats:
        """The gains with opposite sign, as scipy would copy them otherwise; 0 where there are no bars."""
        n, m = len(self.x), len(self.y)
        losses = np.zeros((rows, columns))
        step = max(1, _BLOCK // m)
        for start in range(0, n, step):
            block = np.arange(start, min(start + step, n))
            np.negative(self.of(block[:, None], np.arange(m)), out=losses[block[0] : block[-1] + 1, :m])
        return losses

    def _prices(self) -> tuple[Floats, Floats]:
        """Optimal prices of rows and columns in the problem of near pairs, and of pairs of one rank in some direction.

        With near pairs alone some bars would be left over, and their prices be far off. In this problem no price is
        below 0, those of two bars add up to the gain of their pair or more, and to exactly that if it is matched; a bar
        that is left alone has price 0.
        """
        n, m = len(self.x), len(self.y)
        near_x = cKDTree(self.y).query(self.x, k=min(_NEAR, m), p=self.norm)[1]
        near_y = cKDTree(self.x).query(self.y, k=min(_NEAR, n), p=self.norm)[1]
        numbers = [near_x + m * np.arange(n)[:, None], m * near_y + np.arange(m)[:, None]]
        rank = np.arange(max(n, m))
        for angle in np.arange(_DIRECTIONS) * (math.pi / _DIRECTIONS):
            direction = np.array([math.cos(angle), math.sin(angle)])
            row, column = (np.argsort(side @ direction)[rank * len(side) // len(rank)] for side in (self.x, self.y))
            numbers.append(row * m + column)
        rows, columns = np.divmod(np.unique(np.concatenate(numbers, axis=None)), m)
        gain = self.of(rows, columns)
        rows, columns, gain = rows[gain > 0], columns[gain > 0], gain[gain > 0]
        # Every row has a column of its own, for the diagonal. 1 is added to all, since 0 would be taken for no edge.
        own = np.arange(n)
        edges = np.concatenate([rows, own]), np.concatenate([columns, m + own])
        graph = csr_matrix((np.concatenate([gain, np.zeros(n)]) + 1, edges), shape=(n, m + n))
        mate = np.minimum(min_weight_full_bipartite_matching(graph, maximize=True)[1], m)  # m: none
        matched = np.flatnonzero(mate < m)
        gained = np.zeros(n)
        gained[matched] = self.of(matched, mate[matched])
        # The least prices: each column is raised until no row would rather have it, and so on along the rows.
        by_column = np.argsort(columns, kind="stable")
        rows, rise = rows[by_column], (gain - gained[rows])[by_column]
        wanted, starts = np.unique(columns[by_column], return_index=True)
        price = np.zeros(m + 1)
        for _ in range(_ROUNDS if len(wanted) else 0):
            raised = np.maximum(price[wanted], np.maximum.reduceat(price[mate[rows]] + rise, starts))
            if np.all(raised - price[wanted] < 1e-12):
                break
            price[wanted] = raised
        return gained - price[mate], price[:m]


def bottleneck_matching(x: Floats, y: Floats) -> Matching:
    """The pair or the bar that has the bottleneck distance, the largest one of the best matching.

    The least largest distance is one of the distances between bars, or of a bar to the diagonal. Every bar has to go to
    the diagonal or to the nearest of the others at least, which bounds it from below, and often is it. Otherwise the
    bound is doubled until there is a matching, and what lies between is bisected. Bars no farther from the diagonal
    than the bound are short: no pair of two short ones is needed.
    """
    half_x, half_y = _lengths(x) / 2, _lengths(y) / 2
    most = max(half_x.max(initial=0), half_y.max(initial=0))
    if min(len(x), len(y)) == 0 or most == 0:
        return _attained(np.empty((2, 0), dtype=np.int64), half_x, half_y, np.empty(0), most)
    near_x = _distances(x, y[cKDTree(y).query(x, p=math.inf)[1]], math.inf)
    near_y = _distances(y, x[cKDTree(x).query(y, p=math.inf)[1]], math.inf)
    least = max(np.minimum(half_x, near_x).max(), np.minimum(half_y, near_y).max())
    long_x, short_x = np.flatnonzero(half_x > least), np.flatnonzero(half_x <= least)
    long_y = np.flatnonzero(half_y > least)
    below, reach = -math.inf, least
    while True:
        pairs = np.concatenate(
            [_within(x, y, long_x, np.arange(len(y)), reach), _within(x, y, short_x, long_y, reach)], axis=1
        )
        apart = _distances(x[pairs[0]], y[pairs[1]], math.inf)
        found = _covering(pairs[:, apart <= reach], half_x, half_y, reach)
        if found is not None:
            break
        below, reach = reach, min(2 * reach, most) if reach > 0 else most * 2**-10
    candidates = np.unique(np.concatenate([apart, half_x, half_y, [least]]))
    candidates = candidates[(candidates > below) & (candidates >= least) & (candidates <= reach)]
    low, high = 0, len(candidates) - 1  # the last one is enough
    while low < high:
        middle = (low + high) // 2
        closer = _covering(pairs[:, apart <= candidates[middle]], half_x, half_y, candidates[middle])
        if closer is None:
            low = middle + 1
        else:
            high, found = middle, closer
    matched = _distances(x[found[0]], y[found[1]], math.inf)
    return _attained(found, half_x, half_y, matched, candidates[low])


def _within(x: Floats, y: Floats, rows: Indices, columns: Indices, reach: float) -> Indices:
    """(2, pairs): those of the rows and columns that are no farther apart than `reach`, up to rounding."""
    if min(len(rows), len(columns)) == 0:
        return np.empty((2, 0), dtype=np.int64)
    near = cKDTree(x[rows]).sparse_distance_matrix(
        cKDTree(y[columns]), reach * (1 + 1e-12), p=math.inf, output_type="ndarray"
    )
    return np.stack([rows[near["i"]], columns[near["j"]]])


def _covering(pairs: Indices, half_x: Floats, half_y: Floats, reach: float) -> Indices | None:
    """(2, matched): some of the pairs, such that each bar is in one, or no farther from the diagonal than `reach`.

    It exists if one matching covers the rows that need it and another one the columns (Mendelsohn and Dulmage, 1958).
    """
    long_x, long_y = half_x > reach, half_y > reach
    of_x = _largest_matching(pairs[:, long_x[pairs[0]]], len(half_x), len(half_y))
    if (of_x[long_x] < 0).any():
        return None
    of_y = _largest_matching(pairs[::-1, long_y[pairs[1]]], len(half_y), len(half_x))
    if (of_y[long_y] < 0).any():
        return None
    # The first matching, changed to the second one along the paths that start at columns which only that one covers.
    taken = np.zeros(len(half_y), dtype=bool)
    taken[of_x[of_x >= 0]] = True
    for column in np.flatnonzero(long_y & ~taken):
        while column >= 0 and of_y[column] >= 0:
            row = of_y[column]
            of_x[row], column = column, of_x[row]
    rows = np.flatnonzero(of_x >= 0)
    return np.stack([rows, of_x[rows]])


def _largest_matching(pairs: Indices, n: int, m: int) -> Indices:
    """(n,) the partner of each row, -1 for none."""
    graph = csr_matrix((np.ones(pairs.shape[1], dtype=np.int8), (pairs[0], pairs[1])), shape=(n, m))
    return maximum_bipartite_matching(graph, perm_type="column").astype(np.int64)  # type: ignore[no-any-return]


def _attained(pairs: Indices, half_x: Floats, half_y: Floats, apart: Floats, distance: float) -> Matching:
    """The first pair of a matching that has this distance, otherwise the first bar whose half length it is."""
    _, alone_x, alone_y = _with_the_others(pairs, len(half_x), len(half_y))
    pair = pairs[:, apart == distance][:, :1]
    first = alone_x[half_x[alone_x] == distance][: 1 - pair.shape[1]]
    second = alone_y[half_y[alone_y] == distance][: 1 - pair.shape[1] - len(first)]
    return Matching(pair, first, second)


def _bijection(x: Floats, y: Floats) -> Indices | None:
    """(2, n): equal bars paired, if both are the same multiset."""
    if len(x) != len(y):
        return None
    pairs = np.stack([np.lexsort(x.T), np.lexsort(y.T)])
    return pairs if np.array_equal(x[pairs[0]], y[pairs[1]]) else None


def _with_the_others(pairs: Indices, n: int, m: int) -> Matching:
    alone = np.ones(n, dtype=bool), np.ones(m, dtype=bool)
    alone[0][pairs[0]] = alone[1][pairs[1]] = False
    return Matching(pairs, np.flatnonzero(alone[0]), np.flatnonzero(alone[1]))


def _lengths(points: Floats) -> Floats:
    return np.abs(points[:, 1] - points[:, 0])


def _distances(x: Floats, y: Floats, norm: float) -> Floats:
    """In the norm, of points (..., 2) that broadcast."""
    births, deaths = np.abs(x[..., 0] - y[..., 0]), np.abs(x[..., 1] - y[..., 1])
    if norm == 1:
        return births + deaths
    if norm == 2:
        return np.hypot(births, deaths)
    larger = np.maximum(births, deaths)
    if norm == math.inf:
        return larger
    ratio = np.minimum(births, deaths) / np.where(larger > 0, larger, 1)
    return larger * (1 + ratio**norm) ** (1 / norm)
